"""From which score a case is flagged: by the cost of a miss, by what a department can review, by benefit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.triage.curve import check_scores


def decision_probability(*, cost: float) -> float:
    """Return the probability of discordance from which a review is cheaper than a miss: 1 / (1 + cost).

    A missed case costs `cost` reviews that changed nothing, so a case of probability p is worth a review if
    p x cost >= 1 - p. It holds for calibrated probabilities only; for a raw score use `threshold_for_cost`.

    Raises:
        InputError: the cost is not positive.
    """
    _check_cost(cost)
    return 1 / (1 + cost)


def threshold_for_cost(scores: NDArray[np.float64], truth: NDArray[np.bool_], *, cost: float) -> float | None:
    """Return the score from which flagging would have been cheapest on past cases; None = flag none.

    The cost is `cost` x missed discordances + flagged concordances. Among equally cheap thresholds the lowest is
    returned: it misses least.

    Args:
        scores: (N,), higher = look first.
        truth: (N,), True where a second look changed the diagnosis.
        cost: What a miss costs, in reviews that changed nothing.

    Raises:
        InputError: the cost is not positive, or the past cases cannot be used.
    """
    _check_cost(cost)
    check_scores(scores, truth)
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], np.cumsum(truth[order])
    # Equal scores are flagged together: only the last of a run of equals is a possible threshold.
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    costs = cost * (found[-1] - found[ends]) + (ends + 1 - found[ends])
    best = len(costs) - 1 - int(np.argmin(costs[::-1]))
    return float(ranked[ends[best]]) if costs[best] <= cost * found[-1] else None


def threshold_for_capacity(scores: NDArray[np.float64], *, reviews_a_day: float, cases_a_day: float) -> float | None:
    """Return the score from which on average `reviews_a_day` of `cases_a_day` are flagged, judged on past scores.

    Equal scores are never split: where they straddle the limit, the stricter threshold is returned. None means that no
    case fits.

    Raises:
        InputError: no past scores, a score that is no number, or a capacity below 0 or a day without cases.
    """
    if not (cases_a_day > 0 and reviews_a_day >= 0):
        raise InputError(f"{reviews_a_day:g} reviews of {cases_a_day:g} cases a day is no capacity.")
    check_scores(scores, np.zeros(len(scores), np.bool_))
    allowed = min(len(scores), math.floor(len(scores) * reviews_a_day / cases_a_day + 1e-9))
    levels, counts = np.unique(-scores, return_counts=True)
    fitting = np.flatnonzero(np.cumsum(counts) <= allowed)
    return float(-levels[fitting[-1]]) if len(fitting) else None


def expected_benefit(
    *, severity: NDArray[np.float64], probability: NDArray[np.float64], quality: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return severity x probability of discordance x quality, the order of the worklist.

    Args:
        severity: (N,) weight of the difference should there be one; 0 = none.
        probability: (N,) probability that a second look changes the diagnosis, 0-1.
        quality: (N,) share of the decisive tissue that can be judged, 0-1.
    """
    return severity * probability * quality


def cost_of(*, false_negatives: int, false_positives: int, cost: float) -> float:
    """Return the cost of a rule in false alarms, a missed case counting `cost` of them."""
    return cost * false_negatives + false_positives


def break_even_cost(*, first: tuple[int, int], second: tuple[int, int]) -> float | None:
    """Return the cost of a miss at which two rules cost the same, given (false negatives, false positives) of each.

    None where none exists, because one rule is at least as good in both respects or both miss equally many.
    """
    misses, alarms = first[0] - second[0], second[1] - first[1]
    return alarms / misses if misses and alarms / misses > 0 else None


def _check_cost(cost: float) -> None:
    if not (math.isfinite(cost) and cost > 0):
        raise InputError(f"The cost of a missed case is {cost:g}; give a positive number of reviews.")
