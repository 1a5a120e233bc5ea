#!/bin/sh
# What is installed can be used: a C program is built against it with pkg-config, shared and static,
# and with find_package, and run; the manual pages and the shell's completion are there.
#   install_test.sh BUILD_DIR CC
set -eu
build=$1
cc=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cmake --install "$build" --prefix "$tmp/usr" > "$tmp/install.log"

cat > "$tmp/main.c" << 'END'
#include <holdfast_admin.h>
#include <stdio.h>

int main(void)
{
    hf_options options;
    hf_client *client = NULL;
    hf_options_init(&options);
    options.servers = "127.0.0.1:1";
    if (hf_client_open(&options, &client) != HF_OK) return 1;
    hf_client_close(client);
    return puts(hf_status_text(HF_EUNKNOWN)) < 0;
}
END

PKG_CONFIG_PATH=$(dirname "$(find "$tmp/usr" -name holdfast.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir holdfast)

# The words are split on purpose: they are lists of flags.
# shellcheck disable=SC2046
$cc -std=c11 "$tmp/main.c" $(pkg-config --cflags --libs holdfast) -o "$tmp/shared"
LD_LIBRARY_PATH=$libdir "$tmp/shared"

# The archive alone is static here: its own libraries' archives are not always installed.
# shellcheck disable=SC2046
$cc -std=c11 "$tmp/main.c" $(pkg-config --cflags holdfast) "$libdir/libholdfast.a" \
    $(pkg-config --libs $(pkg-config --print-requires-private holdfast)) -pthread -o "$tmp/static"
"$tmp/static"

mkdir "$tmp/project"
cat > "$tmp/project/CMakeLists.txt" << 'END'
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(holdfast 0.1 REQUIRED)
add_executable(shared ../main.c)
target_link_libraries(shared holdfast::holdfast)
add_executable(static ../main.c)
target_link_libraries(static holdfast::static)
END
cmake -G Ninja -S "$tmp/project" -B "$tmp/project/build" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$tmp/usr" > "$tmp/project.log" || { cat "$tmp/project.log"; exit 1; }
cmake --build "$tmp/project/build" > "$tmp/project.log" || { cat "$tmp/project.log"; exit 1; }
"$tmp/project/build/shared"
"$tmp/project/build/static"

# Nothing but the public interface is visible, in the archive neither.
{ nm -D --defined-only "$libdir/libholdfast.so" && nm --defined-only "$libdir/libholdfast.a"; } |
    awk '$2 ~ /[TDBR]/ && $3 !~ /^hf_/ { print; bad = 1 } END { exit bad }'

# Every manual page of the source is installed in its section.
for page in "$(dirname "$0")"/../../docs/man/*.[138]; do
    installed=$tmp/usr/share/man/man${page##*.}/$(basename "$page")
    cmp -s "$page" "$installed" || { echo "not installed as it is: $installed"; exit 1; }
done

cmp -s "$(dirname "$0")/../../client/cli/completion.bash" \
    "$tmp/usr/share/bash-completion/completions/holdfast" || { echo 'no completion'; exit 1; }

for binary in holdfast holdfastd; do
    [ -e "$tmp/usr/bin/$binary" ] || continue
    "$tmp/usr/bin/$binary" --help > "$tmp/help"
    [ -s "$tmp/help" ] || { echo "$binary --help printed nothing"; exit 1; }
done
