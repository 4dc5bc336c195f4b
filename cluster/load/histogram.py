"""Percentiles of what was counted in buckets."""

from __future__ import annotations

import math
from collections.abc import Mapping


def percentile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return the value that a share (0 to 1) of the observations do not exceed.

    `buckets` has, for each upper bound, how many observations are at most that; the largest bound may be
    infinite. Within a bucket they are taken as evenly spread, and the first begins at 0, as Prometheus does.
    Infinite where it is beyond the largest finite bound: more than that is not known. None without any.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    if total <= 0:
        return None
    rank = share * total
    lower, below = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank and count > below:
            if math.isinf(bound):
                return math.inf
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower
