"""What the driver knows of a system that it measures: how to start and stop it, and how to put load
on it. A subclass a system."""
import os
import shutil
import subprocess

import processes
from processes import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


class System:
    """One system of one or three servers in a folder of its own; a new one for each run."""
    name = ''            # in tables and on the command line
    server_count = 3
    guarantee = ''       # what a reply means
    warm_up_extra_s = 0  # load before the warm-up that all get, such as for a just-in-time compiler

    def __init__(self, tools, folder):
        self.tools = tools  # where the load generators are
        self.folder = folder
        self.servers = {}   # number, from 1: Popen
        self.ports = []
        os.makedirs(folder, exist_ok=True)

    @classmethod
    def missing(cls):
        """What cannot be found here, in a few words; '' if all is there."""
        return ''

    @classmethod
    def version(cls):
        """As the server says it."""
        return ''

    def log(self, number):
        """The file of a server's output."""
        return os.path.join(self.folder, f'server-{number}.log')

    def data(self, number):
        """The folder of a server's data."""
        return os.path.join(self.folder, f'data-{number}')

    def start(self):
        """Start all servers with empty folders; returns when they serve."""
        raise NotImplementedError

    def start_one(self, number):
        """Start one server that was killed, in the folder it had."""
        raise NotImplementedError

    def leader(self):
        """The number of the server that leads."""
        raise Failed(f'{self.name} has no leader')

    def fill(self, count):
        """Make `count` completed records or a few more, as fast as it goes. Returns how many."""
        raise Failed(f'{self.name} is not filled')

    def load(self, kind, clients, connections, seconds, rate=0):
        """The command of a load: cycles of `kind`, lock or record."""
        raise NotImplementedError

    def pids(self):
        """Of all servers that run."""
        return [p.pid for p in self.servers.values() if p.poll() is None]

    def stop(self):
        """End all servers and remove the folder."""
        for process in self.servers.values():
            processes.end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def addresses(self):
        """Where clients go, with commas."""
        return ','.join(f'127.0.0.1:{port}' for port in self.ports[:self.server_count])


def fill_by(argv):
    """Runs a load generator that fills."""
    run = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                         check=False)
    if run.returncode != 0:
        raise Failed(f'{argv[0]} ended with {run.returncode}: {run.stderr.strip()[-300:]}')


def said(argv):
    """The first line of what a command prints; '' if it fails."""
    try:
        run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return run.stdout.splitlines()[0].strip() if run.returncode == 0 and run.stdout else ''


def options(**named):
    """['--clients', '16', ...] of what is not 0; _ becomes -."""
    words = []
    for name, value in named.items():
        if value:
            words += ['--' + name.replace('_', '-'), str(value)]
    return words
