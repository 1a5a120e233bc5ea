#!/usr/bin/env python3
"""That the driver of the comparison counts right, and that a run of it works: no time is judged.

    tests/bench/compare_test.py BIN     BIN has holdfastd and holdfast

Its arithmetic and its parsers are fed by hand; the load generator for the Redis protocol is built
and set on a small server that this file plays, honest or not; and `compare one holdfast` really
runs, for a second with two clients.
"""
import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'rivals'))
import build  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import processes  # noqa: E402
import report  # noqa: E402
from points import POINTS  # noqa: E402
from trials import TRIALS  # noqa: E402

BIN = sys.argv.pop(1) if len(sys.argv) > 1 else ''


class Figures(unittest.TestCase):
    """Arithmetic."""

    def test_a_percentile_is_the_value_that_so_many_do_not_exceed(self):
        values = list(range(1, 101))
        self.assertEqual(figures.percentile(values, 0.5), 50)
        self.assertEqual(figures.percentile(values, 0.99), 99)
        self.assertEqual(figures.percentile(values, 1), 100)
        self.assertEqual(figures.percentile([7], 0.999), 7)
        self.assertEqual(figures.percentile([3, 1, 2], 0), 1)
        self.assertIsNone(figures.percentile([], 0.5))

    def test_every_rival_runs_next_to_one_of_ours(self):
        rivals = ['a', 'b', 'c', 'd', 'e']
        for count in range(1, 6):
            for turn in range(7):
                line = figures.order('us', rivals[:count], turn)
                runs = [(name, {'x': 1}) for name in line]
                for rival in rivals[:count]:
                    self.assertEqual(line.count(rival), 1)
                    self.assertEqual(len(figures.neighbours(runs, 'us', rival)), 1, line)
        self.assertEqual(figures.order('us', []), ['us'])

    def test_rivals_take_turns_at_being_first(self):
        firsts = {figures.order('us', ['a', 'b', 'c'], turn)[1] for turn in range(3)}
        self.assertEqual(firsts, {'a', 'b', 'c'})

    def test_a_ratio_is_of_neighbours_and_failed_runs_make_none(self):
        runs = [('us', {'v': 20}), ('a', {'v': 2}), ('b', {'v': 1}), ('us', {'v': 30}),
                ('us', None), ('a', {'v': 5}), ('b', None), ('us', {'v': 7})]
        self.assertEqual(figures.ratios(figures.neighbours(runs, 'us', 'a'), 'v'),
                         {'n': 1, 'min': 10, 'median': 10, 'max': 10})
        self.assertEqual(figures.ratios(figures.neighbours(runs, 'us', 'b'), 'v')['median'], 30)
        self.assertIsNone(figures.ratios([({'v': 1}, {'v': 0})], 'v'))
        self.assertIsNone(figures.ratios([({'v': 1}, {})], 'v'))

    def test_a_path_that_leads_nowhere_is_none(self):
        self.assertEqual(figures.value_at({'a': {'b': 3}}, 'a.b'), 3)
        self.assertIsNone(figures.value_at({'a': 1}, 'a.b'))


class Proc(unittest.TestCase):
    """What is read of /proc."""

    def test_a_name_with_blanks_and_brackets_does_not_shift_the_fields(self):
        fields = ['S', '42'] + ['0'] * 9 + ['150', '50'] + ['0'] * 30
        parent, seconds = processes.parse_stat('7 (a) b (c) ' + ' '.join(fields))
        self.assertEqual(parent, 42)
        self.assertEqual(seconds, 200 / processes.TICKS_PER_S)

    def test_memory_is_bytes_and_the_page_cache_is_not_ones_own(self):
        text = '1-2 [rollup]\nRss: 4096 kB\nPss:  2048 kB\nPss_Anon: 9 kB\nPss_File: 1024 kB\n'
        self.assertEqual(processes.parse_rollup(text), {'resident': 2 << 20, 'own': 1 << 20})
        self.assertEqual(processes.parse_rollup(''), {'resident': 0, 'own': 0})
        self.assertGreater(processes.memory([os.getpid()])['own'], 1 << 20)

    def test_a_process_that_works_uses_time(self):
        before = processes.cpu_seconds([os.getpid()])
        until = before + 0.05
        while processes.cpu_seconds([os.getpid()]) < until:
            pass
        self.assertGreaterEqual(processes.exact_seconds(os.getpid()), 0.05)

    def test_descendants_are_counted_and_strangers_are_not(self):
        child = subprocess.Popen(['sh', '-c', 'sleep 30 & wait'])
        try:
            processes.eventually('a grandchild', 20,
                                 lambda: len(processes.family([child.pid])) == 2)
            self.assertNotIn(os.getpid(), processes.family([child.pid]))
        finally:
            processes.end(child)
        self.assertEqual(processes.family([child.pid]), {})

    def test_a_folder_is_counted_by_its_blocks(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, 'sparse'), 'wb') as file:
                file.truncate(1 << 30)
            self.assertLess(processes.folder_bytes(folder), 1 << 20)

    def test_the_machine_is_described(self):
        self.assertGreaterEqual(machine.described('/tmp')['cores'], 1)


