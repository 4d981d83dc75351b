"""One model against another on the same units: areas, calls that differ, and what each would cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, FloatArray, auc, break_even_cost, confusion
from core.evaluation.delong import PairedAuc, paired_auc
from core.evaluation.intervals import Estimate, with_intervals
from core.shares import binomial_tail


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two models on the same units against the same reference."""

    n: int
    n_groups: int
    n_positive: int
    areas: PairedAuc | None
    """None where only one class occurs."""
    bootstrap_difference: Estimate | None
    """First less second, percentile interval over patients: the same question without DeLong's approximation."""
    only_first_right: int
    """Units that only the first calls rightly at its own threshold."""
    only_second_right: int
    both_right: int
    both_wrong: int
    mcnemar_p: float
    """Exact, two-sided, of units as if independent; nan where no call differs in rightness."""
    break_even: float | None
    """Cost of a false negative from which the model that misses fewer is the cheaper; None if both miss as many."""


def compare(
    truth: BoolArray,
    first: FloatArray,
    second: FloatArray,
    groups: NDArray[np.str_],
    *,
    thresholds: tuple[float, float],
    draws: int = 1000,
    seed: int = 0,
) -> PairedComparison:
    """Compare two scores of the same units.

    Args:
        truth: (N,) True where the target is present.
        first: (N,) scores of the first model.
        second: (N,) scores of the second.
        groups: (N,) patient of each unit.
        thresholds: From which the first and the second call.
        draws: Bootstrap samples of patients.
        seed: Of the drawing.
    """
    one, other = (first >= thresholds[0]) == truth, (second >= thresholds[1]) == truth
    both = bool(truth.any() and not truth.all())
    return PairedComparison(
        n=len(truth),
        n_groups=len(set(groups.tolist())),
        n_positive=int(truth.sum()),
        areas=paired_auc(truth, first, second, groups) if both else None,
        bootstrap_difference=_difference(truth, first, second, groups, draws=draws, seed=seed) if both else None,
        only_first_right=int((one & ~other).sum()),
        only_second_right=int((other & ~one).sum()),
        both_right=int((one & other).sum()),
        both_wrong=int((~one & ~other).sum()),
        mcnemar_p=mcnemar_exact(int((one & ~other).sum()), int((other & ~one).sum())),
        break_even=_break_even(truth, first >= thresholds[0], second >= thresholds[1]),
    )


def mcnemar_exact(first: int, second: int) -> float:
    """Return the two-sided exact p of McNemar's test from the two counts of disagreement; nan if both are zero."""
    if first + second == 0:
        return math.nan
    return min(1.0, 2 * binomial_tail(max(first, second), first + second, share=0.5))


def _difference(
    truth: BoolArray, first: FloatArray, second: FloatArray, groups: NDArray[np.str_], *, draws: int, seed: int
) -> Estimate:
    def gain(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
        return auc(truth, scores[:, 0], weight) - auc(truth, scores[:, 1], weight)

    scores = np.column_stack((first, second))
    return with_intervals(truth, scores, groups, metrics={"gain": gain}, draws=draws, seed=seed)["gain"]


def _break_even(truth: BoolArray, first: BoolArray, second: BoolArray) -> float | None:
    one, other = confusion(truth, first), confusion(truth, second)
    if one.false_negative == other.false_negative:
        return None
    return break_even_cost(*((one, other) if one.false_negative > other.false_negative else (other, one)))
