"""From which slide score on the target class is called present, when only labelled patches are at hand.

The patches of one validation patient stand for a slide: all of them for a slide with disease, the negative ones alone
for a slide without. The samples are thin (a few dozen of about a thousand tiles a slide), so the top-k rule with its
fraction but without its minimum is applied: in a thin sample the highest tile stands where the mean of the top 2 % of a
whole slide lies. It is an estimate for a first threshold and no measurement of slide-level performance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.aggregation import AggregationSettings, top_k_mean


@dataclass(frozen=True, slots=True)
class SlideThreshold:
    """A threshold and how it parts the stand-in slides it was chosen on."""

    value: float
    sensitivity: float
    specificity: float
    with_disease: int
    """Stand-in slides with disease."""
    without_disease: int

    @property
    def words(self) -> str:
        """How the threshold came about, for the model card."""
        return (
            f"Chosen for the highest sum of sensitivity ({self.sensitivity:.2f}) and specificity "
            f"({self.specificity:.2f}) on stand-in slides made of the validation patients' patches "
            f"({self.with_disease} with, {self.without_disease} without disease); not measured on whole slides."
        )


def choose_slide_threshold(
    probability: NDArray[np.float64], *, truth: NDArray[np.bool_], groups: NDArray[np.str_]
) -> SlideThreshold:
    """Choose the slide threshold by Youden's index on stand-in slides.

    Args:
        probability: (N,) calibrated probability of the target class of each validation patch.
        truth: (N,) whether the patch shows the target.
        groups: (N,) patient of each patch.

    Raises:
        ValueError: there is no stand-in slide with, or none without, the target.
    """
    positive = np.array([_score(probability[groups == name]) for name in np.unique(groups[truth])], np.float64)
    negative = np.array(
        [_score(probability[(groups == name) & ~truth]) for name in np.unique(groups[~truth])], np.float64
    )
    if len(positive) == 0 or len(negative) == 0:
        raise ValueError("A slide threshold needs patients with and without patches of the target class.")
    scores = np.unique(np.concatenate([positive, negative]))
    # Half-way between neighbouring scores: the threshold should not sit on a patient.
    candidates: list[float] = ((scores[1:] + scores[:-1]) / 2 if len(scores) > 1 else scores).tolist()
    found = [(float((positive >= level).mean()), float((negative < level).mean()), level) for level in candidates]
    sensitivity, specificity, value = max(found, key=lambda item: (item[0] + item[1], item[0]))
    return SlideThreshold(round(value, 4), sensitivity, specificity, len(positive), len(negative))


def _score(probability: NDArray[np.float64]) -> float:
    fraction = AggregationSettings().top_fraction
    return float(top_k_mean(probability[:, None].astype(np.float32), fraction=fraction, minimum=1)[0])
