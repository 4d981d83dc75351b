"""Intervals over patients, since patches of one patient resemble each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, FloatArray, Metric


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the 2.5th and 97.5th percentile of its bootstrap distribution over patients."""

    value: float
    low: float
    high: float

    def as_dict(self, *, digits: int = 4) -> dict[str, float]:
        """Return value, low and high, rounded."""
        return {name: round(number, digits) for name, number in asdict(self).items()}


def with_intervals(
    truth: BoolArray,
    scores: FloatArray,
    groups: NDArray[np.str_],
    *,
    metrics: Mapping[str, Metric],
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Measure, and draw patients (not patches) with replacement for percentile intervals of 95 %.

    Args:
        truth: (N,) True where the target class is present.
        scores: (N,) or (N, K), passed to the metrics.
        groups: (N,) patient of each patch.
        metrics: Name -> function of truth, scores and weight.
        draws: Number of bootstrap samples.
        seed: Of the drawing.

    Returns:
        For each metric value and limits. A sample that leaves a metric undefined is left out of its limits.
    """
    random = np.random.default_rng(seed)
    first = scores if scores.ndim == 1 else scores[:, 0]
    order = np.argsort(first, kind="stable")  # sorting what is sorted costs next to nothing in every draw
    truth, scores = truth[order], scores[order]
    _, member_of = np.unique(groups[order], return_inverse=True)
    count = int(member_of.max()) + 1
    samples = np.empty((draws, len(metrics)))
    for row in samples:
        drawn = np.bincount(random.integers(count, size=count), minlength=count).astype(np.float64)
        row[:] = [metric(truth, scores, drawn[member_of]) for metric in metrics.values()]
    return {
        name: Estimate(metric(truth, scores), *_limits(samples[:, column]))
        for column, (name, metric) in enumerate(metrics.items())
    }


def _limits(samples: FloatArray) -> tuple[float, float]:
    defined = samples[np.isfinite(samples)]
    if len(defined) == 0:
        return math.nan, math.nan
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)
