"""Medians, percentiles and how they are written."""

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie, interpolated."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread_ms(values_s: Sequence[float]) -> str:
    """Write seconds as `median (p10-p90) ms`."""
    low, middle, high = (percentile(values_s, percent) * 1e3 for percent in (10, 50, 90))
    return f"{_short(middle)} ({_short(low)}-{_short(high)}) ms"


def spread(values: Sequence[float], unit: str) -> str:
    """Write values as `median (p10-p90) unit`."""
    low, middle, high = (percentile(values, percent) for percent in (10, 50, 90))
    return f"{_short(middle)} ({_short(low)}-{_short(high)}) {unit}"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
