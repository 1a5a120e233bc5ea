"""Valkey (or redis, where there is no valkey): one server whose replies wait for fsync, and Redlock
over three of them. Nothing is replicated."""
import os
import shutil

import processes
from system import System, fill_by, options, said


def server():
    """The path of the server's program; None without any."""
    return shutil.which('valkey-server') or shutil.which('redis-server')


class Valkey(System):
    """One server, appendfsync always: no replica."""
    name = 'valkey'
    server_count = 1
    guarantee = 'on one disk; lost with it; no fencing token'

    @classmethod
    def missing(cls):
        return '' if server() else 'valkey-server or redis-server'

    @classmethod
    def version(cls):
        return said([server(), '--version'])

    def start(self):
        self.ports = processes.free_ports(self.server_count)
        for number, port in enumerate(self.ports, 1):
            os.makedirs(self.data(number))
            self.servers[number] = processes.start(
                [server(), '--port', str(port), '--bind', '127.0.0.1', '--dir', self.data(number),
                 '--appendonly', 'yes', '--appendfsync', 'always', '--save', '',
                 '--maxclients', '5000'], self.log(number))
        for number, port in enumerate(self.ports, 1):
            processes.eventually(f'server {number} listening', 20,
                                 lambda p=port: processes.listens(p), self.log(number))

    def load(self, kind, clients, connections, seconds, rate=0):
        return [os.path.join(self.tools, 'load_resp'), kind, '--servers', self.addresses()
                ] + options(clients=clients, connections=connections, seconds=seconds, rate=rate)

    def fill(self, count):
        fill_by([os.path.join(self.tools, 'load_resp'), 'fill', str(count), '--servers',
                 self.addresses(), '--clients', '256', '--connections', '8'])
        return count


class Redlock(Valkey):
    """Three such servers, asked at once; two must agree."""
    name = 'redlock'
    server_count = 3
    guarantee = 'on the disks of two of three, if clocks are right; no fencing token'
