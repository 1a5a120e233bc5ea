#!/usr/bin/env python3
"""The manual pages of docs/man say what the programs and headers say, and `man` can show them.

    tests/man_test.py BIN_DIR            fails, and says where, unless all of this holds:
    tests/man_test.py BIN_DIR --write    first puts what the programs print into their pages

Between `.\\" printed: begin` and `.\\" printed: end`, holdfast.1 and holdfastd.8 have the help that
the programs in BIN_DIR print, word by word: so no verb and no option can be missing or gone. Every
call that a public header declares is named in a page of section 3, and every name of a call there
is one. Pages are shown without a warning, where there is a `man` or `mandoc` to show them.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = os.path.join(ROOT, 'docs', 'man')
BEGIN, END = '.\\" printed: begin\n', '.\\" printed: end\n'
CALL = re.compile(r'\bhf_[a-z_]+')


def help_of(program, *words):
    """What the program prints; it asks no server."""
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def literal(text):
    """Text as it stands, in mdoc."""
    lines = []
    for line in text.replace('\\', '\\e').rstrip('\n').split('\n'):
        lines.append('\\&' + line if line[:1] in ("'", '.') else line)
    return '.Bd -literal\n' + '\n'.join(line.rstrip() for line in lines) + '\n.Ed\n'


def verbs_of(whole):
    """The verbs that `holdfast --help` lists, without help itself."""
    listed = whole[whole.index('\nVerbs:\n') + 8:whole.index('\nOptions, ')]
    found = re.findall(r'^  ([a-z]+)(?: |$)', listed, re.M)
    return [verb for verb in found if verb != 'help']


def printed_of_client(bin_dir):
    """The verbs of holdfast.1, each with its help; then what is said of all of them."""
    program = os.path.join(bin_dir, 'holdfast')
    whole = help_of(program, '--help')
    text = ''
    for verb in verbs_of(whole):
        text += f'.Ss {verb}\n' + literal(help_of(program, 'help', verb))
    options = whole[whole.index('\nOptions, ') + 1:whole.index('\nExit codes:')]
    codes = whole[whole.index('\nExit codes:') + 1:]
    return text + '.Sh OPTIONS\n' + literal(options) + '.Sh EXIT STATUS\n' + literal(codes)


def printed_of_server(bin_dir):
    """The settings of holdfastd.8, without the line that tells the version."""
    text = help_of(os.path.join(bin_dir, 'holdfastd'), '--help')
    return literal(text[text.index('usage: '):])


def check_printed(name, wanted, write):
    """The page has what its program prints."""
    path = os.path.join(PAGES, name)
    with open(path, encoding='utf-8') as file:
        page = file.read()
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    if write:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(page[:begin] + wanted + page[end:])
    elif page[begin:end] != wanted:
        yield (f'docs/man/{name} does not have what its program prints now: run '
               'tests/man_test.py BIN_DIR --write')


def declared():
    """Every call of the public headers."""
    calls = set()
    for path in glob.glob(os.path.join(ROOT, 'client', 'include', '*.h')):
        with open(path, encoding='utf-8') as file:
            text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
        calls.update(re.findall(r'HF_API[^;{]*?\b(hf_\w+)\s*\(', text))
    return calls


def check_calls():
    """Section 3 names every call, once, and nothing else as one."""
    places = {}
    for path in sorted(glob.glob(os.path.join(PAGES, '*.3'))):
        with open(path, encoding='utf-8') as file:
            for call in re.findall(r'^\.It Fn (\S+)', file.read(), re.M):
                places.setdefault(call, []).append(os.path.basename(path))
    calls = declared()
    for call in sorted(calls - set(places)):
        yield f'{call}() is in no page of section 3: add an `.It Fn {call}` where it belongs'
    for call in sorted(set(places) - calls):
        yield f'{places[call][0]} tells of {call}(), which no public header declares'
    for call, pages in places.items():
        if len(pages) > 1:
            yield f'{call}() stands in {" and ".join(pages)}: leave it in one'


def check_shown(path):
    """The page can be shown."""
    commands = []
    if shutil.which('man'):
        commands.append(['man', '--warnings', '-E', 'UTF-8', '-l', path])
    if shutil.which('mandoc'):
        commands.append(['mandoc', '-T', 'lint', '-W', 'warning', path])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              env={**os.environ, 'MANPAGER': 'cat', 'MANWIDTH': '100'})
        said = done.stderr + (done.stdout if command[0] == 'mandoc' else '')
        if done.returncode != 0 or said.strip():
            yield f'{command[0]} does not like docs/man/{os.path.basename(path)}: {said.strip()}'


def main(bin_dir, *options):
    write = '--write' in options
    wrong = list(check_printed('holdfast.1', printed_of_client(bin_dir), write))
    wrong += check_printed('holdfastd.8', printed_of_server(bin_dir), write)
    wrong += check_calls()
    pages = sorted(glob.glob(os.path.join(PAGES, '*.[138]')))
    for page in pages:
        wrong += check_shown(page)
    for sentence in wrong:
        print(sentence)
    print(f'manual pages: {len(pages)}, {len(wrong)} faults')
    return 1 if wrong or not pages else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
