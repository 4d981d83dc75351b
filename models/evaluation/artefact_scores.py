"""What the artefact network and its rivals are measured by: AUROC by class, with intervals over source images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, FloatArray, Metric, auc, confusion
from core.evaluation.intervals import with_intervals
from models.artefacts.classes import CLASSES

Table = dict[str, dict[str, float]]
"""Name -> value, low, high."""

DRAWS = 300


def class_scores(
    labels: NDArray[np.int64], probabilities: FloatArray, groups: NDArray[np.str_], *, draws: int = DRAWS
) -> Table:
    """Measure each class against all others and against clean tiles, and any artefact against clean.

    Args:
        labels: (N,) index into CLASSES.
        probabilities: (N, C); logits order tiles alike only within a class, so give probabilities.
        groups: (N,) source image, the unit of the bootstrap.
        draws: Bootstrap samples.

    Returns:
        `rest_<class>`, `clean_<class>`, `rest_mean` (over the artefact classes), `any` (1 less the probability of
        clean, artefact tiles against clean ones), `sensitivity`, `specificity` and `balanced_accuracy` of calling an
        artefact where the likeliest class is one, and `accuracy` of the likeliest of all classes.
    """
    table = np.column_stack((labels, probabilities)).astype(np.float64)
    found = with_intervals(np.zeros(len(labels), bool), table, groups, metrics=_METRICS, draws=draws)
    return {name: estimate.as_dict() for name, estimate in found.items()}


def _against_rest(index: int) -> Metric:
    def metric(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
        return auc(scores[:, 0] == index, scores[:, 1 + index], weight)

    return metric


def _against_clean(index: int) -> Metric:
    def metric(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
        kept = (scores[:, 0] == index) | (scores[:, 0] == 0)
        return auc(scores[kept, 0] == index, scores[kept, 1 + index], None if weight is None else weight[kept])

    return metric


def _mean_against_rest(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
    kinds = range(1, len(CLASSES))
    return float(np.mean([auc(scores[:, 0] == kind, scores[:, 1 + kind], weight) for kind in kinds]))


def _any(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
    return auc(scores[:, 0] != 0, 1 - scores[:, 1], weight)


def _of_calls(of: str) -> Metric:
    """`sensitivity`, `specificity` or `balanced_accuracy` of calling an artefact where the likeliest class is one."""

    def metric(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
        found = confusion(scores[:, 0] != 0, scores[:, 1:].argmax(axis=1) != 0, weight)
        return float(getattr(found, of))

    return metric


def _accuracy(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
    return float(np.average(scores[:, 1:].argmax(axis=1) == scores[:, 0], weights=weight))


_METRICS: Mapping[str, Metric] = {
    **{f"rest_{name}": _against_rest(index) for index, name in enumerate(CLASSES) if index},
    **{f"clean_{name}": _against_clean(index) for index, name in enumerate(CLASSES) if index},
    "rest_mean": _mean_against_rest,
    "any": _any,
    **{name: _of_calls(name) for name in ("sensitivity", "specificity", "balanced_accuracy")},
    "accuracy": _accuracy,
}
"""Each reads (N, 1 + C) scores, the true label first, and no truth."""