class Results(unittest.TestCase):
    """Parsing and tables."""

    def test_the_last_line_counts_and_anything_else_is_refused(self):
        line = 'a warning\n{"cycles_per_s": 5, "errors": 0}\n'
        self.assertEqual(measure.parse_line(line, 'x')['cycles_per_s'], 5)
        for bad in ('', 'text', '{"cycles_per_s": 5', '{"errors": 0}', '{"cycles_per_s": "5"}'):
            with self.assertRaises(processes.Failed):
                measure.parse_line(bad, 'x')

    def test_cpu_is_a_share_of_the_time_looked_at(self):
        got = measure.rates((10, 1, 0), (12, 2, 0.5), 1000)
        self.assertEqual(got['server_cores'], 0.5)
        self.assertEqual(got['server_cpu_s_per_1000'], 0.5)
        self.assertEqual(got['client_cpu_s_per_1000'], 0.25)

    def test_tables_name_everybody_and_failed_runs_do_not_break_them(self):
        ours = {'cycles_per_s': 300, 'acquire_us': {'p99': 50}, 'errors': 0}
        theirs = {'cycles_per_s': 100, 'acquire_us': {'p99': 100}, 'errors': 2}
        measured = {'point': 'lock-1', 'what': '', 'ours': 'holdfast', 'runs': [
            ('holdfast', ours), ('etcd', theirs), ('valkey', None), ('holdfast', ours)]}
        first = report.ratio_table([measured])
        self.assertIn('| lock-1 | etcd | 3 (3-3) | - | 0.5 (0.5-0.5) | - | 1 |', first)
        self.assertIn('| lock-1 | valkey | - | - | - | - | 0 |', first)
        self.assertIn('| 2 | 1 |', report.figure_table([measured]))
        json.dumps(report.as_object([measured]))

    def test_a_trial_has_a_row_a_system_and_failures_are_named(self):
        found = {'holdfast': {'n': 2, 'median_ms': 240, 'max_ms': 260.4}, 'etcd': None}
        table = report.trial_table('failover', found)
        self.assertIn('| holdfast | 2 | 240 | 260 |', table)
        self.assertIn('| etcd | failed | failed | failed |', table)
        self.assertEqual(set(report.TRIAL_COLUMNS), set(TRIALS))

    def test_points_have_names_of_their_own(self):
        self.assertEqual(len({p.name for p in POINTS}), len(POINTS))


class RespHandler(socketserver.StreamRequestHandler):
    """One connection of a server that knows what the load generator asks."""

    def words(self):
        """One request, or [] at the end."""
        head = self.rfile.readline()
        found = []
        for _ in range(int(head[1:]) if head else 0):
            size = int(self.rfile.readline()[1:])
            found.append(self.rfile.read(size + 2)[:-2])
        return found

    def handle(self):
        while True:
            words = self.words()
            if not words:
                return
            with self.server.lock:
                self.wfile.write(self.answer(words))

    def answer(self, words):
        """The bytes that answer a request; notes what must not be."""
        names = self.server.names
        if words[0] == b'SCRIPT':
            return b'$40\r\n' + b'a' * 40 + b'\r\n'
        if words[0] == b'EVALSHA':
            good = names.pop(words[3], None) == words[4]
            return b':1\r\n' if good else b':0\r\n'
        if b'NX' in words:
            if self.server.refuse or words[1] in names:
                return b'$-1\r\n'
            names[words[1]] = words[2]
            return b'+OK\r\n'
        if words[1] not in names or len(words[2]) != 232:
            self.server.wrong.append(words)
        return b'+OK\r\n'


class RespServer(socketserver.ThreadingTCPServer):
    """A server in memory, on a free port, in a thread."""
    daemon_threads = True

    def __init__(self, refuse=False):
        super().__init__(('127.0.0.1', 0), RespHandler)
        self.lock = threading.Lock()
        self.names = {}
        self.wrong = []      # requests that should not have come
        self.refuse = refuse  # answer that every name is taken
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self):
        """host:port"""
        return '127.0.0.1:%d' % self.server_address[1]


