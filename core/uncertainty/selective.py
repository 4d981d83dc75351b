"""Reporting only what is certain: the abstention band and risk against coverage (Geifman and El-Yaniv 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.shares import Share, wilson

COVERAGES = (0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class SelectivePoint:
    """Risk if only the most certain share of the cases is reported."""

    coverage: float
    """Share that was asked for."""
    reported: int
    risk: Share
    """Errors among the reported."""


@dataclass(frozen=True, slots=True)
class AbstentionBand:
    """Scores between `low` and `high` are no call."""

    low: float
    high: float
    abstained: int
    risk: Share
    """Errors among the cases outside the band."""


def abstains(scores: NDArray[np.float64], *, threshold: float, half_width: float) -> NDArray[np.bool_]:
    """Say which scores lie nearer than `half_width` to the threshold, and are therefore no call."""
    return np.abs(scores - threshold) < half_width


def abstention_band(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], *, threshold: float, risk: float
) -> AbstentionBand:
    """Return the narrowest symmetric band around a threshold outside which at most `risk` of the calls are wrong.

    Args:
        scores: (N,) probability of the positive class on cases whose truth is known.
        truth: (N,).
        threshold: Score from which the class is called present.
        risk: Share of wrong calls that is accepted, 0 to 1.

    Raises:
        InputError: there are no cases.
    """
    if not len(scores) or scores.shape != truth.shape:
        raise InputError("An abstention band needs cases whose truth is known, one score each.")
    distance = np.abs(scores - threshold)
    wrong = (scores >= threshold) != truth
    order = np.argsort(-distance, kind="stable")
    errors = np.cumsum(wrong[order])
    kept = np.arange(1, len(order) + 1)
    ends = _ends_of_ties(distance[order])
    good = ends[errors[ends] <= risk * kept[ends]]
    if not len(good):
        half = float(np.nextafter(distance.max(), np.inf))
        return AbstentionBand(threshold - half, threshold + half, len(scores), wilson(0, 0))
    last = int(good[-1])
    half = float(distance[order[last]])
    return AbstentionBand(
        threshold - half, threshold + half, len(scores) - last - 1, wilson(int(errors[last]), last + 1)
    )


def risk_at_coverage(
    certainty: NDArray[np.float64], wrong: NDArray[np.bool_], *, coverages: Sequence[float] = COVERAGES
) -> tuple[SelectivePoint, ...]:
    """Return the risk if only the most certain share of the cases is reported.

    Args:
        certainty: (N,), higher = more certain, e.g. the highest probability.
        wrong: (N,), True where the report would be wrong.
        coverages: Shares of cases to report, each above 0 and at most 1; the number is rounded up.

    Raises:
        InputError: no cases, or a coverage outside 0 to 1.
    """
    _check(certainty, wrong)
    if not all(0 < coverage <= 1 for coverage in coverages):
        raise InputError("A coverage must lie above 0 and be at most 1.")
    ordered = wrong[np.argsort(-certainty, kind="stable")]
    points: list[SelectivePoint] = []
    for coverage in coverages:
        reported = int(np.ceil(coverage * len(ordered) - 1e-9))
        points.append(SelectivePoint(coverage, reported, wilson(int(ordered[:reported].sum()), reported)))
    return tuple(points)


def aurc(certainty: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Return the area under the risk-coverage curve: the mean of the risks of the 1, 2, ... N most certain cases.

    Cases of equal certainty are taken in every order at once (their mean risk), so that the value does not depend on
    the order of the rows.

    Raises:
        InputError: there are no cases.
    """
    _check(certainty, wrong)
    _, place, size = np.unique(-certainty, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=wrong.astype(np.float64)) / size
    expected = share[np.sort(place)]
    return float((np.cumsum(expected) / np.arange(1, len(wrong) + 1)).mean())


def _ends_of_ties(ordered: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def _check(certainty: NDArray[np.float64], wrong: NDArray[np.bool_]) -> None:
    if not len(certainty) or certainty.shape != wrong.shape or not np.isfinite(certainty).all():
        raise InputError("Selective prediction needs one certainty and one outcome a case, all of them numbers.")
