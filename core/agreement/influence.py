"""What seeing the model's result does to a read: before and after, towards the model or away, for better or worse.

Automation bias is measured as negative consultation (Goddard 2012): a read that was right before and the model wrong,
changed to what the model said. It needs a reference, which is itself somebody's read: the word "right" means "as the
reference has it".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap, Estimate, Values, Weights, estimates, ratio
from core.agreement.table import MISSING
from core.errors import InputError

INFLUENCE_STATISTICS = (
    "changed",
    "towards_model",
    "away_from_model",
    "agreed_before",
    "agreed_after",
    "automation_bias",
    "helped",
    "right_before",
    "right_after",
)
"""Names in the order in which they are shown."""

NO_REFERENCE = "There is no reference read to say who was right."
_REASONS = {
    "towards_model": "No read differed from the model before.",
    "away_from_model": "No read agreed with the model before.",
    "automation_bias": "The model was wrong on no case that had been read right before.",
    "helped": "The model was right on no case that had been read wrong before.",
}


@dataclass(frozen=True, slots=True, eq=False)
class PairedReads:
    """Reads of the same reader on the same case before and after the model's result was shown, (M,) each."""

    case: NDArray[np.intp]
    """Number of the case, for resampling by case."""
    before: NDArray[np.intp]
    """Category index; no read may be missing."""
    after: NDArray[np.intp]
    model: NDArray[np.intp]
    reference: NDArray[np.intp] | None = None
    """`MISSING` where a case has none; None = no reference at all."""

    def __post_init__(self) -> None:
        arrays = [self.before, self.after, self.model]
        if any(array.shape != self.case.shape for array in arrays) or any((array == MISSING).any() for array in arrays):
            raise InputError("Before, after and model need one category for every read that is compared.")


def model_influence(reads: PairedReads, *, bootstrap: Bootstrap | None = None) -> dict[str, Estimate]:
    """Return shares of reads with intervals over cases.

    `changed` of all reads; `towards_model` of the reads that differed from the model before: now the model's category;
    `away_from_model` of the reads that agreed with it before: no longer; `agreed_before`, `agreed_after` with the
    model. With a reference: `automation_bias` of the reads right before where the model is wrong: now the model's
    category; `helped` of the reads wrong before where the model is right: now right; `right_before`, `right_after`.
    """
    if not len(reads.case):
        return {
            name: Estimate(None, reason="No read was recorded both before and after.") for name in INFLUENCE_STATISTICS
        }
    cases, place = np.unique(reads.case, return_inverse=True)
    parts = {
        name: (_sum(place, hit, len(cases)), _sum(place, of, len(cases))) for name, (hit, of) in _shares(reads).items()
    }

    def statistic(weights: Weights) -> dict[str, Values]:
        return {name: ratio(weights @ hit, weights @ of) for name, (hit, of) in parts.items()}

    found = estimates(statistic, n_cases=len(cases), bootstrap=bootstrap or Bootstrap(), reasons=_REASONS)
    return {name: found.get(name, Estimate(None, reason=NO_REFERENCE)) for name in INFLUENCE_STATISTICS}


def _shares(reads: PairedReads) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Name -> (counted, counted among), (M,) each."""
    everything = np.ones(len(reads.case), np.bool_)
    agreed, agrees = reads.before == reads.model, reads.after == reads.model
    shares = {
        "changed": (reads.before != reads.after, everything),
        "towards_model": (~agreed & agrees, ~agreed),
        "away_from_model": (agreed & ~agrees, agreed),
        "agreed_before": (agreed, everything),
        "agreed_after": (agrees, everything),
    }
    if reads.reference is None:
        return shares
    known = reads.reference != MISSING
    right, right_after = reads.before == reads.reference, reads.after == reads.reference
    misled = known & right & (reads.model != reads.reference)
    helpable = known & ~right & (reads.model == reads.reference)
    return shares | {
        "automation_bias": (misled & agrees, misled),
        "helped": (helpable & right_after, helpable),
        "right_before": (known & right, known),
        "right_after": (known & right_after, known),
    }


def _sum(place: NDArray[np.intp], chosen: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    return np.bincount(place, weights=chosen.astype(np.float64), minlength=size).astype(np.float64)
