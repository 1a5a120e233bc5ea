#!/usr/bin/env python3
"""The house rules that no compiler checks: rooms and doors, sizes, banned calls, comments.

    tests/tidy.py [ROOT]     prints "file:line: what to do" for each violation, exits 1 if any

CONTRIBUTING.md explains the rules to people; this file is what decides. Each rule is a generator
over one parsed file (tests/tidy_source.py) or over the whole tree, and stands in the table at the
end. tests/tidy_test.py plants a violation of each and expects it to be found.
"""
import ast
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tidy_source import CALLEE, Source  # noqa: E402

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# ---------------------------------------------------------------- rooms and doors

# Which rooms a room's files may include; its own always. docs/map.md draws the same arrows.
ARROWS = {
    'base': set(),
    'protocol': {'base'},
    'storage': {'base'},
    'raft': {'base'},
    'machine': {'base', 'protocol', 'storage'},
    'client': {'base', 'protocol'},
    'jepsen': {'base', 'protocol', 'client'},
    'server': {'base', 'protocol', 'storage', 'machine', 'raft'},
    'examples': {'client/include'},
}

# One door a dependency: header, what may include it, how many files of a room at most (0 = any).
DOORS = [
    (r'lmdb\.h', ('storage/',), 0),
    (r'raft(\.h|/.*)', ('raft/',), 0),
    (r'uv(\.h|/.*)', ('server/', 'client/', 'raft/'), 0),
    (r'openssl/.*', ('base/hash.c',), 0),
    (r'xxhash\.h', ('base/hash.c',), 0),
    (r'sqlite3\.h', ('examples/',), 0),
    (r'microhttpd\.h', ('server/', 'examples/'), 0),
    (r'libpq-fe\.h', ('examples/',), 0),
    (r'jansson\.h', ('jepsen/',), 0),
]
UV_FILES_IN_RAFT_MAX = 1

# Files that decide and therefore take bytes and time as arguments: no clock, socket or thread.
PURE = re.compile(r'(machine|protocol|jepsen/check)/|client/core|server/replica|raft/driver')
IMPURE_HEADERS = re.compile(
    r'(time|sys/time|pthread|threads|unistd|fcntl|poll|signal|sys/socket|netinet/.*|uv)\.h')

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.M)


def includes(source):
    """(line, '<' or '"', name) of every #include."""
    for line, text in enumerate(source.lines, 1):
        match = INCLUDE.match(text)
        if match:
            yield line, match.group(1), match.group(2)


def check_arrows(source, tree):
    """Includes follow the rooms' arrows and are written from the repository's root."""
    for line, quote, name in includes(source):
        if quote == '<':
            continue
        allowed = ARROWS.get(source.room, {''}) | {source.room}
        if source.path.startswith(PUBLIC_HEADERS) and PUBLIC_HEADERS + name in tree.paths:
            continue  # as it will be installed: beside the other
        if not any(name.startswith(prefix + '/') or prefix == '' for prefix in allowed):
            known = ', '.join(sorted(allowed - {source.room})) or 'no other room'
            yield line, (f'{source.room}/ may include {known}, but not "{name}": '
                         'move what is shared down, or pass it in as an argument')
        elif '..' in name.split('/') or name not in tree.paths:
            yield line, f'write the include "{name}" from the root of the repository'


def check_doors(source, tree):
    """One door a dependency, and no doors at all in the pure core."""
    for line, quote, name in includes(source):
        if quote == '<' and PURE.match(source.path) and IMPURE_HEADERS.fullmatch(name):
            yield line, (f'<{name}> in a file that decides: take time, bytes and random numbers '
                         'as arguments and leave the rest to the shell')
        if source.room == 'tests' or quote == '"':
            continue
        for pattern, doors, _ in DOORS:
            if re.fullmatch(pattern, name) and not source.path.startswith(doors):
                yield line, f'<{name}> has one door, {", ".join(doors)}: use what that offers'


def check_one_uv_file_in_raft(tree):
    users = [s for s in tree.sources if s.room == 'raft' and
             any(name == 'uv.h' for _, _, name in includes(s))]
    for source in users[UV_FILES_IN_RAFT_MAX:]:
        yield source, 1, f'raft/ has its one file with uv.h in {users[0].path}: keep I/O there'


