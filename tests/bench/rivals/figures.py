"""Arithmetic over what was measured: percentiles, pairs and their ratios. No input or output."""
import statistics


def percentile(values, share):
    """The smallest value that `share` (0 to 1) of the values do not exceed; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(int(rank), 1) - 1]


def summary(values):
    """{'n', 'min', 'median', 'max'} of the values."""
    return {'n': len(values), 'min': min(values), 'median': statistics.median(values),
            'max': max(values)}


def value_at(result, path):
    """result['a']['b'] for the path 'a.b'; None where there is no such thing."""
    for key in path.split('.'):
        if not isinstance(result, dict) or key not in result:
            return None
        result = result[key]
    return result


def order(ours, rivals, start=0):
    """The order of one round: each rival is run beside one of ours, since the machine drifts.
    Rivals take turns at being first: `start` rotates them. Ours, rival, rival, ours, rival, ..."""
    turned = rivals[start % len(rivals):] + rivals[:start % len(rivals)] if rivals else []
    line = [ours]
    for at in range(0, len(turned), 2):
        line += turned[at:at + 2] + ([ours] if at + 1 < len(turned) else [])
    return line


def neighbours(runs, ours, rival):
    """The pairs (our result, the rival's) that ran next to each other. `runs`: [(name, result)].
    A run of ours may serve two rivals; without a result (skipped, failed) there is no pair."""
    pairs = []
    for at, (name, result) in enumerate(runs):
        if name != rival or result is None:
            continue
        for beside in (at - 1, at + 1):
            if 0 <= beside < len(runs) and runs[beside][0] == ours and runs[beside][1]:
                pairs.append((runs[beside][1], result))
                break
    return pairs


def ratios(pairs, path):
    """The summary of ours / rival's over all pairs, for the number at `path`; None without any."""
    found = []
    for ours, theirs in pairs:
        a, b = value_at(ours, path), value_at(theirs, path)
        if a is not None and b:
            found.append(a / b)
    return summary(found) if found else None


def medians(results, path):
    """The summary of the number at `path` over results; None without any."""
    found = [v for v in (value_at(r, path) for r in results if r) if v is not None]
    return summary(found) if found else None
