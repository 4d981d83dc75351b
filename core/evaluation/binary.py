"""Metrics of a binary classifier; a metric that the data do not define is nan, never 0.

Every metric takes an optional weight per patch: a bootstrap sample of patients is the same patches, each counted as
often as its patient was drawn, so nothing has to be copied or sorted again. Sensitivity where there is no positive is
nan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Metric(Protocol):
    """A number from truth and scores; each patch counts `weight` times, once if None."""

    def __call__(self, truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None, /) -> float:
        """Return the metric, or nan where the data do not define it."""
        ...


@dataclass(frozen=True, slots=True)
class Confusion:
    """Patches by truth and call; weighted counts need not be whole."""

    true_positive: float
    false_positive: float
    true_negative: float
    false_negative: float

    @property
    def sensitivity(self) -> float:
        """Share of the positives that were called positive."""
        return ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """Share of the negatives that were called negative."""
        return ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def ppv(self) -> float:
        """Share of the positive calls that are right (precision)."""
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def npv(self) -> float:
        """Share of the negative calls that are right."""
        return ratio(self.true_negative, self.true_negative + self.false_negative)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of sensitivity and specificity."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def accuracy(self) -> float:
        """Share of right calls. Says little where one class is rare."""
        right = self.true_positive + self.true_negative
        return ratio(right, right + self.false_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity: 2 TP / (2 TP + FP + FN)."""
        double = 2 * self.true_positive
        return ratio(double, double + self.false_positive + self.false_negative)

    def cost(self, c: float) -> float:
        """Errors, where a false negative counts `c` times as much as a false positive."""
        return c * self.false_negative + self.false_positive


def confusion(truth: BoolArray, called: BoolArray, weight: FloatArray | None = None) -> Confusion:
    """Count patches by truth and call."""
    counts = np.bincount(2 * truth.astype(np.intp) + called, weights=weight, minlength=4)
    negative, false_alarm, missed, hit = (float(count) for count in counts)
    return Confusion(hit, false_alarm, negative, missed)


def break_even_cost(first: Confusion, second: Confusion) -> float:
    """Return the cost c of a false negative from which on `second`, with fewer misses, is the cheaper of the two.

    Raises:
        ValueError: `second` misses as many or more.
    """
    fewer_misses = first.false_negative - second.false_negative
    if fewer_misses <= 0:
        raise ValueError("The second must miss fewer positives than the first.")
    return max(0.0, (second.false_positive - first.false_positive) / fewer_misses)


def auc(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
    """Area under the ROC curve: the share of pairs in which the positive scores higher; a tie counts a half."""
    positive, negative = by_level(truth, scores, weight)
    below = np.cumsum(negative) - negative
    return ratio(float((positive * (below + negative / 2)).sum()), float(positive.sum() * negative.sum()))


def average_precision(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
    """Area under the precision-recall curve as a sum of steps, without interpolation (as scikit-learn defines it)."""
    positive, negative = (np.cumsum(counts[::-1]) for counts in by_level(truth, scores, weight))
    called = positive + negative
    precision = np.divide(positive, called, out=np.zeros_like(called), where=called > 0)
    return ratio(float((np.diff(positive, prepend=0.0) * precision).sum()), float(positive[-1]))


def expected_calibration_error(
    truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None, *, bins: int = 15
) -> float:
    """Mean distance between stated probability and observed frequency, over equally wide bins weighted by their size.

    Naeini et al., AAAI 2015; here of the positive class.
    """
    weight = np.ones(len(truth)) if weight is None else weight
    index = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=(scores - truth) * weight, minlength=bins)
    return ratio(float(np.abs(gaps).sum()), float(weight.sum()))


def binary_metrics(*, threshold: float) -> Mapping[str, Metric]:
    """Return the metrics of a binary classifier by name; those that need a call use `probability >= threshold`."""

    def of_calls(name: str) -> Metric:
        def metric(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
            return float(getattr(confusion(truth, scores >= threshold, weight), name))

        return metric

    return {
        "auc": auc,
        "auprc": average_precision,
        **{name: of_calls(name) for name in ("balanced_accuracy", "sensitivity", "specificity", "f1", "ppv", "npv")},
        "ece": expected_calibration_error,
    }


def best_threshold(truth: BoolArray, probability: FloatArray, *, cost: float | None = None) -> float:
    """Return the score from which patches are best called positive, to be chosen on validation patients only.

    It lies half-way to the next lower score: where classes are far apart it must not sit on the edge of one of them.

    Args:
        truth: (N,) True where the target class is present; both classes must occur.
        probability: (N,) score.
        cost: None = highest balanced accuracy; otherwise lowest cost where a false negative counts that many times.

    Raises:
        ValueError: only one class occurs.
    """
    levels = np.unique(probability)
    hits, alarms = (counts[::-1].cumsum()[::-1] for counts in by_level(truth, probability, None))
    if not 0 < hits[0] < len(truth):
        raise ValueError("A threshold needs patches of both classes.")
    gain = hits / hits[0] - alarms / alarms[0] if cost is None else cost * hits - alarms
    best = len(gain) - 1 - int(gain[::-1].argmax())  # of equals the highest, as a ROC curve is read
    return float(levels[best] if best == 0 else (levels[best] + levels[best - 1]) / 2)


def by_level(truth: BoolArray, scores: FloatArray, weight: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Weight of positives and of negatives at each distinct score, in rising order."""
    order = np.argsort(scores, kind="stable")
    scores, truth = scores[order], truth[order]
    weight = np.ones(len(truth)) if weight is None else weight[order]
    starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
    positive = np.add.reduceat(weight * truth, starts)
    return positive, np.add.reduceat(weight, starts) - positive


def ratio(part: float, whole: float) -> float:
    """Return part / whole, nan where there is no whole."""
    return part / whole if whole > 0 else math.nan