# ---------------------------------------------------------------- sizes and layout

def check_size(source, tree):
    """Files, functions and lines stay short."""
    if source.path.endswith('.md'):
        return
    if len(source.lines) > FILE_LINES_MAX:
        yield FILE_LINES_MAX, (f'the file has {len(source.lines)} lines, {FILE_LINES_MAX} are '
                               'the most: split it where it owns two things')
    for item in source.functions + python_functions(source):
        if item.length > FUNCTION_LINES_MAX:
            yield item.first, (f'{item.name} has {item.length} lines, {FUNCTION_LINES_MAX} are the '
                               'most: push ifs up and loops down into functions with names')
    if source.path.endswith(('.def', '.json', '.in')):
        return
    for line, text in enumerate(source.lines, 1):
        if len(text) > COLUMNS_MAX:
            yield line, f'{len(text)} columns, {COLUMNS_MAX} are the most: break the line'


def python_functions(source):
    """A Python file's functions as items with a name, a first line and a length."""
    if not source.path.endswith('.py'):
        return []

    class Function:
        def __init__(self, node):
            self.name, self.first = node.name, node.lineno
            self.length = node.end_lineno - node.lineno + 1
    return [Function(n) for n in ast.walk(ast.parse(source.text))
            if isinstance(n, ast.FunctionDef)]


def check_blanks(source, tree):
    """No tabs (but in Go, whose formatter wants them), no spaces at a line's end, one line end at
    the file's."""
    for line, text in enumerate(source.lines, 1):
        if text != text.rstrip():
            yield line, 'remove the blanks at the end of the line'
        if '\t' in text and not source.path.endswith(('.md', '.go')):
            yield line, 'indent with spaces'
    if source.text and not source.text.endswith('\n'):
        yield len(source.lines), 'end the file with a line end'


# ---------------------------------------------------------------- calls and words

# Banned calls, what to use, and the paths where the call may stand all the same.
BANNED = [
    ('strcpy|strcat|stpcpy|strncpy|strncat', 'copy a slice whose bound was checked', ()),
    ('sprintf|vsprintf', 'use snprintf and check what it returns', ()),
    ('gets|scanf|fscanf|sscanf', 'read a bounded line and parse it strictly', ()),
    ('strtok', 'use strtok_r, or walk a slice', ()),
    ('atoi|atol|atoll|atof', 'use strtoull and check its end and its range', ()),
    ('rand|srand|random|srandom|drand48|rand_r', 'use base/prng.h with the owner\'s seed', ()),
    ('time|gettimeofday|clock|ftime', 'take the time as an argument, or ask base/clock.h', ()),
    ('clock_gettime', 'ask base/clock.h',
     ('base/clock.c', 'base/log.c', 'jepsen/journal.c', 'tests/', 'examples/')),
    ('sleep|usleep|nanosleep', 'wait for an event with a time-out',
     ('tests/', 'examples/', 'client/cli/')),
    ('assert|static_assert', 'use HF_ASSERT, which stays on in release, or _Static_assert',
     ('tests/',)),
    ('abort', 'use HF_ASSERT or HF_UNREACHABLE, which say where', ('base/assert.c', 'tests/')),
    ('system|popen', 'use posix_spawn with an argument vector', ('tests/',)),
    ('tmpnam|tempnam|mktemp', 'use mkstemp or mkdtemp', ()),
    ('signal', 'use sigaction', ()),
    ('alloca', 'use a bounded array or an arena', ()),
    ('localtime|gmtime|asctime|ctime|strerror', 'use the reentrant one (_r)', ()),
]
BANNED = [(re.compile(r'(?<![\w.>])(%s)\s*\(' % names), use, where) for names, use, where in BANNED]
# Files that may define _GNU_SOURCE, with the call that they need it for.
GNU_SOURCE = {
    'jepsen/run/child.c': 'pipe2',
    'jepsen/run/net.c': 'unshare, setns',
    'tests/integration/small_disk.c': 'unshare',
    'tests/unit/storage/store_rot_test.c': 'memmem',
}


