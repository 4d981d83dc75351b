"""A statistic with its bootstrap interval, or the reason why there is none: never NaN.

The bootstrap draws CASES with replacement, since reads of one case are not independent. Statistics are functions of
case weights, so all resamples are computed at once by matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
"""(B, N): how often each of N cases occurs in each of B resamples."""
Values = NDArray[np.float64]
"""(B,): a statistic in each resample; NaN where it is not defined."""

FEWEST_CASES = 5
"""Below this number of cases no interval is given: the resamples are nearly all alike."""
DEFINED_SHARE = 0.95
"""Share of resamples in which a statistic must be defined for its interval to be given."""
_CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are made."""

    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with a percentile interval; what is None is explained by `reason`."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, float | str | None]:
        """Return plain values for JSON; `reason` only where there is one."""
        rounded = {key: None if v is None else round(v, 6) for key, v in zip(_KEYS, self._numbers(), strict=True)}
        return {**rounded, "reason": self.reason} if self.reason else {**rounded}

    def _numbers(self) -> tuple[float | None, float | None, float | None]:
        return self.value, self.low, self.high


_KEYS = ("value", "low", "high")


def estimates(
    statistic: Callable[[Weights], Mapping[str, Values]],
    *,
    n_cases: int,
    bootstrap: Bootstrap,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Estimate]:
    """Compute statistics on all cases and their intervals over resampled cases.

    Args:
        statistic: Function of case weights (B, N) that returns named values (B,), NaN where undefined.
        n_cases: N.
        bootstrap: How many resamples, from which seed, at which confidence.
        reasons: Why a statistic is not defined, where it is not; a general sentence otherwise.
    """
    points = statistic(np.ones((1, n_cases)))
    drawn: dict[str, list[Values]] = {name: [] for name in points}
    if n_cases >= FEWEST_CASES:
        for weights in resamples(n_cases, bootstrap=bootstrap):
            for name, values in statistic(weights).items():
                drawn[name].append(values)
    return {
        name: estimate(
            float(points[name][0]),
            np.concatenate(parts) if parts else np.empty(0),
            n_cases=n_cases,
            bootstrap=bootstrap,
            reason=(reasons or {}).get(name, ""),
        )
        for name, parts in drawn.items()
    }


def estimate(value: float, drawn: Values, *, n_cases: int, bootstrap: Bootstrap, reason: str = "") -> Estimate:
    """Return a point value with the percentile interval of its resamples, or the reason why one is missing."""
    if not np.isfinite(value):
        return Estimate(None, reason=reason or UNDEFINED)
    if n_cases < FEWEST_CASES:
        return Estimate(value, reason=f"{n_cases} cases are too few for an interval.")
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < DEFINED_SHARE * len(drawn) or not len(drawn):
        share = f"{len(drawn) - len(defined)} of {len(drawn)}"
        return Estimate(value, reason=f"No interval: in {share} resamples of the cases the statistic is not defined.")
    tail = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


UNDEFINED = "All reads lie in one category, so agreement beyond chance is not defined."
"""Why a chance-corrected statistic has no value, where nothing more precise is known."""


def resamples(n_cases: int, *, bootstrap: Bootstrap) -> Iterator[Weights]:
    """Yield case weights of all resamples in chunks that fit in memory."""
    random = np.random.default_rng(bootstrap.seed)
    chunk = max(1, _CHUNK // n_cases)
    shares = np.full(n_cases, 1 / n_cases)
    for start in range(0, bootstrap.replicates, chunk):
        size = min(chunk, bootstrap.replicates - start)
        yield random.multinomial(n_cases, shares, size=size).astype(np.float64)


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide elementwise; NaN where the denominator is zero up to rounding."""
    tiny = np.abs(below) < 1e-12
    return np.where(tiny, np.nan, above / np.where(tiny, 1.0, below))