class LoadResp(unittest.TestCase):
    """The load generator in C."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='holdfast-test-')
        why = build.c_program(cls.folder.name, 'load_resp')
        if why:
            raise unittest.SkipTest(why)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def go(self, kind, servers, *more, count=None):
        """Its exit code and what it printed, after a second of load."""
        with subprocess.Popen(
                [os.path.join(self.folder.name, 'load_resp'), kind,
                 *([str(count)] if count else []), '--servers',
                 ','.join(s.address() for s in servers), '--seconds', '1', '--warm-up', '0', *more],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            out, err = run.communicate(timeout=60)
        for server in servers:
            server.shutdown()
            server.server_close()
        return run.returncode, out, err

    def test_locks_are_taken_and_given_back_over_shared_connections(self):
        server = RespServer()
        code, out, err = self.go('lock', [server], '--clients', '6', '--connections', '2')
        self.assertEqual(code, 0, err)
        self.assertEqual(measure.parse_line(out, 'x')['errors'], 0)
        self.assertEqual(server.names, {})

    def test_records_hold_their_body_when_they_are_complete(self):
        server = RespServer()
        code, out, err = self.go('record', [server], '--clients', '2')
        self.assertEqual(code, 0, err)
        self.assertEqual(measure.parse_line(out, 'x')['errors'], 0)
        self.assertEqual(server.wrong, [])
        self.assertTrue(server.names)

    def test_two_of_three_servers_are_enough_and_one_is_not(self):
        servers = [RespServer(), RespServer(), RespServer(refuse=True)]
        code, out, err = self.go('lock', servers, '--clients', '3')
        self.assertEqual(code, 0, err)
        self.assertEqual(measure.parse_line(out, 'x')['errors'], 0)
        servers = [RespServer(), RespServer(refuse=True), RespServer(refuse=True)]
        code, out, _ = self.go('lock', servers, '--clients', '1')
        self.assertEqual(code, 1)
        self.assertGreater(measure.parse_line(out, 'x')['errors'], 0)

    def test_filling_ends_when_so_many_are_made(self):
        server = RespServer()
        code, _, err = self.go('fill', [server], '--clients', '4', count=50)
        self.assertEqual(code, 0, err)
        self.assertEqual(server.wrong, [])
        self.assertGreaterEqual(len(server.names), 50)
        self.assertLess(len(server.names), 50 + 4)

    def test_the_longest_time_without_a_grant_reaches_to_the_end(self):
        server = RespServer()
        code, out, err = self.go('lock', [server], '--clients', '1', '--rate', '1')
        self.assertEqual(code, 0, err)
        self.assertGreater(measure.parse_line(out, 'x')['gap_us'], 400000)

    def test_the_machine_is_probed(self):
        why = build.c_program(self.folder.name, 'load_probe')
        self.assertEqual(why, '')
        run = subprocess.run([os.path.join(self.folder.name, 'load_probe'), self.folder.name, '1'],
                             stdout=subprocess.PIPE, text=True, check=True)
        found = measure.parse_object(run.stdout, 'x')
        self.assertGreater(found['synced_write_us']['max'], 0)

    def test_a_rate_is_not_exceeded(self):
        server = RespServer()
        code, out, err = self.go('lock', [server], '--clients', '2', '--rate', '20')
        self.assertEqual(code, 0, err)
        self.assertLessEqual(measure.parse_line(out, 'x')['cycles_per_s'], 22)

    def test_wrong_arguments_are_refused(self):
        for words in (['lock'], ['dance', '--servers', 'x'], ['lock', '--servers'],
                      ['lock', '--servers', '127.0.0.1:1', '--clients', '0']):
            run = subprocess.run([os.path.join(self.folder.name, 'load_resp'), *words],
                                 stderr=subprocess.PIPE, check=False)
            self.assertEqual(run.returncode, 64, words)


@unittest.skipUnless(BIN, 'needs the folder of holdfastd')
class Whole(unittest.TestCase):
    """The driver as people call it."""

    def go(self, *words):
        """Its exit code and standard output."""
        with tempfile.TemporaryDirectory(prefix='holdfast-test-') as folder:
            run = subprocess.run(
                [os.path.join(HERE, 'compare'), *words, '--out', os.path.join(folder, 'out')],
                env={**os.environ, 'HOLDFAST_BIN': BIN, 'TMPDIR': folder}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return run.returncode, run.stdout, run.stderr

    def test_holdfast_is_measured_for_a_second(self):
        code, out, err = self.go('one', 'holdfast', 'lock', '2', '--seconds', '1')
        self.assertEqual(code, 0, err)
        result = json.loads(out)
        self.assertGreater(result['cycles_per_s'], 0)
        self.assertGreater(result['resident_mb'], 1)
        self.assertIn('server_cpu_s_per_1000', result)

    def test_wrong_arguments_are_refused(self):
        for words in (['--only', 'nothing'], ['two'], ['--systems', 'x'], ['--no-such-thing']):
            self.assertEqual(self.go(*words)[0], 64, words)


if __name__ == '__main__':
    unittest.main()
