"""Processes that are measured: started, watched through /proc, and ended by their number."""
import os
import signal
import socket
import subprocess
import time

TICKS_PER_S = os.sysconf('SC_CLK_TCK')


class Failed(Exception):
    """A sentence for people: a server or a load generator did not do what it was started for."""


def parse_stat(text):
    """(parent, CPU seconds) of the text of /proc/PID/stat; a command's name may hold anything."""
    fields = text[text.rindex(')') + 2:].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def parse_rollup(text):
    """{'resident', 'own'}, bytes, of the text of /proc/PID/smaps_rollup. Pages that processes share
    are counted once over all of them; `own` is what is resident beyond the page cache."""
    fields = dict(line.split(':', 1) for line in text.splitlines()[1:] if ':' in line)
    resident, cached = (int(fields.get(name, '0').split()[0]) * 1024
                        for name in ('Pss', 'Pss_File'))
    return {'resident': resident, 'own': resident - cached}


def read_proc(pid, name):
    """The text of /proc/PID/NAME; '' if the process is gone."""
    try:
        with open(f'/proc/{pid}/{name}', encoding='utf-8', errors='replace') as file:
            return file.read()
    except OSError:
        return ''


def family(pids):
    """{pid: CPU seconds as /proc/PID/stat has them} of these processes and all descendants."""
    stats = {}
    for entry in os.listdir('/proc'):
        text = read_proc(entry, 'stat') if entry.isdigit() else ''
        if text:
            stats[int(entry)] = parse_stat(text)
    found = {pid for pid in pids if pid in stats}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in stats.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return {pid: stats[pid][1] for pid in found}


def exact_seconds(pid):
    """CPU seconds of a process's threads that live, by the scheduler's own count: that of
    /proc/PID/stat is cut to whole ticks, which is all that 256 processes use in a second."""
    total = 0
    try:
        threads = os.listdir(f'/proc/{pid}/task')
    except OSError:
        return 0.0
    for thread in threads:
        words = read_proc(pid, f'task/{thread}/schedstat').split()
        total += int(words[0]) if words else 0
    return total / 1e9


def cpu_seconds(pids):
    """CPU seconds that these processes and their descendants have used so far."""
    return sum(max(ticks, exact_seconds(pid)) for pid, ticks in family(pids).items())


def memory(pids):
    """Their resident memory, summed: {'resident', 'own'}, bytes."""
    total = {'resident': 0, 'own': 0}
    for pid in family(pids):
        for key, value in parse_rollup(read_proc(pid, 'smaps_rollup')).items():
            total[key] += value
    return total


def start(argv, log, **how):
    """A child with its output in the file `log`."""
    with open(log, 'ab') as out:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **how)


def end(process, gently=False):
    """Ends a child and what it started; TERM first if it shall end `gently`."""
    if process.poll() is None and gently:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
    for pid in family([process.pid]) if process.poll() is None else ():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def last_lines(log, count=5):
    """What a server said last, for a failure's sentence."""
    with open(log, encoding='utf-8', errors='replace') as file:
        return '\n'.join(file.read().splitlines()[-count:])


def eventually(what, seconds, attempt, log=None):
    """Repeats `attempt` until it is true, or fails saying `what` did not come about."""
    until = time.monotonic() + seconds
    while True:
        got = attempt()
        if got:
            return got
        if time.monotonic() > until:
            raise Failed(f'{what} did not come about within {seconds} s'
                         + (f'; it said last:\n{last_lines(log)}' if log else ''))
        time.sleep(0.02)


def free_ports(count):
    """Ports that nobody listens on just now, all different, below those that the kernel gives to
    outgoing connections: else a load of many connections takes one of them."""
    ports = []
    number = 10240 + int.from_bytes(os.urandom(2), 'little') % 16000
    while len(ports) < count:
        number += 1
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', number))
            except OSError:
                continue
            ports.append(number)
    return ports


def listens(port):
    """Whether somebody takes connections on this port."""
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


def folder_bytes(path):
    """What a folder takes on the disk (blocks, not sizes: files may be sparse)."""
    total = 0
    for root, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                pass
    return total
