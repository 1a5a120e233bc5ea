#!/usr/bin/env python3
"""Drives jepsen/campaign with a program in the place of holdfast-jepsen that ends at once.

    tests/campaign_test.py       prints what is wrong, exits 1 if anything

What must hold: a sitting goes on where the last one ended, each row is another run, what was not
good is told by the exit code and kept whole, and a table of something else is left alone.
"""
import os
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

FAKE = '''#!/bin/sh
# In the place of holdfast-jepsen: as much of a run as the campaign looks at.
shift
while [ $# -gt 0 ]; do eval "$(echo "$1" | cut -c3-)=$2"; shift 2; done
mkdir -p "$out/server-1"
echo '{}' > "$out/history.jsonl"
echo page > "$out/report.html"
[ $seed = 41000003 ] && exit 74
verdict=good code=0
[ $seed = 41000002 ] && verdict=violated code=1
cat > "$out/summary.json" <<END
{"verdict": "$verdict", "ops": 100, "ok": 90, "unknown": 2, "faults": 3, "leader_changes": 1,
 "ops_per_s_before_faults": 500,
 "leases": 40, "early_expiries": 0, "payments": {"begun": 10, "cut_by_death": 1, "unknown": 3,
 "double_effects": 0, "late_writes_refused": 2}}
END
exit $code
'''

failures = []


def expect(what, seen, wanted):
    if seen != wanted:
        failures.append(f'{what}: {seen!r}, not {wanted!r}')


def campaign(folder, *arguments):
    ended = subprocess.run(
        [os.path.join(TOP, 'jepsen/campaign'), '--table', os.path.join(folder, 'table'),
         '--out', os.path.join(folder, 'runs'), '--jepsen', os.path.join(folder, 'jepsen'),
         *arguments], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout.splitlines(), ended.stderr


def rows_of(folder):
    with open(os.path.join(folder, 'table'), encoding='utf-8') as file:
        return [line.split('\t') for line in file.read().splitlines()[1:]]


def test_sittings(folder):
    code, _, errors = campaign(folder, '--runs', '2')
    expect('two good runs', (code, errors), (0, ''))
    expect('their rows', sorted(row[0] for row in rows_of(folder)), ['0', '1'])
    expect('two workloads', len({row[1] for row in rows_of(folder)}), 2)
    expect('what stays of a good one', sorted(os.listdir(os.path.join(folder, 'runs/00000'))),
           ['history.jsonl.gz', 'report.html', 'summary.json'])

    code, out, errors = campaign(folder, '--runs', '2', '--jobs', '1')
    expect('a violated and a failed run', (code, errors), (1, ''))
    expect('all rows', [row[0] for row in rows_of(folder)[2:]], ['2', '3'])
    expect('their verdicts', [row[-1] for row in rows_of(folder)[2:]], ['violated', 'exit-74'])
    expect('what stays of a bad one', os.path.isdir(os.path.join(folder, 'runs/00002/server-1')),
           True)
    expect('totals', out[-1], '4 runs, 0.13 hours: 300 ops, 6 unknown, 9 faults, 3 leader_changes, '
           '120 leases, 0 early_expiries, 30 payments, 3 cut_by_death, 9 unsure, 0 double_effects, '
           '6 late_writes_refused; 1 exit-74, 2 good, 1 violated')
    code, _, _ = campaign(folder, '--runs', '2', '--jobs', '1', '--workloads', 'lock',
                          '--nemeses', 'kill;pause,clock')
    expect('a part of all', (code, [row[1:3] for row in rows_of(folder)[4:]]),
           (0, [['lock', 'kill'], ['lock', 'pause,clock']]))
    code, out, _ = campaign(folder, '--totals')
    expect('totals alone', (code, len(out), len(rows_of(folder))), (0, 1, 6))


def test_refusals(folder):
    with open(os.path.join(folder, 'table'), 'w', encoding='utf-8') as file:
        file.write('something else\n')
    expect('a foreign table', campaign(folder, '--runs', '1')[0], 64)
    expect('nothing was run', os.listdir(os.path.join(folder, 'runs')), [])
    os.remove(os.path.join(folder, 'table'))
    expect('no runs', campaign(folder, '--runs', '0')[0], 64)
    expect('no program', campaign(folder, '--jepsen', '/nowhere')[0], 64)
    expect('an unknown flag', campaign(folder, '--unknown')[0], 64)


def main():
    for test in (test_sittings, test_refusals):
        with tempfile.TemporaryDirectory() as folder:
            fake = os.path.join(folder, 'jepsen')
            with open(fake, 'w', encoding='utf-8') as file:
                file.write(FAKE)
            os.chmod(fake, 0o755)
            test(folder)
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
