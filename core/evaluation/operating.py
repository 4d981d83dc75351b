"""What every threshold would do: counts, rates, cost and workload from one pass over the scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.evaluation.binary import BoolArray, Confusion, FloatArray, by_level


@dataclass(frozen=True, slots=True, eq=False)
class Operating:
    """Counts at every threshold, from calling nobody to calling everybody."""

    thresholds: FloatArray
    """(K,) falling: infinity, then every distinct score; what reaches a threshold is called."""
    true_positive: FloatArray
    """(K,) as the next."""
    false_positive: FloatArray
    positives: float
    negatives: float

    @property
    def sensitivity(self) -> FloatArray:
        """(K,) share of the positives that are called: recall, and the height of a ROC curve."""
        return _share(self.true_positive, self.positives)

    @property
    def false_positive_rate(self) -> FloatArray:
        """(K,) share of the negatives that are called: the abscissa of a ROC curve."""
        return _share(self.false_positive, self.negatives)

    @property
    def precision(self) -> FloatArray:
        """(K,) share of the calls that are right; nan where nobody is called."""
        called = self.true_positive + self.false_positive
        return np.divide(self.true_positive, called, out=np.full_like(called, np.nan), where=called > 0)

    @property
    def flag_rate(self) -> FloatArray:
        """(K,) share of all that is called, and so has to be looked at."""
        return _share(self.true_positive + self.false_positive, self.positives + self.negatives)

    def cost(self, false_negative: float) -> FloatArray:
        """(K,) errors, where a false negative counts `false_negative` times as much as a false positive."""
        return false_negative * (self.positives - self.true_positive) + self.false_positive

    def index_of(self, threshold: float) -> int:
        """Return the row that calls what reaches a threshold; thresholds between two scores belong to the higher."""
        return int(np.count_nonzero(self.thresholds >= threshold)) - 1

    def at(self, threshold: float) -> Confusion:
        """Return the confusion of `score >= threshold`."""
        row = self.index_of(threshold)
        hits, alarms = float(self.true_positive[row]), float(self.false_positive[row])
        return Confusion(hits, alarms, self.negatives - alarms, self.positives - hits)

    def cheapest(self, false_negative: float) -> float:
        """Return the threshold of the lowest cost: half-way to the next lower score, of equals the highest.

        On the very cases that it is then judged by, so it flatters: state that beside it.
        """
        return self._between(int(np.argmin(self.cost(false_negative))))

    def for_flag_rate(self, rate: float) -> float:
        """Return the lowest threshold that calls no more than a share of all: what a capacity allows."""
        return self._between(int(np.count_nonzero(self.flag_rate <= rate + 1e-12)) - 1)

    def thinned(self, most: int = 400) -> Operating:
        """Return at most so many rows, the first and the last among them: enough to draw a curve by."""
        rows = np.unique(np.linspace(0, len(self.thresholds) - 1, most).round().astype(np.intp))
        return Operating(
            self.thresholds[rows], self.true_positive[rows], self.false_positive[rows], self.positives, self.negatives
        )

    def _between(self, row: int) -> float:
        here = self.thresholds[row]
        below = self.thresholds[row + 1] if row + 1 < len(self.thresholds) else -math.inf
        if not math.isfinite(here):
            return float(np.nextafter(below, math.inf)) if math.isfinite(below) else math.inf
        return float((here + below) / 2) if math.isfinite(below) else float(here)


def operating_points(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> Operating:
    """Count what each threshold calls.

    Args:
        truth: (N,) True where the target is present.
        scores: (N,) finite; what reaches the threshold is called.
        weight: (N,) how often each counts; once if None.
    """
    if len(truth) == 0:
        return Operating(np.array([np.inf]), np.zeros(1), np.zeros(1), 0.0, 0.0)
    levels = np.unique(scores)[::-1]
    hits, alarms = (np.concatenate(([0.0], np.cumsum(counts[::-1]))) for counts in by_level(truth, scores, weight))
    return Operating(
        thresholds=np.concatenate(([np.inf], levels)).astype(np.float64),
        true_positive=hits,
        false_positive=alarms,
        positives=float(hits[-1]),
        negatives=float(alarms[-1]),
    )


def _share(part: FloatArray, whole: float) -> FloatArray:
    return part / whole if whole > 0 else np.full_like(part, np.nan)
