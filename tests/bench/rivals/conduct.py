"""Conducts the comparison: which systems are here, their runs one after the other, in rounds."""
import json
import os
import sys
import time

import build
import figures
import machine
import measure
from etcd import Etcd
from holdfast import Holdfast
from points import POINTS
from postgresql import PostgreSQL
from processes import Failed
from trials import TRIALS
from valkey import Redlock, Valkey
from zookeeper import ZooKeeper

SYSTEMS = {system.name: system for system in
           (Holdfast, Valkey, Redlock, Etcd, ZooKeeper, PostgreSQL)}


def names():
    """Of all points and trials."""
    return [point.name for point in POINTS] + list(TRIALS)


def say(text):
    """Progress."""
    print(text, file=sys.stderr, flush=True)


class Session:
    """One run of the driver: its folder, what is here, what was skipped."""

    def __init__(self, folder, given):
        os.chmod(folder, 0o711)  # a server that is not root must get through
        self.folder = folder
        self.given = given
        self.count = 0      # of runs: each has a folder of its own
        self.failures = 0
        self.skipped = {}   # name: why
        self.machine = machine.described(folder)
        wanted = given.words[1:2] or given.systems or list(SYSTEMS)
        self.here = [name for name in SYSTEMS if name in wanted and self.look(name)]
        if 'holdfast' in self.skipped:
            raise Failed(f'not found: {self.skipped["holdfast"]}')

    def look(self, name):
        """Whether a system can be measured; says so where not."""
        why = SYSTEMS[name].missing() or build.generator(self.folder, name)
        if why:
            self.skipped[name] = why
            say(f'skipped: {name}: not found: {why}')
        return not why

    def versions(self):
        """{name: version} of all that are here."""
        return {name: SYSTEMS[name].version() for name in self.here}

    def system(self, name):
        """A new one, not started."""
        self.count += 1
        return SYSTEMS[name](self.folder, os.path.join(self.folder, f'run-{self.count}'))

    def with_servers(self, name, what):
        """Start a system, return what(system), stop it; None if that failed, which is said."""
        system = self.system(name)
        try:
            system.start()
            return what(system)
        except Failed as why:
            self.failures += 1
            say(f'FAILED: {name}: {why}')
            return None
        finally:
            system.stop()

    def run(self, name, kind, clients, connections):
        """One run with servers of its own; None if it failed."""
        result = self.with_servers(name, lambda system: measure.run(
            system, kind, clients, connections, self.given.seconds))
        self.note({'system': name, 'kind': kind, 'clients': clients, 'connections': connections,
                   'result': result})
        return result

    def trial(self, name):
        """One of TRIALS: {system: figures}."""
        say(f'{name} ...')
        found = TRIALS[name](self)
        self.note({'trial': name, 'result': found})
        for system, result in found.items():
            say(f'{name:18} {system:12} {json.dumps(result)}')
        return found

    def note(self, what):
        """Append one line to the file of results."""
        with open(self.given.out, 'a', encoding='utf-8') as file:
            file.write(json.dumps({'at': round(time.time()), **what}) + '\n')

    def point(self, point):
        """All rounds of one point; None if holdfast is not among the systems."""
        rivals = [name for name in point.rivals if name in self.here]
        if 'holdfast' not in self.here:
            return None
        runs = []
        for round_number in range(self.given.rounds):
            for name in figures.order('holdfast', rivals, round_number):
                result = self.run(name, point.kind, point.clients, point.connections)
                runs.append((name, result))
                if result:
                    say(f'{point.name:18} {name:12} {result["cycles_per_s"]:8,} cycles/s  '
                        f'p99 {result["acquire_us"]["p99"]:,} us')
        return {'point': point.name, 'what': point.what, 'ours': 'holdfast', 'runs': runs}
