"""Measure a model, and the darkness baseline on the same patients, for the model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, FloatArray, Metric, auc, best_threshold, binary_metrics, confusion
from core.evaluation.intervals import with_intervals
from models.cards import Metrics
from models.data.patches import Patches
from models.evaluation.metrics import mean_red_darkness
from models.torch_model import TorchTileModel

_BATCH = 128


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where tiles are called positive, chosen for balanced accuracy on the validation patients."""

    model: float
    """Probability, 0-1."""
    darkness: float
    """Mean darkness of the red channel, 0-1."""


def predict_probabilities(model: TorchTileModel, images: NDArray[np.uint8]) -> FloatArray:
    """Return (N, C) probabilities of (N, H, W, 3) patches, in batches as users will run the model."""
    if len(images) == 0:
        return np.empty((0, len(model.classes)))
    parts = [model.predict(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    return np.concatenate(parts).astype(np.float64)


def predict_positive(
    model: TorchTileModel, patches: Patches, *, positive_index: int | tuple[int, ...]
) -> NDArray[np.float64]:
    """Return (N,) probabilities of the target: the sum over its classes."""
    columns = _columns(positive_index)
    return predict_probabilities(model, patches.images)[:, columns].sum(axis=1)


def shows_target(labels: NDArray[np.int64], *, positive_index: int | tuple[int, ...]) -> BoolArray:
    """Return (N,) True where the label is one of the target's classes."""
    return np.isin(labels, _columns(positive_index))


def choose_thresholds(
    model: TorchTileModel, validation: Patches, *, positive_index: int | tuple[int, ...]
) -> Thresholds:
    """Choose both thresholds on the validation patients."""
    truth = shows_target(validation.labels, positive_index=positive_index)
    probability = predict_positive(model, validation, positive_index=positive_index)
    darkness = mean_red_darkness(validation.images)
    return Thresholds(round(best_threshold(truth, probability), 4), round(best_threshold(truth, darkness), 4))


def measure(
    model: TorchTileModel,
    patches: Patches,
    *,
    name: str,
    positive_index: int | tuple[int, ...],
    thresholds: Thresholds,
    draws: int,
) -> Metrics:
    """Measure model, baseline, and the model's gain in AUC, each with a 95 % interval over patients.

    Returns:
        `<name>`, `<name>_darkness` and `<name>_gain_over_darkness` -> metric -> value, low, high. The gain is drawn in
        pairs: both AUCs come from the same bootstrap sample of patients. Of more than two classes also
        `<name>_classes`: the AUC of each class against all others, their mean, and the accuracy of the likeliest class.
    """
    probabilities = predict_probabilities(model, patches.images)
    positive = probabilities[:, _columns(positive_index)].sum(axis=1)
    truth = shows_target(patches.labels, positive_index=positive_index)
    tables = measure_scores(truth, positive, patches, name=name, thresholds=thresholds, draws=draws)
    if probabilities.shape[1] > 2:
        tables[f"{name}_classes"] = measure_classes(patches, probabilities, draws=draws)
    return tables


def measure_scores(
    truth: BoolArray, positive: FloatArray, patches: Patches, *, name: str, thresholds: Thresholds, draws: int
) -> dict[str, Mapping[str, Mapping[str, float]]]:
    """Measure probabilities of the target that are known already, beside darkness; see `measure`."""
    groups, darkness = np.array(patches.groups), mean_red_darkness(patches.images)
    of_darkness = {key: f for key, f in binary_metrics(threshold=thresholds.darkness).items() if key != "ece"}
    tables: dict[str, tuple[FloatArray, Mapping[str, Metric]]] = {
        name: (positive, binary_metrics(threshold=thresholds.model)),
        f"{name}_darkness": (darkness, of_darkness),
        f"{name}_gain_over_darkness": (np.column_stack((positive, darkness)), {"auc": gain_in_auc}),
    }
    return {key: _estimates(truth, scores, groups, of, draws) for key, (scores, of) in tables.items()}


def gain_in_auc(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
    """AUC of the first column of (N, 2) scores less that of the second."""
    return auc(truth, scores[:, 0], weight) - auc(truth, scores[:, 1], weight)


def measure_classes(patches: Patches, probabilities: FloatArray, *, draws: int) -> dict[str, Mapping[str, float]]:
    """Measure each class against all others, and the call of the likeliest class.

    Args:
        patches: N patches with labels below C.
        probabilities: (N, C).
        draws: Number of bootstrap samples.

    Returns:
        `auc_<class>`, `sensitivity_<class>`, `ppv_<class>`, and `macro_auc`, `macro_f1`, `balanced_accuracy` (the
        mean of the classes' sensitivities) and `accuracy`.
    """
    table = np.column_stack((patches.labels, probabilities)).astype(np.float64)
    unused = np.zeros(len(patches), bool)
    metrics = class_metrics(patches.classes)
    return _estimates(unused, table, np.array(patches.groups), metrics, draws)


def class_metrics(classes: tuple[str, ...]) -> Mapping[str, Metric]:
    """Return the metrics of `measure_classes`; each reads (N, 1 + C) scores, the true label first, and no truth."""

    def of_class(index: int, name: str) -> Metric:
        def metric(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
            return _one_class(scores, index, weight)[name]

        return metric

    def mean_of(name: str) -> Metric:
        def metric(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
            values = [_one_class(scores, index, weight)[name] for index in range(len(classes))]
            return float(np.mean(values))

        return metric

    def accuracy(_: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
        return float(np.average(scores[:, 1:].argmax(axis=1) == scores[:, 0], weights=weight))

    return {
        **{
            f"{name}_{title}": of_class(index, name)
            for name in ("auc", "sensitivity", "ppv")
            for index, title in enumerate(classes)
        },
        "macro_auc": mean_of("auc"),
        "macro_f1": mean_of("f1"),
        "balanced_accuracy": mean_of("sensitivity"),
        "accuracy": accuracy,
    }


def _one_class(scores: FloatArray, index: int, weight: FloatArray | None) -> dict[str, float]:
    truth = scores[:, 0] == index
    found = confusion(truth, scores[:, 1:].argmax(axis=1) == index, weight)
    return {
        "auc": auc(truth, scores[:, 1 + index], weight),
        "sensitivity": found.sensitivity,
        "ppv": found.ppv,
        "f1": found.f1,
    }


def _estimates(
    truth: BoolArray, scores: FloatArray, groups: NDArray[np.str_], metrics: Mapping[str, Metric], draws: int
) -> dict[str, Mapping[str, float]]:
    found = with_intervals(truth, scores, groups, metrics=metrics, draws=draws)
    return {name: estimate.as_dict() for name, estimate in found.items()}


def _columns(positive_index: int | tuple[int, ...]) -> list[int]:
    return [positive_index] if isinstance(positive_index, int) else list(positive_index)
