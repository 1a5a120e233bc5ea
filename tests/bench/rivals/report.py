"""What was measured, as tables for people (Markdown, ratios first) and as one object for programs.
A `measured` is {'point', 'what', 'ours', 'runs': [(name, result or None)]}."""
import figures
from points import MEASURES

RATIOS = [('cycles/s', 'cycles_per_s'), ('CPU a cycle', 'server_cpu_s_per_1000'),
          ('acquire p99', 'acquire_us.p99'), ('release p99', 'release_us.p99')]


def number(value):
    """Three digits that mean something, thousands with commas."""
    if value is None:
        return '-'
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.3g}'


def spread(s):
    """'median (min-max of n)' of a summary."""
    if s is None:
        return '-'
    return f'{number(s["median"])} ({number(s["min"])}-{number(s["max"])})'


def names(measured):
    """Who ran, ours first, in the order of their first run."""
    return list(dict.fromkeys([measured['ours']] + [name for name, _ in measured['runs']]))


def results_of(measured, name):
    """The results of one of them, without failed runs."""
    return [result for who, result in measured['runs'] if who == name and result]


def compared(measured):
    """{rival: {measure: summary of ours / the rival's over the pairs}} for one point."""
    rivals = [name for name in names(measured) if name != measured['ours']]
    found = {}
    for rival in rivals:
        pairs = figures.neighbours(measured['runs'], measured['ours'], rival)
        found[rival] = {label: figures.ratios(pairs, path) for label, path in RATIOS}
    return found


def ratio_table(all_measured):
    """Ours divided by the rival's: the median of the pairs, and their spread."""
    lines = ['| point | holdfast / | ' + ' | '.join(label for label, _ in RATIOS) + ' | pairs |',
             '|---' * (len(RATIOS) + 3) + '|']
    for measured in all_measured:
        for rival, by_measure in compared(measured).items():
            pairs = by_measure['cycles/s']['n'] if by_measure['cycles/s'] else 0
            cells = [spread(by_measure[label]) for label, _ in RATIOS]
            lines.append(f'| {measured["point"]} | {rival} | ' + ' | '.join(cells)
                         + f' | {pairs} |')
    return '\n'.join(lines)


def figure_table(all_measured):
    """Medians over the rounds; times in microseconds."""
    lines = ['| point | system | ' + ' | '.join(label for label, _ in MEASURES)
             + ' | errors | rounds |', '|---' * (len(MEASURES) + 4) + '|']
    for measured in all_measured:
        for name in names(measured):
            results = results_of(measured, name)
            cells = []
            for at, (_, path) in enumerate(MEASURES):
                s = figures.medians(results, path)
                cells.append(spread(s) if at == 0 else number(s['median'] if s else None))
            errors = sum(r.get('errors', 0) for r in results)
            lines.append(f'| {measured["point"]} | {name} | ' + ' | '.join(cells)
                         + f' | {errors} | {len(results)} |')
    return '\n'.join(lines)


def as_object(all_measured):
    """The same for programs."""
    return [{'point': m['point'], 'ratios': compared(m),
             'medians': {name: {path: (figures.medians(results_of(m, name), path) or {}).get(
                 'median') for _, path in MEASURES} for name in names(m)}}
            for m in all_measured]


TRIAL_COLUMNS = {
    'failover': [('kills', 'n'), ('median ms', 'median_ms'), ('worst ms', 'max_ms')],
    'handover': [('hand-overs', 'n'), ('median ms', 'median_ms'), ('worst ms', 'max_ms')],
    'idle': [('acquire p50 us', 'acquire_us.p50'), ('max us', 'acquire_us.max'),
             ('two round trips p50', 'two_round_trips_us.p50'),
             ('a synced write p50', 'synced_write_us.p50'), ('both p50', 'both_us.p50'),
             ('both max', 'both_us.max')],
    'half': [('top cycles/s', 'top'), ('at', 'cycles_per_s'), ('acquire p50 us', 'acquire_us.p50'),
             ('p99', 'acquire_us.p99'), ('p99.9', 'acquire_us.p999'),
             ('release p99', 'release_us.p99'), ('servers CPU s/1,000', 'server_cpu_s_per_1000')],
    'memory': [('records', 'records'), ('own MB a server', 'own_mb'), ('empty', 'own_empty_mb'),
               ('resident MB', 'resident_mb'), ('disk MB', 'disk_mb')],
}


def trial_table(name, found):
    """One row a system."""
    columns = TRIAL_COLUMNS[name]
    lines = ['| system | ' + ' | '.join(label for label, _ in columns) + ' |',
             '|---' * (len(columns) + 1) + '|']
    for system, result in found.items():
        cells = [number(figures.value_at(result, path)) if result else 'failed'
                 for _, path in columns]
        lines.append(f'| {system} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)
