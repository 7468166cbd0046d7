"""Sets of instants: sorted lists of half-open, disjoint `(start, end)`, milliseconds since 1970."""

EVER = (-(1 << 62), 1 << 62)


def union(intervals) -> list:
    """The set of all instants of all intervals."""
    merged = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def minus(a: list, b: list) -> list:
    """What of one set is not in the other."""
    left = []
    for start, end in a:
        for cut_from, cut_to in b:
            if cut_to <= start or cut_from >= end:
                continue
            if start < cut_from:
                left.append((start, cut_from))
            start = max(start, cut_to)
        if start < end:
            left.append((start, end))
    return left


def meet(a: list, b: list) -> list:
    """What is in both sets."""
    both = [(max(s, t), min(e, f)) for s, e in a for t, f in b]
    return union(both)


def outside(start: int, end: int) -> list:
    """Everything before and after."""
    return [(EVER[0], start), (end, EVER[1])]
