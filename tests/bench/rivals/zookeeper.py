"""ZooKeeper: three servers with its default settings, driven by its own C client."""
import glob
import os
import shutil
import socket

import processes
from system import System, options, said

JARS = '/usr/share/java/zookeeper.jar'
SETTINGS = '''tickTime=2000
initLimit=10
syncLimit=5
maxClientCnxns=0
admin.enableServer=false
'''
LOGGING = '''log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.SimpleLayout
'''


class ZooKeeper(System):
    """Three servers; more than the default connections from one address, no admin server."""
    name = 'zookeeper'
    guarantee = 'on the disks of a majority of three; fencing token (zxid)'
    warm_up_extra_s = 5  # for the just-in-time compiler

    @classmethod
    def missing(cls):
        if not shutil.which('java'):
            return 'java'
        return '' if os.path.exists(JARS) else JARS

    @classmethod
    def version(cls):
        jars = [os.path.basename(path) for path in glob.glob(JARS.replace('.jar', '-[0-9]*.jar'))]
        return ', '.join(jars + [said(['java', '-version'])])

    def start(self):
        self.ports = processes.free_ports(3 * self.server_count)
        for number in range(1, self.server_count + 1):
            self.configure(number)
            self.spawn(number)
        for number in self.servers:
            self.await_ready(number)

    def configure(self, number):
        """Its settings and its number."""
        os.makedirs(self.data(number))
        with open(os.path.join(self.data(number), 'myid'), 'w', encoding='utf-8') as file:
            file.write(f'{number}\n')
        with open(os.path.join(self.folder, 'log4j.properties'), 'w', encoding='utf-8') as file:
            file.write(LOGGING)
        count = self.server_count
        with open(self.settings(number), 'w', encoding='utf-8') as file:
            file.write(f'{SETTINGS}dataDir={self.data(number)}\n'
                       f'clientPort={self.ports[number - 1]}\nclientPortAddress=127.0.0.1\n')
            for i in range(count):
                file.write(f'server.{i + 1}=127.0.0.1:{self.ports[count + i]}'
                           f':{self.ports[2 * count + i]}\n')

    def settings(self, number):
        """The file of its settings."""
        return os.path.join(self.folder, f'zoo-{number}.cfg')

    def spawn(self, number):
        """Start a server, without waiting."""
        self.servers[number] = processes.start(
            ['java', '-Xmx1000m', '-cp', f'{self.folder}:{JARS}',
             'org.apache.zookeeper.server.quorum.QuorumPeerMain', self.settings(number)],
            self.log(number))

    def asked(self, number):
        """What it says of itself; '' if it does not answer."""
        try:
            with socket.create_connection(('127.0.0.1', self.ports[number - 1]), 1) as s:
                s.sendall(b'srvr')
                s.settimeout(1)
                return s.makefile(encoding='utf-8', errors='replace').read()
        except OSError:
            return ''

    def await_ready(self, number):
        """Until it follows or leads."""
        processes.eventually(f'server {number} serving', 60,
                             lambda: 'Mode: ' in self.asked(number), self.log(number))

    def start_one(self, number):
        self.spawn(number)
        self.await_ready(number)

    def leader(self):
        def found():
            return next((n for n in self.servers if 'Mode: leader' in self.asked(n)), 0)
        return processes.eventually('a leader', 20, found, self.log(1))

    def load(self, kind, clients, connections, seconds, rate=0):
        return [os.path.join(self.tools, 'load_zk'), kind, '--servers', self.addresses()
                ] + options(clients=clients, seconds=seconds, rate=rate)
