#!/usr/bin/env python3
"""Plants one violation of each house rule in a tree of its own and expects it to be found.

    tests/tidy_test.py       prints what was not found, exits 1 if anything

A rule that finds nothing looks exactly like a clean tree; this is what tells them apart. The clean
files at the top also show what the rules must leave alone.
"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

HEAD = '/* The story of this file. */\n'
GUARD = HEAD + '#ifndef X_H\n#define X_H\n'

CLEAN = {
    'base/slice.h': GUARD + '''
#define TWICE(x) sprintf_like(x)
struct slice {
    const char *data; /**< borrowed */
    /* A group of bits, described above it. */
    unsigned bits;
    struct {
        int inner; /**< a count */
    } nested;      /**< of them */
};

/** Describes what follows without a gap. */
static inline void put_u16(unsigned char *p)
{
    p[0] = 0;
}
static inline void put_u32(unsigned char *p)
{
    p[0] = 0;
    p[1] = 0;
}

static inline void get_u8(unsigned char *p)
{
    p[0] = 0;
}

/** Compares. */
int slice_compare(struct slice a, struct slice b);

/** May fail. */
HF_MUST_USE
int slice_fill(struct slice *s, int (*each_cb)(void *data),
               void *data);

/** A table of operations, described as a whole. */
struct ops {
    int (*open)(void *data);
};
#endif
''',
    'base/slice.c': '#include "base/slice.h"\n\n'
                    'const char *s = "strcpy(a, b); // no comment, no goto out";\n'
                    'void clock_time(void)\n{\n    x->time(1);\n'
                    '    goto out;\nout:\n    return;\n}\n',
    'tests/unit/a_test.c': HEAD + '#include <lmdb.h>\n#include "base/slice.h"\n',
    'base/status.def': 'HF_STATUS(HF_EBUSY, -1, ANSWER, 0, "BUSY", "busy")\n',
    'client/include/holdfast.h': GUARD + '''
typedef struct hf_lock hf_lock;
/** Acquire.
 * \\param lock  borrowed
 * \\param name  1 to 255 bytes
 * \\retval HF_OK  held */
HF_API int hf_acquire(hf_lock *lock, const char *name);
#endif
''',
    'client/include/holdfast_status.h': GUARD + '''
enum hf_status {
    HF_EBUSY = -1, /**< somebody has it */
};
#endif
''',
}


def body(lines, statement='    x();\n'):
    return HEAD + 'void f(void)\n{\n' + statement * lines + '}\n'


def header(text):
    return GUARD + text + '#endif\n'


HF_H = 'client/include/holdfast.h'
STATUS_H = 'client/include/holdfast_status.h'
DOC = '/** Does it. */\n'
LONG = 52

# (file, content, a part of the sentence that must be printed)
PLANTED = [
    ('machine/a.c', HEAD + '#include "raft/wal.h"\n', 'machine/ may include base, protocol, st'),
    ('machine/a.c', HEAD + '#include "base/none.h"\n', 'from the root'),
    ('base/a.c', HEAD + '#include "storage/store.h"\n', 'base/ may include no other room'),
    ('raft/a.c', HEAD + '#include "storage/store.h"\n', 'raft/ may include base'),
    ('examples/a.c', HEAD + '#include "base/slice.h"\n', 'examples/ may include client/include'),
    ('base/a.c', HEAD + '#include "base/../slice.h"\n', 'from the root'),
    ('machine/a.c', HEAD + '#include <lmdb.h>\n', 'one door, storage/'),
    ('server/a.c', HEAD + '#include <raft.h>\n', 'one door, raft/'),
    ('base/a.c', HEAD + '#include <xxhash.h>\n', 'one door, base/hash.c'),
    ('server/a.c', HEAD + '#include <openssl/evp.h>\n', 'one door, base/hash.c'),
    ('client/a.c', HEAD + '#include <sqlite3.h>\n', 'one door, examples/'),
    ('storage/a.c', HEAD + '#include <uv.h>\n', 'one door, server/'),
    ('machine/a.c', HEAD + '#include <time.h>\n', 'in a file that decides'),
    ('base/a.c', HEAD + 'int a;\n' * 600, 'has 601 lines'),
    ('base/a.c', body(68), 'f has 71 lines'),
    ('base/a.py', '# A script.\ndef f():\n' + '    x()\n' * 70, 'f has 71 lines'),
    ('base/a.c', HEAD + 'int ' + 'a' * 100 + ';\n', 'columns'),
    ('base/a.c', HEAD + 'int a; \n', 'blanks at the end'),
    ('base/a.c', HEAD + '\tint a;\n', 'indent with spaces'),
    ('base/a.c', HEAD + 'int a;', 'end the file'),
    ('base/a.c', body(1, '    strcpy(a, b);\n'), 'strcpy() is banned'),
    ('base/a.c', body(1, '    now = time(NULL);\n'), 'time() is banned'),
    ('server/a.c', body(1, '    usleep(5);\n'), 'usleep() is banned'),
    ('base/a.h', header('#define F(x) assert(x)\n'), 'assert() is banned'),
    ('base/a.c', '#define _GNU_' 'SOURCE\n', '_GNU_SOURCE only'),
    ('base/a.c', HEAD + '#ifdef NDEBUG\n#endif\n', 'NDEBUG'),
    ('base/a.c', HEAD + '/* TO' 'DO: later */\n', 'finish it now'),
    ('docs/a.md', 'See iss' 'ue 2.\n', 'leads nowhere'),
    ('docs/a.md', 'In /wo' 'rk/main.\n', 'path of one machine'),
    ('docs/a.md', 'See ../sh' 'ared/x.\n', 'path of one machine'),
    ('docs/a.md', 'By a sub' 'agent.\n', 'not about who wrote'),
    ('docs/a.md', 'See semantics' '.md.\n', 'cite docs/contract.md'),
    ('a.sh', '#!/bin/sh\n# A script.\nget http://deb.debian' '.org\n', 'take the mirror'),
    ('base/a.c', 'int a;\n', 'begin the file with a comment'),
    ('base/a.sh', '#!/bin/sh\nset -eu\n', 'begin the script with a comment'),
    ('base/a.c', '/*' + '\n' * 31 + '*/\n', 'the head comment has 32 lines'),
    ('base/a.c', HEAD + '// call();\n', 'delete code'),
    ('base/a.h', header('void f(void);\n'), 'document f'),
    ('base/a.h', header(DOC + 'void f(void);\n\nvoid g(void);\n'), 'document g'),
    ('base/a.h', header('struct a {\n    int b;\n};\n'), 'say what `int b` is'),
    ('base/a.h', header('struct a {\n    int b; /**< x */\n    int c;\n};\n'), '`int c` is'),
    ('base/a.h', header(DOC + 'int a_open(void);\n'), 'mark a_open with HF_MUST_USE'),
    (HF_H, header('/** Go. \\retval HF_EBUSY */\nHF_API int hf_go(int a);\n'), '\\param a'),
    (HF_H, header('/** \\param b x */\nHF_API void hf_go(int a);\n'), '\\param b is no parameter'),
    (HF_H, header(DOC + 'HF_API HF_NODISCARD int hf_go(void);\n'), 'hf_go: list each status'),
    (STATUS_H, header('int a;\n'), 'HF_EBUSY is not in'),
    (STATUS_H, header('enum { HF_EBUSY = -2 };\n'), 'HF_EBUSY is -2'),
    ('docs/a.md', 'As `test_of_nothing` shows.\n', 'there is no test_of_nothing'),
    ('raft/a.c', body(LONG), 'no HF_ASSERT'),
    ('storage/a.c', body(12).replace('\n}', '\n}\n') * 12, 'storage/ has 0 assertions'),
    ('base/a.c', HEAD + 'void f(void)\n{\nagain:\n    goto again;\n}\n', 'only forwards'),
    ('base/a.c', HEAD + 'typedef struct a {\n    int b;\n} a;\n', 'write `struct x`'),
    ('base/a.c', HEAD + 'void readIt(void)\n{\n}\n', 'lower_case'),
    ('base/a.c', HEAD + 'void _read(void)\n{\n}\n', 'no leading underscores'),
]


def write(root, files):
    for path, content in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as file:
            file.write(content)


def found_in(files):
    with tempfile.TemporaryDirectory() as root:
        write(root, files)
        return tidy.violations(root)[1]


def main():
    failures = [f'a clean tree: {path}:{line}: {text}' for path, line, text in found_in(CLEAN)]
    for path, content, expected in PLANTED:
        found = found_in({**CLEAN, path: content})
        if not any(expected in text for _, _, text in found):
            failures.append(f'{path}: expected "{expected}", found {found}')
    two = {path: HEAD + '#include <uv.h>\n' for path in ('raft/a.c', 'raft/b.c')}
    if not any('its one file with uv.h' in text for _, _, text in found_in({**CLEAN, **two})):
        failures.append('two files of raft/ with uv.h were not found')
    for failure in failures:
        print(failure)
    print(f'house rules: {len(PLANTED) + 2 - len(failures)} passed, {len(failures)} failed')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
