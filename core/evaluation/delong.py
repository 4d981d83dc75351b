"""Area under the ROC curve with intervals that know that slides and tiles of one patient resemble each other.

The variance is that of DeLong, DeLong & Clarke-Pearson (Biometrics 1988;44:837-845), summed over patients as Obuchowski
does (Biometrics 1997;53:567-578); where every patient has one unit the two are the same. Interval on the logit scale.
Where no pair is out of order, or a class has one patient, that variance says nothing: then Newcombe's interval stands
(Stat Med 2006;25:559-573, his method 5), with patients as the unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, FloatArray
from core.evaluation.intervals import Estimate
from core.shares import Z95

DELONG = "DeLong over patients (clustered after Obuchowski)"
NEWCOMBE = "Newcombe's score interval over patients, where DeLong gives none"
UNDEFINED = "not defined: it needs patients of both kinds"
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class AucEstimate:
    """An area under the ROC curve, its 95 % interval, and how that was made."""

    estimate: Estimate
    standard_error: float
    method: str


@dataclass(frozen=True, slots=True)
class PairedAuc:
    """Two areas on the same units."""

    first: Estimate
    second: Estimate
    difference: Estimate
    """First less second."""
    p_value: float
    """Two-sided, of no difference; nan where the difference has no variance."""


def auc_estimate(truth: BoolArray, scores: FloatArray, groups: NDArray[np.str_]) -> AucEstimate:
    """Return the area under the ROC curve with its interval over patients.

    Args:
        truth: (N,) True where the target is present.
        scores: (N,) higher where it is more likely; ties count a half.
        groups: (N,) patient of each unit.
    """
    if truth.all() or not truth.any():
        nan = math.nan
        return AucEstimate(Estimate(nan, nan, nan), nan, UNDEFINED)
    areas, covariance = _areas(truth, scores[:, None], groups)
    value, error = float(areas[0]), math.sqrt(max(0.0, float(covariance[0, 0])))
    if not math.isfinite(error) or error < 1e-9 or value in (0.0, 1.0):
        return AucEstimate(_newcombe(value, *_patients(truth, groups)), error, NEWCOMBE)
    logit, half = math.log(value / (1 - value)), Z95 * error / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-bound)) for bound in (logit - half, logit + half))
    return AucEstimate(Estimate(value, low, high), error, DELONG)


def paired_auc(truth: BoolArray, first: FloatArray, second: FloatArray, groups: NDArray[np.str_]) -> PairedAuc:
    """Compare two scores of the same units; see `auc_estimate`.

    Raises:
        ValueError: only one class occurs.
    """
    if truth.all() or not truth.any():
        raise ValueError("Two areas are compared on units of both classes.")
    areas, covariance = _areas(truth, np.column_stack((first, second)), groups)
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = math.sqrt(variance) if variance > 1e-18 else 0.0
    low, high = (max(-1.0, min(1.0, difference + sign * Z95 * error)) for sign in (-1, 1))
    return PairedAuc(
        first=auc_estimate(truth, first, groups).estimate,
        second=auc_estimate(truth, second, groups).estimate,
        difference=Estimate(difference, low, high) if error else Estimate(difference, math.nan, math.nan),
        p_value=math.erfc(abs(difference) / error / math.sqrt(2)) if error else math.nan,
    )


def _areas(truth: BoolArray, scores: FloatArray, groups: NDArray[np.str_]) -> tuple[FloatArray, FloatArray]:
    """Areas (K,) of the columns of (N, K) scores and their covariance (K, K) over patients."""
    found = [_components(truth, scores[:, column]) for column in range(scores.shape[1])]
    areas = np.array([area for area, _ in found])
    names, member = np.unique(groups, return_inverse=True)
    count = len(names)
    hits, passes = int(truth.sum()), int((~truth).sum())
    deviations = [part - area for area, part in found]

    def summed(of: BoolArray) -> FloatArray:
        """(G, K) sums over each patient's units of one class."""
        sums = np.zeros((count, len(deviations)))
        for column, part in enumerate(deviations):
            np.add.at(sums[:, column], member[of], part[of])
        return sums

    ill, well = summed(truth), summed(~truth)
    with_ill, with_well = (len(np.unique(member[of])) for of in (truth, ~truth))
    covariance = _scaled(ill.T @ ill, with_ill) / hits**2 + _scaled(well.T @ well, with_well) / passes**2
    both = ill.T @ well
    covariance = covariance + _scaled(both + both.T, count) / (hits * passes)
    return areas, covariance


def _components(truth: BoolArray, scores: FloatArray) -> tuple[float, FloatArray]:
    """Area, and for every unit the share of the other class that it is rightly above (or below); ties a half."""
    inverse, counts_ill, counts_well = _levels(truth, scores)
    below_well = np.cumsum(counts_well) - counts_well
    below_ill = np.cumsum(counts_ill) - counts_ill
    of_ill = (below_well + counts_well / 2) / counts_well.sum()
    of_well = 1 - (below_ill + counts_ill / 2) / counts_ill.sum()
    parts = of_well[inverse]
    parts[truth] = of_ill[inverse[truth]]
    return float(parts[truth].sum() / truth.sum()), parts


def _levels(truth: BoolArray, scores: FloatArray) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    levels, inverse = np.unique(scores, return_inverse=True)
    ill = np.bincount(inverse, weights=truth.astype(np.float64), minlength=len(levels)).astype(np.float64)
    return inverse, ill, np.bincount(inverse, minlength=len(levels)).astype(np.float64) - ill


def _scaled(sums: FloatArray, count: int) -> FloatArray:
    """Multiply by n / (n - 1): sums over patients of whom one degree of freedom is spent on the mean."""
    return sums * (count / (count - 1)) if count > 1 else np.full_like(sums, np.nan)


def _patients(truth: BoolArray, groups: NDArray[np.str_]) -> tuple[int, int]:
    """Patients with the target, and patients without."""
    ill = set(groups[truth].tolist())
    return len(ill), max(1, len(set(groups.tolist()) - ill))


def _newcombe(value: float, ill: int, well: int) -> Estimate:
    """Return the areas at which the observed one lies just within the interval of the exponential model."""

    def variance(area: float) -> float:
        mean = (ill + well) / 2 - 1
        inner = 1 + mean * (1 - area) / (2 - area) + mean * area / (1 + area)
        return area * (1 - area) * inner / (ill * well)

    def bound(sign: int) -> float:
        near, far = value, 0.0 if sign < 0 else 1.0
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            inside = abs(value - middle) <= Z95 * math.sqrt(max(0.0, variance(middle)))
            near, far = (middle, far) if inside else (near, middle)
        return near

    return Estimate(value, bound(-1), bound(1))
