#!/usr/bin/env bash
# scripts/dependencies finds the machine's mirror in both formats of apt's sources, keeps its key,
# and adds the backports suite once.
#   dependencies_test.sh SCRIPT
set -euo pipefail
script=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export HOLDFAST_APT_DIR=$tmp HOLDFAST_OS_RELEASE=$tmp/os-release
printf 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n' > "$tmp/os-release"
added=$tmp/sources.list.d/holdfast-backports.sources

fresh() {
    rm -rf "$tmp/sources.list" "$tmp/sources.list.d"
    mkdir "$tmp/sources.list.d"
}

# expect NAME: standard input is what must have been added.
expect() {
    "$script" backports > "$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
    diff -u - "$added" || { printf 'wrong: %s\n' "$1"; exit 1; }
    cp "$added" "$tmp/before"
    "$script" backports > "$tmp/log" 2>&1
    diff "$tmp/before" "$added" || { printf 'not once: %s\n' "$1"; exit 1; }
}

fresh
cat > "$tmp/sources.list" << 'END'
# deb http://commented.example/debian bookworm main
deb [arch=amd64] http://vendor.example/linux bookworm main
deb-src http://source.example/debian bookworm main
deb http://mirror.example/debian-security bookworm-security main
deb http://mirror.example/debian bookworm main contrib # the release
END
expect 'one-line format' << 'END'
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
END

fresh
echo 'deb [ arch=amd64 signed-by=/keys/a.gpg trusted=yes ] http://m.example/debian/ bookworm main' \
    > "$tmp/sources.list.d/a.list"
expect 'one-line format with options' << 'END'
Types: deb
URIs: http://m.example/debian/
Suites: bookworm-backports
Components: main
Trusted: yes
Signed-By: /keys/a.gpg
END

fresh
cat > "$tmp/sources.list.d/debian.sources" << 'END'
Types: deb
# http://commented.example/debian
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Enabled: no
END
expect 'deb822 format, backports switched off' << 'END'
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By: /keys/debian.gpg
END

fresh
cat > "$tmp/sources.list.d/debian.sources" << 'END'
Types: deb deb-src
URIs: http://one.example/debian http://two.example/debian
Suites: bookworm
  bookworm-updates
Components: main
 contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEXx
 -----END PGP PUBLIC KEY BLOCK-----
END
expect 'deb822 format with a key inside' << 'END'
Types: deb
URIs: http://one.example/debian
Suites: bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEXx
 -----END PGP PUBLIC KEY BLOCK-----
END

fresh
printf 'deb http://m.example/debian %s main\n' bookworm bookworm-backports > "$tmp/sources.list"
"$script" backports
[ ! -e "$added" ] || { echo 'backports were added a second time'; exit 1; }

fresh
echo 'deb http://m.example/debian-security bookworm-security main' > "$tmp/sources.list"
if "$script" backports 2> "$tmp/log"; then
    echo 'without a source of the release there is no mirror to take'
    exit 1
fi
grep -q 'no apt source of bookworm/main' "$tmp/log"
