"""Control charts: whether a series of days stays within what its own scatter makes likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOVING_RANGE_FACTOR = 2.66
"""Three standard deviations in mean moving ranges of two points (W. A. Shewhart; 3 / 1.128)."""
RUN_LENGTH = 8
"""Points in a row on one side of the centre that are a signal of their own (Western Electric rules, 1956)."""
FEWEST_POINTS = 8
"""Points below which no limits are drawn: their scatter is not known."""
RULE = (
    "A point is a signal if it lies outside its limits, three standard deviations from the centre, or ends "
    f"{RUN_LENGTH} in a row on one side of it; limits need at least {FEWEST_POINTS} points."
)


@dataclass(frozen=True, slots=True, eq=False)
class ControlLimits:
    """Centre and limits of a series. Arrays are (P,); limits are NaN where there are too few points."""

    centre: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    signals: tuple[int, ...]
    """Places of the points that are a signal, in order."""


def individuals_chart(values: Sequence[float]) -> ControlLimits:
    """Return the limits of a series of single values, 0-1, such as daily medians, from its moving range."""
    series = np.asarray(values, np.float64)
    if len(series) < FEWEST_POINTS:
        return _without_limits(series, float(series.mean()) if len(series) else float("nan"))
    centre = float(series.mean())
    reach = MOVING_RANGE_FACTOR * float(np.abs(np.diff(series)).mean())
    low = np.full(len(series), max(0.0, centre - reach))
    high = np.full(len(series), min(1.0, centre + reach))
    return ControlLimits(centre, low, high, _signals(series, centre, low, high))


def share_chart(counts: Sequence[int], totals: Sequence[int]) -> ControlLimits:
    """Return the limits of a series of shares, each of its own number of slides (p chart).

    Args:
        counts: Slides that count in each period.
        totals: All slides of each period, at least one.
    """
    count, total = np.asarray(counts, np.float64), np.asarray(totals, np.float64)
    series = count / total
    centre = float(count.sum() / total.sum()) if len(total) else float("nan")
    if len(series) < FEWEST_POINTS:
        return _without_limits(series, centre)
    reach = 3 * np.sqrt(centre * (1 - centre) / total)
    low, high = np.maximum(0.0, centre - reach), np.minimum(1.0, centre + reach)
    return ControlLimits(centre, low, high, _signals(series, centre, low, high))


def _without_limits(series: NDArray[np.float64], centre: float) -> ControlLimits:
    missing = np.full(len(series), np.nan)
    return ControlLimits(centre, missing, missing, ())


def _signals(
    series: NDArray[np.float64], centre: float, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[int, ...]:
    outside = (series < low) | (series > high)
    side = np.sign(series - centre)
    run = np.zeros(len(series), np.intp)
    for place in range(len(series)):
        continues = place > 0 and side[place] == side[place - 1]
        run[place] = 0 if side[place] == 0 else 1 + (run[place - 1] if continues else 0)
    return tuple(np.flatnonzero(outside | (run >= RUN_LENGTH)).tolist())
