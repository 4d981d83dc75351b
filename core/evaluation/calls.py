"""Figures of calls with intervals over patients; all resamples at once, from the counts of each patient."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, Confusion, FloatArray, confusion
from core.evaluation.intervals import Estimate

NAMES = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1")
"""Figures of `Confusion`, in the order in which they are told."""
DRAWS = 2000
FEWEST_PATIENTS = 5
"""Below this no interval is given: the resamples are nearly all alike."""
_CHUNK = 2_000_000


def call_estimates(
    truth: BoolArray, called: BoolArray, groups: NDArray[np.str_], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Estimate]:
    """Return the figures of calls with percentile intervals (95 %) over patients drawn with replacement.

    Args:
        truth: (N,) True where the target is present.
        called: (N,) True where it was called.
        groups: (N,) patient of each unit.
        draws: Resamples.
        seed: Of the drawing.

    Returns:
        Name -> estimate; nan where the data do not define the figure, and limits nan for too few patients.
    """
    whole = confusion(truth, called)
    samples = _sampled(_counts(truth, called, groups), draws=draws, seed=seed)
    return {name: Estimate(float(getattr(whole, name)), *_limits(samples, name)) for name in NAMES}


def _counts(truth: BoolArray, called: BoolArray, groups: NDArray[np.str_]) -> FloatArray:
    """(G, 4): true negatives, false positives, false negatives and true positives of every patient."""
    names, member = np.unique(groups, return_inverse=True)
    index = 4 * member + 2 * truth.astype(np.intp) + called
    return np.bincount(index, minlength=4 * len(names)).reshape(len(names), 4).astype(np.float64)


def _sampled(counts: FloatArray, *, draws: int, seed: int) -> FloatArray:
    """(B, 4) counts of every resample of patients; none for too few patients."""
    patients = len(counts)
    if patients < FEWEST_PATIENTS:
        return np.empty((0, 4))
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK // patients)
    shares = np.full(patients, 1 / patients)
    parts = [
        random.multinomial(patients, shares, size=min(step, draws - start)).astype(np.float64) @ counts
        for start in range(0, draws, step)
    ]
    return np.concatenate(parts)


def _limits(samples: FloatArray, name: str) -> tuple[float, float]:
    values = np.array([getattr(_confusion(row), name) for row in samples])
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        return math.nan, math.nan
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def _confusion(row: FloatArray) -> Confusion:
    passed, alarms, missed, hits = (float(count) for count in row)
    return Confusion(hits, alarms, passed, missed)
