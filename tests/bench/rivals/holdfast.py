"""holdfast itself: three servers of the release build, driven by `holdfast bench`."""
import json
import os
import subprocess

import processes
from system import ROOT, System, options, said

BIN = os.environ.get('HOLDFAST_BIN', os.path.join(ROOT, 'build', 'release', 'bin'))


def command(name):
    """Where the binary is."""
    return os.path.join(BIN, name)


class Holdfast(System):
    """Three servers; every reply is on a majority's disks."""
    name = 'holdfast'
    guarantee = 'on the disks of a majority of three; fencing token'

    @classmethod
    def missing(cls):
        for name in ('holdfastd', 'holdfast'):
            if not os.access(command(name), os.X_OK):
                return f'{command(name)} (cmake --preset release && cmake --build --preset release)'
        return ''

    @classmethod
    def version(cls):
        return said([command('holdfastd'), '--version'])

    def members(self):
        """The text of --cluster."""
        peers = self.ports[self.server_count:]
        return ','.join(f'{i}=127.0.0.1:{port}' for i, port in enumerate(peers, 1))

    def start(self):
        self.ports = processes.free_ports(2 * self.server_count)
        for number in range(1, self.server_count + 1):
            self.spawn(number, ['--new-cluster'])
        for number in self.servers:
            self.await_ready(number)
        self.leader()

    def spawn(self, number, more):
        """Start a server, without waiting."""
        with open(self.log(number), 'wb'):
            pass  # only what it says from now on
        self.servers[number] = processes.start(
            [command('holdfastd'), '--data', self.data(number), '--id', str(number), '--client',
             f'127.0.0.1:{self.ports[number - 1]}', '--cluster', self.members()] + more,
            self.log(number))

    def await_ready(self, number):
        """Until it says so."""
        def ready():
            with open(self.log(number), encoding='utf-8') as file:
                text = file.read()
            if self.servers[number].poll() is not None:
                raise processes.Failed(f'server {number} ended:\n{text}')
            return 'msg="ready"' in text
        processes.eventually(f'server {number} ready', 30, ready, self.log(number))

    def start_one(self, number):
        self.spawn(number, [])
        self.await_ready(number)

    def ask(self, *words):
        """What `holdfast WORDS` prints, or None if it fails."""
        run = subprocess.run([command('holdfast'), '--servers', self.addresses(), *words],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             check=False)
        return run.stdout if run.returncode == 0 else None

    def leader(self):
        def found():
            text = self.ask('status', '--json')
            leads = json.loads(text)['leader'] if text else None
            return leads['id'] if leads else None
        return processes.eventually('a leader', 20, found, self.log(1))

    def load(self, kind, clients, connections, seconds, rate=0):
        return [command('holdfast'), '--servers', self.addresses(), 'bench', kind] + options(
            clients=clients, connections=connections or min(clients, 1024), seconds=seconds,
            rate=rate)

    def fill(self, count):
        load = processes.start(
            [command('holdfast'), '--servers', self.addresses(), 'bench', 'record', '--clients',
             '256', '--connections', '8', '--seconds', '3600', '--retain', '86400000'],
            self.log(0))

        def made():
            text = self.ask('status', '--json')
            records = json.loads(text)['records'] if text else 0
            return records if records >= count else 0
        try:
            processes.eventually(f'{count} records', 600, made, self.log(0))
        finally:
            processes.end(load)
        return processes.eventually('the count of records', 10, made)
