"""PostgreSQL: one server with its default settings (fsync and synchronous_commit on), not
replicated. It does not run as root: root starts it as the user postgres."""
import glob
import os
import shutil
import subprocess

import processes
from processes import Failed
from system import System, fill_by, options, said

USER = 'postgres'
TABLE = ('CREATE TABLE record (key text PRIMARY KEY, fingerprint text NOT NULL, '
         'state text NOT NULL, body text)')


def program(name):
    """The path of the newest one installed; '' without any."""
    def version(path):
        word = path.split('/')[4]
        return float(word) if word.replace('.', '').isdigit() else 0
    found = sorted(glob.glob(f'/usr/lib/postgresql/*/bin/{name}'), key=version)
    return found[-1] if found else shutil.which(name) or ''


def as_user():
    """For subprocess: not as root."""
    return {'user': USER, 'group': USER, 'extra_groups': []} if os.geteuid() == 0 else {}


class PostgreSQL(System):
    """One server; more connections than the default allows, nothing else."""
    name = 'postgresql'
    server_count = 1
    guarantee = 'on one disk; lost with it'

    @classmethod
    def missing(cls):
        return '' if program('initdb') and program('postgres') else 'initdb and postgres'

    @classmethod
    def version(cls):
        return said([program('postgres'), '--version'])

    def start(self):
        self.ports = processes.free_ports(1)
        os.makedirs(self.data(1))
        if os.geteuid() == 0:
            shutil.chown(self.data(1), USER, USER)
        made = subprocess.run(
            [program('initdb'), '-D', self.data(1), '-U', USER, '-A', 'trust', '-E', 'UTF8',
             '--locale=C'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd='/',
            check=False, **as_user())
        if made.returncode != 0:
            raise Failed(f'initdb ended with {made.returncode}: {made.stdout.strip()[-300:]}')
        self.servers[1] = processes.start(
            [program('postgres'), '-D', self.data(1), '-p', str(self.ports[0]), '-k', '', '-h',
             '127.0.0.1', '-c', 'max_connections=300'], self.log(1), cwd='/', **as_user())
        processes.eventually('the table made', 30, self.make_table, self.log(1))

    def make_table(self):
        """Whether the server took the statement: it may not be ready yet."""
        run = subprocess.run(
            [program('psql'), '-h', '127.0.0.1', '-p', str(self.ports[0]), '-U', USER, '-c', TABLE],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return run.returncode == 0

    def load(self, kind, clients, connections, seconds, rate=0):
        return [os.path.join(self.tools, 'load_pg'), kind, '--servers', self.addresses()
                ] + options(clients=clients, seconds=seconds, rate=rate)

    def fill(self, count):
        fill_by([os.path.join(self.tools, 'load_pg'), 'fill', str(count), '--servers',
                 self.addresses()])
        return count
