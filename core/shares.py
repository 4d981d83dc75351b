"""Shares of cases with their intervals: Wilson (1927) for a share, Clopper and Pearson (1934) for a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

Z95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of cases with its 95 % interval; everything None where there is nothing to take a share of."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None


def wilson(count: int, of: int, *, z: float = Z95) -> Share:
    """Return a share with Wilson's score interval (default 95 %).

    Raises:
        ValueError: the count is not between 0 and the total.
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share.")
    if of == 0:
        return Share(count, of, None, None, None)
    p, square = count / of, z * z
    centre = (p + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * math.sqrt(p * (1 - p) / of + square / (4 * of * of))
    return Share(count, of, p, max(0.0, centre - half), min(1.0, centre + half))


def upper_bound(count: int, of: int, *, confidence: float = 0.95) -> float:
    """Return the highest share that `count` of `of` leaves possible, one-sided, after Clopper and Pearson.

    Raises:
        ValueError: the counts are no share, there are none, or the confidence lies outside 0 to 1.
    """
    if not (0 <= count <= of and of > 0 and 0 < confidence < 1):
        raise ValueError(f"{count} of {of} at confidence {confidence:g} has no bound.")
    return 1.0 if count == of else float(special.betaincinv(count + 1, of - count, confidence))


def binomial_tail(count: int, of: int, *, share: float) -> float:
    """Return the probability of `count` or more of `of` where each happens with probability `share`."""
    return 1.0 if count <= 0 else float(special.bdtrc(count - 1, of, share))
