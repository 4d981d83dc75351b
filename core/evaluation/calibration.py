"""Whether probabilities mean what they say: reliability by bin, expected calibration error, Brier score."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.evaluation.binary import BoolArray, FloatArray, expected_calibration_error
from core.shares import wilson

BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Units whose probability lies between two values."""

    low: float
    high: float
    n: int
    positives: int
    mean_probability: float
    """What was stated, 0-1."""
    frequency: float
    """What was found, 0-1."""
    frequency_low: float
    """Wilson's 95 % interval of the frequency; of units as if they were independent."""
    frequency_high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Reliability of a set of probabilities."""

    bins: tuple[CalibrationBin, ...]
    """Those that hold a unit, in rising order."""
    ece: float
    """Expected calibration error over the same bins (Naeini et al., AAAI 2015); nan without a unit."""
    brier: float
    """Mean squared distance of probability and truth (Brier 1950); nan without a unit."""
    n: int


def reliability(truth: BoolArray, probability: FloatArray, *, bins: int = BINS) -> Calibration:
    """Compare stated probabilities with frequencies in equally wide bins.

    Args:
        truth: (N,) True where the target is present.
        probability: (N,) 0-1.
        bins: How many; the last holds its upper edge.
    """
    index = np.minimum((probability * bins).astype(np.intp), bins - 1)
    found = tuple(
        _bin(truth[index == one], probability[index == one], low=one / bins, high=(one + 1) / bins)
        for one in np.unique(index).tolist()
    )
    brier = float(np.mean((probability - truth) ** 2)) if len(truth) else math.nan
    return Calibration(found, expected_calibration_error(truth, probability, bins=bins), brier, len(truth))


def _bin(truth: BoolArray, probability: FloatArray, *, low: float, high: float) -> CalibrationBin:
    positives = int(truth.sum())
    share = wilson(positives, len(truth))
    return CalibrationBin(
        low=low,
        high=high,
        n=len(truth),
        positives=positives,
        mean_probability=float(probability.mean()),
        frequency=positives / len(truth),
        frequency_low=share.low or 0.0,
        frequency_high=1.0 if share.high is None else share.high,
    )
