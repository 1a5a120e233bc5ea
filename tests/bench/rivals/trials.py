"""What is no race of throughputs: a leader lost, one that is asked to go, a lone request after
silence, a paced load, a million records. Each trial takes a session (conduct.py) and returns an
object {system: figures}; a system whose trial failed has None."""
import os
import signal
import subprocess
import time

import build
import figures
import measure
import processes
from processes import Failed

FAILOVER_CLIENTS = 16
COUNTED_S = {'holdfast': 3, 'etcd': 7, 'zookeeper': 5}  # what follows a kill fits into it
KILL_AFTER_S = 0.5          # of counting
KILLS = {'holdfast': 20}     # others: KILLS_OTHERS
KILLS_OTHERS = 5
HANDOVERS = {'holdfast': 10}
REPLICATED = ['holdfast', 'etcd', 'zookeeper']


def gap_ms(system, end_leader):
    """One leader ends under load; the longest time in which nobody was granted a lock, ms."""
    counted_s = COUNTED_S[system.name]
    number = system.leader()
    load = measure.start_load(system.load('lock', FAILOVER_CLIENTS, 0, counted_s))
    time.sleep(measure.WARM_UP_S + KILL_AFTER_S)
    end_leader(system.servers[number])
    result = measure.finish_load(load, counted_s + 60)
    system.servers[number].wait(60)
    system.start_one(number)
    return result['gap_us'] / 1000


def kill(process):
    """As if its machine were gone, but that its connections end."""
    process.send_signal(signal.SIGKILL)


def ask_to_go(process):
    """As a service manager stops a server."""
    process.send_signal(signal.SIGTERM)


def gaps(session, names, end_leader, counts):
    """{name: {'gaps_ms', ...}} of one trial after the other."""
    found = {}
    for name in [n for n in names if n in session.here]:
        def trial(system, wanted=counts.get(name, KILLS_OTHERS)):
            count = 2 if session.given.quick else wanted
            return sorted(gap_ms(system, end_leader) for _ in range(count))
        times = session.with_servers(name, trial)
        found[name] = times and {
            'n': len(times), 'gaps_ms': times, 'median_ms': figures.percentile(times, 0.5),
            'max_ms': times[-1]}
    return found


def failover(session):
    """The leader is killed, under 16 clients."""
    return gaps(session, REPLICATED, kill, KILLS)


def handover(session):
    """The leader is asked to stop, under 16 clients."""
    return gaps(session, REPLICATED[:2], ask_to_go, HANDOVERS)


def idle(session):
    """One lock cycle a second, from one client: what a lone acquire takes after the silence; and
    what the machine took just before for two round trips and a synced write after one."""
    seconds = 2 if session.given.quick else 10
    found = {}
    for name in [n for n in ('holdfast', 'valkey', 'etcd', 'zookeeper') if n in session.here]:
        machine = probe(session, seconds // 2)
        result = session.with_servers(
            name, lambda system: measure.finish_load(measure.start_load(
                system.load('lock', 1, 1, seconds, rate=1)), seconds + 60))
        found[name] = result and {'acquire_us': result['acquire_us'], 'cycles': seconds, **machine}
    return found


def probe(session, rounds):
    """The machine's own times: load_probe.c."""
    why = build.c_program(session.folder, 'load_probe')
    if why:
        raise Failed(why)
    run = subprocess.run([os.path.join(session.folder, 'load_probe'), session.folder, str(rounds)],
                         stdout=subprocess.PIPE, text=True, check=True)
    return measure.parse_object(run.stdout, 'load_probe')


def half(session):
    """256 clients at half the rate that the system reached with them just before."""
    found = {}
    seconds = session.given.seconds
    for name in [n for n in ('holdfast', 'valkey', 'redlock', 'etcd', 'zookeeper')
                 if n in session.here]:
        def trial(system):
            top = measure.run(system, 'lock', 256, 0, seconds)['cycles_per_s']
            system.warm_up_extra_s = 0
            result = measure.run(system, 'lock', 256, 0, seconds, rate=max(top // 2, 1))
            return {'top': top, **result}
        found[name] = session.with_servers(name, trial)
    return found


def memory(session):
    """What a server holds and takes on the disk for a million completed records."""
    count = 20000 if session.given.quick else 1000000
    found = {}
    for name in [n for n in ('holdfast', 'valkey', 'postgresql', 'etcd') if n in session.here]:
        def trial(system):
            empty = processes.memory(system.pids())
            made = system.fill(count)
            time.sleep(3)  # what is written in the background is written
            full = processes.memory(system.pids())
            servers = system.server_count
            disk = sum(processes.folder_bytes(system.data(n)) for n in system.servers)
            return {'records': made, 'servers': servers,
                    'own_mb': round(full['own'] / servers / 1e6, 1),
                    'own_empty_mb': round(empty['own'] / servers / 1e6, 1),
                    'resident_mb': round(full['resident'] / servers / 1e6, 1),
                    'disk_mb': round(disk / servers / 1e6, 1)}
        found[name] = session.with_servers(name, trial)
    return found


TRIALS = {'failover': failover, 'handover': handover, 'idle': idle, 'half': half,
          'memory': memory}
