"""One run: a load against a system that serves, and what it and the servers used meanwhile."""
import json
import os
import subprocess
import time

import processes
from processes import Failed

WARM_UP_S = 2    # of every load generator; not counted
EDGE_S = 0.1     # CPU is looked at so long after the count began and before it ends


def parse_object(text, what):
    """The JSON object that is the last line of `text`, which `what` printed."""
    try:
        result = json.loads(text.strip().splitlines()[-1])
        if not isinstance(result, dict):
            raise ValueError
    except (IndexError, ValueError):
        raise Failed(f'{what} printed no result, but: {text.strip()[-300:] or "nothing"}') from None
    return result


def parse_line(text, what):
    """The same of a load generator, whose result has a rate."""
    result = parse_object(text, what)
    if not isinstance(result.get('cycles_per_s'), int):
        raise Failed(f'{what} printed no cycles_per_s, but: {text.strip()[-300:]}')
    return result


def start_load(argv):
    """A load generator whose output is to be read with finish_load()."""
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def finish_load(load, seconds_max):
    """Its parsed result."""
    what = os.path.basename(load.args[0])
    try:
        out, err = load.communicate(timeout=seconds_max)
    except subprocess.TimeoutExpired:
        load.kill()
        load.communicate()
        raise Failed(f'{what} did not end within {seconds_max} s') from None
    if load.returncode != 0:
        raise Failed(f'{what} ended with {load.returncode}: {(err or out).strip()[-300:]}')
    return parse_line(out, what)


def rates(before, after, cycles_per_s):
    """CPU of (time, servers' CPU, generator's CPU) before and after, for so many cycles a second.
    A closed loop is steady: the share of the time that was looked at stands for all of it."""
    wall = after[0] - before[0]
    servers, client = ((after[i] - before[i]) / wall for i in (1, 2))
    return {'server_cores': round(servers, 3), 'client_cores': round(client, 3),
            'server_cpu_s_per_1000': round(servers / cycles_per_s * 1000, 5),
            'client_cpu_s_per_1000': round(client / cycles_per_s * 1000, 5)} if cycles_per_s else {}


def run(system, kind, clients, connections=0, seconds=5, rate=0):
    """Load on `system`; the result with its CPU and memory."""
    if system.warm_up_extra_s:
        finish_load(start_load(system.load(kind, min(clients, 64), 0, system.warm_up_extra_s)), 60)
    load = start_load(system.load(kind, clients, connections, seconds, rate))

    def look():
        return (time.monotonic(), processes.cpu_seconds(system.pids()),
                processes.cpu_seconds([load.pid]))
    time.sleep(WARM_UP_S + EDGE_S)
    before = look()
    time.sleep(seconds - 2 * EDGE_S)
    after = look()
    memory = processes.memory(system.pids())
    result = finish_load(load, 60)
    result.update(rates(before, after, result['cycles_per_s']))
    result['resident_mb'] = round(memory['resident'] / 1e6, 1)
    result['own_mb'] = round(memory['own'] / 1e6, 1)
    return result