def check_calls(source, tree):
    """No call that has a better one, no feature macro but where it is needed."""
    if not source.is_c:
        return
    for line, text in enumerate(source.code.split('\n'), 1):
        for pattern, use, where in BANNED:
            match = pattern.search(text)
            if match and not source.path.startswith(where or ('//',)):
                yield line, f'{match.group(1)}() is banned: {use}'
        if '_GNU_SOURCE' in text and source.path not in GNU_SOURCE:
            yield line, '_GNU_SOURCE only in a file that needs it: list it in tests/tidy.py'
        if re.search(r'\bNDEBUG\b', text):
            yield line, 'NDEBUG has no place here: assertions stay on'


# Words that must not appear anywhere, split so that this file does not hold them.
WORDS = [
    (r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b', 'finish it now, or leave the note elsewhere'),
    (r'\bissues?\s*#?\d+', 'say what and why instead of a number that leads nowhere'),
    (r'(?<![\w.])/wo' r'rk/|\.\./sh' r'ared', 'a path of one machine has no place here'),
    (r'\bsub' r'agents?\b|\b[Cc]la' r'ude\b', 'the text is about the product, not about who wrote'),
    (r'\b(semantics|design|libraft|raftstep|peers|reliability|style)\.m' r'd\b',
     'cite docs/contract.md, docs/map.md, protocol/README.md or CONTRIBUTING.md'),
    (r'\b(deb|ftp|security|snapshot|archive)\.(debian|ubuntu)\.(org|com)|\bpypi\.org'
     r'|\bregistry\.npm|\bcrates\.io|\bproxy\.golang', 'take the mirror from the machine'),
]
WORDS = [(re.compile(pattern), use) for pattern, use in WORDS]


def check_words(source, tree):
    for line, text in enumerate(source.lines, 1):
        for pattern, use in WORDS:
            match = pattern.search(text)
            if match:
                yield line, f'"{match.group()}": {use}'


# ---------------------------------------------------------------- comments

HEAD_LINES_MAX = 30
SELF_EVIDENT_LINES_MAX = 4  # an inline function of one statement
OWN_HEAD_FROM_LINES = 300  # a shorter .c file may leave its story to its header


def check_head(source, tree):
    """Every file begins with its story: what it owns, the happy path, the failure modes."""
    if source.path.endswith(('.py', '.sh')) or source.lines and source.lines[0].startswith('#!'):
        story = source.lines[1 if source.lines[0].startswith('#!') else 0:][:1]
        if not story or not story[0].startswith(('#', '"""')):
            yield 1, 'begin the script with a comment that says what it does and how to call it'
        return
    if not source.is_c:
        return
    head = source.comments[0] if source.comments else None
    if head and head[0] == 1 and source.text.startswith('/*'):
        if head[1] > HEAD_LINES_MAX and not source.path.startswith(PUBLIC_HEADERS):
            yield 1, f'the head comment has {head[1]} lines: 3 to 15 tell the story'
        return
    if (source.path.endswith('.c') and len(source.lines) < OWN_HEAD_FROM_LINES
            and source.path[:-2] + '.h' in tree.paths):
        return
    yield 1, 'begin the file with a comment: what it owns, the happy path, the failure modes'


def check_line_comments(source, tree):
    for first, _, text in source.comments:
        if text.startswith('//'):
            yield first, 'write /* sentences */, and delete code instead of commenting it out'


def documented(source, line, ends):
    """A comment ends right above, or a declaration that has one does (a group without blanks)."""
    while line > 1:
        if source.comment_ending_on(line - 1):
            return True
        if line - 1 not in ends or ends[line - 1] >= line:
            return False
        line = ends[line - 1]
    return False


def check_docs(source, tree):
    """A header documents every function that it offers and every field of its structs."""
    if not source.is_header or source.room == 'tests':
        return
    items = source.declarations + source.functions
    ends = {item.last: item.first for item in items + source.structs}
    for item in items:
        if item in source.functions and item.length <= SELF_EVIDENT_LINES_MAX:
            continue  # its one line is its description
        if not documented(source, item.first, ends):
            yield item.first, f'document {item.name}: verb, object, result; ranges; each status'
    for struct in source.structs:
        whole = source.comment_ending_on(struct.first - 1) is not None
        for line, field in source.fields(struct):
            if '(*' in field and (whole or re.search(r'_ops\b', struct.name)):
                continue  # a table of operations is described as a whole
            if re.match(r'(?:struct|enum) (?:\w+_)?(\w+) \1$', field):
                continue  # `struct message_vote vote` is what it says
            if not (source.has_comment_starting_on(line) or source.comment_alone_above(line)):
                yield line, f'say what `{field}` is, with its unit, in a phrase to its right'


NO_FAILURE = re.compile(r'(^refuse|_(compare|cmp|count|main|time|errno))$')


def check_results(source, tree):
    """An int that may be a failure cannot be dropped."""
    if not source.is_header or source.room in ('tests', 'examples'):
        return
    for item in source.declarations + source.functions:
        returns = item.text.split('(')[0]
        if re.search(r'\bint\s+\w+\s*$', returns) and not re.search(r'HF_MUST_USE|HF_API', returns):
            if not NO_FAILURE.search(item.name):
                yield item.first, f'mark {item.name} with HF_MUST_USE, or return what it means'


PUBLIC_HEADERS = 'client/include/'
STATUS_HEADER = PUBLIC_HEADERS + 'holdfast_status.h'


def check_public_header(source, tree):
    """In the public headers no argument goes unmentioned, and a failure has its causes."""
    if not source.path.startswith(PUBLIC_HEADERS):
        return
    for item in source.declarations:
        doc = source.comment_ending_on(item.first - 1)
        if doc is None or re.search(r'\b[Aa]s\s+(\*\s+)?hf_\w+\(\)', doc[2]):
            continue  # check_docs says so, or another one's text does
        arguments = item.text[item.text.index('(') + 1:-1]
        arguments = re.sub(r'\(\*(\w+)\)\s*\([^()]*\)', r'\1', arguments)  # callbacks
        for argument in arguments.split(','):
            name = re.search(r'(\w*)(\[[^\]]*\])*\s*$', argument).group(1)
            handle = re.search(r'\bhf_\w+ \*|_cb\s*$|\*data$', argument)
            if not (handle or name in ('', 'void') or re.search(r'\b%s\b' % name, doc[2])):
                yield item.first, f'{item.name}: describe \\param {name} with its legal range'
        for name in re.findall(r'\\param\s+(\w+)', doc[2]):
            if not re.search(r'\b%s\b' % name, item.text):
                yield item.first, f'{item.name}: \\param {name} is no parameter of it'
        if 'HF_NODISCARD' in item.text and '\\retval' not in doc[2]:
            yield item.first, f'{item.name}: list each status it returns with \\retval'


def check_statuses(tree):
    """Every status of the one list is in the public header, with the same number."""
    listed, public = tree.by_path.get('base/status.def'), tree.by_path.get(STATUS_HEADER)
    if listed is None or public is None:
        return
    for line, text in enumerate(listed.lines, 1):
        match = re.match(r'HF_STATUS\((\w+), (-?\d+),', text)
        if not match:
            continue
        name, number = match.groups()
        if not re.search(r'\b%s\b' % name, public.text):
            yield listed, line, f'{name} is not in {STATUS_HEADER}: declare and explain it there'
        given = re.search(r'\b%s\s*=\s*\(?(-?\d+)' % name, public.code)
        if given and given.group(1) != number:
            yield listed, line, f'{name} is {given.group(1)} in {STATUS_HEADER}, here {number}'


def check_named_tests(tree):
    """A test that a document names exists."""
    code = [s.text for s in tree.sources if s.room == 'tests' and s.is_c]
    tests = set(re.findall(r'^static void (test_\w+)\(', '\n'.join(code), re.M))
    for source in tree.sources:
        for line, text in enumerate(source.lines if source.room == 'docs' else [], 1):
            for name in re.findall(r'`(test_\w+)`', text):
                if name not in tests:
                    yield source, line, f'there is no {name} in tests/: name what shows it now'


# ---------------------------------------------------------------- assertions and jumps

ASSERTING = re.compile(r'\b(HF_ASSERT|HF_UNREACHABLE|_Static_assert)\b|\bassert_\w+\(')
ASSERT_FROM_LINES = 10     # shorter functions are not counted
ASSERT_REQUIRED_LINES = 50  # a longer one without any assertion is refused, by itself
# The least average of assertions a function, by room. Raise it when a room is above it for good.
ASSERT_ROOMS = {'machine': 0.6, 'raft': 0.6, 'storage': 0.8, 'protocol': 0.6, 'server': 0.25}
ASSERT_SAMPLE_MIN = 10     # functions that a room has before its average means something


def counted_functions(source):
    return [f for f in source.functions if f.length > ASSERT_FROM_LINES]


def check_assertions(source, tree):
    """Long functions of the rooms that decide state what they rely on."""
    if source.room not in ASSERT_ROOMS or not source.path.endswith('.c'):
        return
    for item in counted_functions(source):
        if item.length > ASSERT_REQUIRED_LINES and not ASSERTING.search(item.body):
            yield item.first, (f'{item.name} has {item.length} lines and no HF_ASSERT: state what '
                               'it relies on')


def check_density(tree):
    for room, least in ASSERT_ROOMS.items():
        files = [s for s in tree.sources if s.room == room and s.path.endswith('.c')]
        bodies = [f.body for s in files for f in counted_functions(s)]
        count = sum(len(ASSERTING.findall(body)) for body in bodies)
        if len(bodies) >= ASSERT_SAMPLE_MIN and count < least * len(bodies):
            yield files[0], 1, (f'{room}/ has {count} assertions in {len(bodies)} functions over '
                                f'{ASSERT_FROM_LINES} lines; {least} each is the least average')


def check_jumps(source, tree):
    """goto only forwards, only to release."""
    for item in source.functions:
        for match in re.finditer(r'\bgoto\s+(\w+)', item.body):
            label = re.search(r'^\s*%s\s*:' % match.group(1), item.body, re.M)
            if label is None or label.start() < match.start():
                line = item.first + item.text.count('\n') + 1 + item.body.count(
                    '\n', 0, match.start())
                yield line, 'goto leads only forwards, to the release at the end'


def check_typedefs(source, tree):
    inside = source.room not in ('tests', 'examples')
    if source.is_c and inside and not source.path.startswith(PUBLIC_HEADERS):
        for line, text in enumerate(source.code.split('\n'), 1):
            if re.match(r'\s*typedef\s+(struct|union|enum)\b', text):
                yield line, 'write `struct x`: typedefs are for the public header'


def check_names(source, tree):
    for item in source.functions:
        if item.name != item.name.lower() and source.room != 'tests':
            yield item.first, f'{item.name}: names are lower_case'
        if item.name.startswith('_'):
            yield item.first, f'{item.name}: no leading underscores'


# ---------------------------------------------------------------- the tree

FILE_RULES = [check_arrows, check_doors, check_size, check_blanks, check_calls, check_words,
              check_head, check_line_comments, check_docs, check_results, check_public_header,
              check_assertions, check_jumps, check_typedefs, check_names]
TREE_RULES = [check_one_uv_file_in_raft, check_statuses, check_named_tests, check_density]
SKIPPED = {'.git', 'build', '.cache', '__pycache__'}


class Tree:
    """Every text file of the repository, parsed."""

    def __init__(self, root):
        self.sources = []
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(d for d in folders if d not in SKIPPED)
            for name in sorted(files):
                full = os.path.join(folder, name)
                with open(full, 'rb') as file:
                    content = file.read()
                if b'\0' not in content and not name.endswith('.pyc'):
                    path = os.path.relpath(full, root)
                    self.sources.append(Source(path, content.decode('utf-8', 'replace')))
        self.by_path = {s.path: s for s in self.sources}
        self.paths = set(self.by_path)


def violations(root):
    """(path, line, sentence) of every violation in the tree, in order."""
    tree = Tree(root)
    found = [(s.path, line, text) for rule in TREE_RULES for s, line, text in rule(tree)]
    for source in tree.sources:
        for rule in FILE_RULES:
            found += [(source.path, line, text) for line, text in rule(source, tree)]
    return len(tree.sources), sorted(found)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), '..')
    count, found = violations(root)
    for path, line, text in found:
        print(f'{path}:{line}: {text}')
    print(f'house rules: {count} files, {len(found)} violations')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
