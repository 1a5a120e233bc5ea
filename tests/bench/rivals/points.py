"""The points of the comparison: who is measured against whom, with how many clients."""
from dataclasses import dataclass, field


@dataclass
class Point:
    """One row of the table: ours against its rivals, in rounds."""
    name: str
    what: str                 # in words
    kind: str                 # lock or record
    clients: int              # each with one request under way
    connections: int          # that they share; 0: one each
    rivals: list = field(default_factory=list)


LOCK_RIVALS = ['valkey', 'etcd', 'zookeeper', 'redlock']

POINTS = [
    Point('lock-1', 'lock cycles, 1 client', 'lock', 1, 0, LOCK_RIVALS),
    Point('lock-16', 'lock cycles, 16 clients', 'lock', 16, 0, LOCK_RIVALS),
    Point('lock-256', 'lock cycles, 256 clients, a connection each', 'lock', 256, 0, LOCK_RIVALS),
    Point('lock-256-on-8', 'lock cycles, 256 clients on 8 connections', 'lock', 256, 8, ['valkey']),
    Point('record-256', 'record cycles of 200 bytes, 256 clients, a connection each', 'record', 256,
          0, ['etcd', 'postgresql', 'valkey']),
    Point('record-256-on-8', 'record cycles of 200 bytes, 256 clients on 8 connections', 'record',
          256, 8, ['valkey']),
]

# What is compared: (key in the table, path in a result).
MEASURES = [('cycles/s', 'cycles_per_s'), ('acquire p50', 'acquire_us.p50'),
            ('p99', 'acquire_us.p99'), ('p99.9', 'acquire_us.p999'), ('max', 'acquire_us.max'),
            ('release p50', 'release_us.p50'), ('p99', 'release_us.p99'),
            ('p99.9', 'release_us.p999'), ('max', 'release_us.max'),
            ('servers CPU s/1,000', 'server_cpu_s_per_1000'),
            ('generator CPU s/1,000', 'client_cpu_s_per_1000'), ('resident MB', 'resident_mb')]
