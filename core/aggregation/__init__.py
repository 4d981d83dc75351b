"""From tiles to slides and from slides to cases.

`rules` turns tile probabilities into slide scores without training; `roll_up` says which slide carries a case, and why.
Aggregators that are trained live in `models.aggregators`.
"""

from core.aggregation.roll_up import CaseScore, SlideScore, roll_up
from core.aggregation.rules import (
    DEFAULT_AGGREGATION,
    MEANINGS,
    Aggregation,
    AggregationSettings,
    Probabilities,
    aggregate,
    carrying_tiles,
    count_above,
    labels_present,
    majority,
    saliency_mean,
    share_above,
    top_k,
    top_k_mean,
)
from core.aggregation.share_out import share_out

__all__ = [
    "DEFAULT_AGGREGATION",
    "MEANINGS",
    "Aggregation",
    "AggregationSettings",
    "CaseScore",
    "Probabilities",
    "SlideScore",
    "aggregate",
    "carrying_tiles",
    "count_above",
    "labels_present",
    "majority",
    "roll_up",
    "saliency_mean",
    "share_above",
    "share_out",
    "top_k",
    "top_k_mean",
]
