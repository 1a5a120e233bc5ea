"""The machine that was measured on, in one object: figures of two machines are not one table."""
import os
import platform
import re


def read(path):
    """A file's text; '' without it."""
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    except OSError:
        return ''


def file_system(path):
    """The type of the file system that a folder is on."""
    path = os.path.realpath(path)
    best = ('', '')
    for line in read('/proc/mounts').splitlines():
        _, where, kind = line.split()[:3]
        if (path + '/').startswith(where.rstrip('/') + '/') and len(where) >= len(best[0]):
            best = (where, kind)
    return best[1]


def described(folder):
    """What to name beside every figure; the load says who else was at work."""
    model = re.search(r'^model name\s*: (.*)$', read('/proc/cpuinfo'), re.M)
    memory = re.search(r'^MemTotal:\s*(\d+)', read('/proc/meminfo'), re.M)
    system = re.search(r'^PRETTY_NAME="(.*)"$', read('/etc/os-release'), re.M)
    return {'cores': os.cpu_count(), 'cpu': model.group(1) if model else platform.machine(),
            'memory_gib': round(int(memory.group(1)) / 2**20) if memory else None,
            'kernel': platform.release(), 'system': system.group(1) if system else '',
            'file_system': file_system(folder), 'load_average': list(os.getloadavg())}
