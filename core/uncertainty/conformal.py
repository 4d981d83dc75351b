"""Class-conditional split conformal prediction: sets of labels with a guaranteed error rate in each class.

A calibration set holds model probabilities of cases whose label is known. For a new case, the label k stays in its set
if the case is not stranger, as a k, than all but a share alpha of the calibration cases of label k (Vovk 2005, Mondrian
conformal prediction; Olsson et al., Nat Commun 13:7761, 2022). One label = a report; several = undecided; none = unlike
every class of the calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Probabilities = NDArray[np.float64]
"""(N, K), higher = more probable; rows need not sum to 1."""


class Method(StrEnum):
    """How strangeness is counted."""

    VALID = "valid"
    """(count + 1) / (n + 1): the error rate holds for any number of calibration cases. The default."""
    PLAIN = "plain"
    """count / n, as Olsson et al. counted: smaller sets, and no guarantee for few calibration cases."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probabilities that the model gave to the true label of calibration cases."""

    classes: tuple[str, ...]
    true_scores: tuple[tuple[float, ...], ...]
    """For each class the probabilities of that class on its own calibration cases, ascending."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Calibration cases of each class."""
        return tuple(len(scores) for scores in self.true_scores)


@dataclass(frozen=True, slots=True)
class SetCounts:
    """What prediction sets are worth on cases whose label is known."""

    n: int
    single: int
    """Cases with exactly one label in their set."""
    single_wrong: int
    """Of these, cases whose label is another."""
    multiple: int
    empty: int
    point_errors: int
    """Errors of the most probable label, had one always reported it."""
    coverage: float
    """Share of the cases whose set holds their label."""
    coverage_by_class: tuple[float | None, ...]
    """The same in each class; None where it has no case."""


def calibrate(probabilities: Probabilities, labels: NDArray[np.intp], *, classes: Sequence[str]) -> Calibration:
    """Build a calibration from cases whose label is known.

    Args:
        probabilities: (N, K).
        labels: (N,) index of the true class.
        classes: K names.

    Raises:
        InputError: shapes do not fit, a value is no probability, or a class has no case.
    """
    _check(probabilities, classes=classes)
    if labels.shape != (len(probabilities),) or not ((labels >= 0) & (labels < len(classes))).all():
        raise InputError("Calibration needs one label a case, each one of the classes.")
    scores = tuple(tuple(np.sort(probabilities[labels == k, k]).tolist()) for k in range(len(classes)))
    bare = [name for name, own in zip(classes, scores, strict=True) if not own]
    if bare:
        raise InputError(f"No calibration case is {' or '.join(bare)}. Add cases of every class.")
    return Calibration(tuple(classes), scores)


def p_values(calibration: Calibration, probabilities: Probabilities, *, method: Method = Method.VALID) -> Probabilities:
    """Return (N, K): the share of calibration cases of class k at least as strange as the case would be, were it a k.

    Strangeness is 1 - probability of the class; probabilities are compared directly, so that no rounding breaks a tie.
    """
    _check(probabilities, classes=calibration.classes)
    columns: list[NDArray[np.float64]] = []
    extra = 1 if method is Method.VALID else 0
    for k, scores in enumerate(calibration.true_scores):
        as_strange = np.searchsorted(np.array(scores), probabilities[:, k], side="right")
        columns.append((as_strange + extra) / (len(scores) + extra))
    return np.stack(columns, axis=1)


def prediction_sets(
    calibration: Calibration, probabilities: Probabilities, *, alpha: float, method: Method = Method.VALID
) -> NDArray[np.bool_]:
    """Return (N, K): which labels stay in the set of each case.

    Args:
        calibration: Of the same model.
        probabilities: (N, K).
        alpha: Error rate that is accepted in each class, 0 to 1.
        method: How strangeness is counted.

    Raises:
        InputError: alpha lies outside 0 to 1, or a value is no probability.
    """
    if not 0 < alpha < 1:
        raise InputError(f"Alpha is {alpha:g}; it must lie between 0 and 1, for example 0.001 for 99.9 % confidence.")
    return p_values(calibration, probabilities, method=method) > alpha


def needed_cases(alpha: float) -> int:
    """Return the fewest calibration cases of a class with which that class can ever be ruled out: n >= 1/alpha - 1."""
    # The tolerance keeps 1/0.001 from becoming 1000.0000000000001.
    return int(np.ceil(1 / alpha - 1 - 1e-9))


def size_warnings(calibration: Calibration, *, alpha: float) -> tuple[str, ...]:
    """Return a sentence for every class with too few calibration cases for this alpha."""
    needed = needed_cases(alpha)
    return tuple(
        f"Class {name} has {count} calibration cases; an error rate of {alpha:g} needs at least {needed}. "
        "The valid count therefore never rules it out, and the plain count promises more than it can hold."
        for name, count in zip(calibration.classes, calibration.counts, strict=True)
        if count < needed
    )


def count_sets(sets: NDArray[np.bool_], probabilities: Probabilities, labels: NDArray[np.intp]) -> SetCounts:
    """Compare prediction sets with the true labels.

    Args:
        sets: (N, K) from `prediction_sets`.
        probabilities: (N, K) that they were made from.
        labels: (N,) index of the true class.

    Raises:
        InputError: there is no case.
    """
    if not len(sets):
        raise InputError("There is no case to test the sets on.")
    size = sets.sum(axis=1)
    covered = sets[np.arange(len(sets)), labels]
    return SetCounts(
        n=len(sets),
        single=int((size == 1).sum()),
        single_wrong=int(((size == 1) & ~covered).sum()),
        multiple=int((size > 1).sum()),
        empty=int((size == 0).sum()),
        point_errors=int((probabilities.argmax(axis=1) != labels).sum()),
        coverage=float(covered.mean()),
        coverage_by_class=tuple(
            float(covered[labels == k].mean()) if (labels == k).any() else None for k in range(sets.shape[1])
        ),
    )


def _check(probabilities: Probabilities, *, classes: Sequence[str]) -> None:
    if probabilities.ndim != 2 or probabilities.shape[1] != len(classes) or len(classes) < 2:
        raise InputError(
            f"Got scores of shape {probabilities.shape} for {len(classes)} classes; two or more are needed."
        )
    if not np.isfinite(probabilities).all() or (probabilities < 0).any() or (probabilities > 1).any():
        raise InputError("A score is no number between 0 and 1. Give probabilities, not logits or percentages.")
