"""What calling from one threshold on does: the part of an evaluation that moves with the slider."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.errors import InputError
from core.evaluation.binary import confusion
from core.evaluation.calls import call_estimates
from core.evaluation.classes import binary_table
from core.evaluation.operating import Operating
from core.evaluation.subgroups import subgroups
from core.services.evaluation.values import EvaluationResult, ThresholdView, Units


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What a threshold costs, and what the cheapest one would."""

    threshold: float
    false_negative_cost: float
    """How many false alarms one missed target is worth."""
    cost: float
    """Of the calls from this threshold on, in false alarms."""
    missed: int
    false_alarms: int
    called: int
    flag_rate: float
    looks_per_hit: float | None
    """Units to look at for one with the target; None where none is called rightly."""
    cheapest_threshold: float
    cheapest_cost: float
    cheapest_called: int


def view_at(result: EvaluationResult, threshold: float) -> ThresholdView:
    """Return everything that depends on the threshold.

    Raises:
        InputError: the threshold is not between 0 and 1.
    """
    return view_of(result.units, _checked(threshold), positive=result.positive)


def view_of(units: Units, threshold: float, *, positive: str) -> ThresholdView:
    """Return everything that depends on the threshold, from the units."""
    called = units.score >= threshold
    return ThresholdView(
        threshold=threshold,
        table=binary_table(confusion(units.truth, called), negative="without", positive=positive),
        estimates=call_estimates(units.truth, called, units.groups),
        called=int(called.sum()),
        flag_rate=float(called.mean()),
        subgroups=subgroups(units.truth, units.score, units.groups, threshold=threshold, properties=units.properties),
    )


def tradeoff(operating: Operating, threshold: float, *, false_negative_cost: float) -> Tradeoff:
    """Weigh misses against false alarms.

    Args:
        operating: Of the units.
        threshold: From which units are called, 0-1.
        false_negative_cost: How many false alarms one missed target is worth; at least 0.

    Raises:
        InputError: the threshold or the cost makes no sense.
    """
    if not (math.isfinite(false_negative_cost) and false_negative_cost >= 0):
        raise InputError("The cost of a missed target must be a number of at least 0.")
    here = operating.at(_checked(threshold))
    cheapest = operating.cheapest(false_negative_cost)
    best = operating.at(cheapest)
    called = here.true_positive + here.false_positive
    total = operating.positives + operating.negatives
    return Tradeoff(
        threshold=threshold,
        false_negative_cost=false_negative_cost,
        cost=here.cost(false_negative_cost),
        missed=round(here.false_negative),
        false_alarms=round(here.false_positive),
        called=round(called),
        flag_rate=called / total if total else math.nan,
        looks_per_hit=called / here.true_positive if here.true_positive else None,
        cheapest_threshold=min(1.0, cheapest),
        cheapest_cost=best.cost(false_negative_cost),
        cheapest_called=round(best.true_positive + best.false_positive),
    )


def _checked(threshold: float) -> float:
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise InputError(f"The threshold is {threshold:g}; it must lie between 0 and 1.")
    return threshold
