"""etcd: three servers with its default settings, driven by its own Go client."""
import json
import os
import shutil
import urllib.error
import urllib.request

import processes
from system import System, fill_by, options, said


class Etcd(System):
    """Three servers, defaults: heartbeat 100 ms, election 1,000 ms."""
    name = 'etcd'
    guarantee = 'on the disks of a majority of three; fencing token (revision)'

    @classmethod
    def missing(cls):
        return '' if shutil.which('etcd') else 'etcd'

    @classmethod
    def version(cls):
        return said(['etcd', '--version'])

    def start(self):
        self.ports = processes.free_ports(2 * self.server_count)
        for number in range(1, self.server_count + 1):
            self.spawn(number)
        for number in self.servers:
            self.await_ready(number)

    def spawn(self, number):
        """Start a server, without waiting."""
        client, peer = (f'http://127.0.0.1:{port}' for port in
                        (self.ports[number - 1], self.ports[self.server_count + number - 1]))
        cluster = ','.join(f's{i}=http://127.0.0.1:{port}' for i, port in
                           enumerate(self.ports[self.server_count:], 1))
        self.servers[number] = processes.start(
            ['etcd', '--name', f's{number}', '--data-dir', self.data(number),
             '--listen-client-urls', client, '--advertise-client-urls', client,
             '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
             '--initial-cluster', cluster, '--quota-backend-bytes', str(8 << 30)],
            self.log(number))

    def await_ready(self, number):
        """Until it serves: it is healthy only where there is a leader."""
        def healthy():
            try:
                where = f'http://127.0.0.1:{self.ports[number - 1]}/health'
                with urllib.request.urlopen(where, timeout=1) as answer:
                    return json.load(answer)['health'] == 'true'
            except (OSError, ValueError, urllib.error.URLError):
                return False
        processes.eventually(f'server {number} healthy', 30, healthy, self.log(number))

    def start_one(self, number):
        self.spawn(number)
        self.await_ready(number)

    def leads(self, number):
        """Whether this server takes itself for the leader."""
        where = f'http://127.0.0.1:{self.ports[number - 1]}/v3/maintenance/status'
        try:
            with urllib.request.urlopen(where, data=b'{}', timeout=1) as answer:
                state = json.load(answer)
        except (OSError, ValueError):
            return False
        return state.get('leader') == state['header']['member_id']

    def leader(self):
        return processes.eventually(
            'a leader', 20, lambda: next((n for n in self.servers if self.leads(n)), 0),
            self.log(1))

    def load(self, kind, clients, connections, seconds, rate=0):
        return [os.path.join(self.tools, 'load_etcd'), kind, '--servers', self.addresses()
                ] + options(clients=clients, connections=connections, seconds=seconds, rate=rate)

    def fill(self, count):
        fill_by([os.path.join(self.tools, 'load_etcd'), 'fill', str(count), '--servers',
                 self.addresses()])
        return count
