"""Small statistics."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The least, the middle and the most of some figures."""

    least: float
    median: float
    most: float


def spread(figures: Sequence[float]) -> Spread:
    """Of at least one figure."""
    return Spread(min(figures), statistics.median(figures), max(figures))


def percentile(figures: Sequence[float], part: float) -> float | None:
    """The figure that `part` (0 to 1) of all do not exceed; nothing of nothing."""
    if not figures:
        return None
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
