"""The same figures where slides differ: by site, scanner, stain, quality. Small groups show how little they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, Confusion, FloatArray, confusion
from core.evaluation.delong import AucEstimate, auc_estimate
from core.shares import Share, wilson

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Units that share a property."""

    by: str
    """The property, such as "site"."""
    name: str
    n: int
    n_groups: int
    """Patients."""
    n_positive: int
    counts: Confusion
    sensitivity: Share
    """Of units as if independent (Wilson), as the next."""
    specificity: Share
    auc: AucEstimate


def subgroups(
    truth: BoolArray,
    scores: FloatArray,
    groups: NDArray[np.str_],
    *,
    threshold: float,
    properties: Mapping[str, NDArray[np.str_]],
) -> tuple[Subgroup, ...]:
    """Measure the units of every value of every property.

    Args:
        truth: (N,) True where the target is present.
        scores: (N,)
        groups: (N,) patient of each unit.
        threshold: From which units are called.
        properties: Property -> (N,) value of each unit; "" is not stated.
    """
    return tuple(
        _subgroup(by, name or NOT_STATED, truth[of], scores[of], groups[of], threshold=threshold)
        for by, values in properties.items()
        for name in np.unique(values).tolist()
        for of in (values == name,)
    )


def _subgroup(
    by: str, name: str, truth: BoolArray, scores: FloatArray, groups: NDArray[np.str_], *, threshold: float
) -> Subgroup:
    found = confusion(truth, scores >= threshold)
    hits, missed = int(found.true_positive), int(found.false_negative)
    passed, alarms = int(found.true_negative), int(found.false_positive)
    return Subgroup(
        by=by,
        name=name,
        n=len(truth),
        n_groups=len(set(groups.tolist())),
        n_positive=hits + missed,
        counts=found,
        sensitivity=wilson(hits, hits + missed),
        specificity=wilson(passed, passed + alarms),
        auc=auc_estimate(truth, scores, groups),
    )
