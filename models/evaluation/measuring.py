"""Measures an exported model and the darkness baseline on the same patients, for the model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.cards import Metrics
from models.data.patches import Patches
from models.evaluation.metrics import Metric, best_threshold, binary_metrics, mean_red_darkness, with_intervals
from models.torch_model import TorchTileModel


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where tiles are called positive, chosen for balanced accuracy on the validation patients."""

    model: float
    """Probability, 0-1."""
    darkness: float
    """Mean darkness of the red channel, 0-1."""


def predict_positive(model: TorchTileModel, patches: Patches, *, positive_index: int) -> NDArray[np.float64]:
    """Return (N,) probabilities of the target class, computed in batches as users will run the model."""
    parts = [model.predict(patches.images[start : start + 128]) for start in range(0, len(patches), 128)]
    return np.concatenate(parts)[:, positive_index].astype(np.float64)


def choose_thresholds(model: TorchTileModel, validation: Patches, *, positive_index: int) -> Thresholds:
    """Choose both thresholds on the validation patients."""
    truth = validation.labels == positive_index
    probability = predict_positive(model, validation, positive_index=positive_index)
    darkness = mean_red_darkness(validation.images)
    return Thresholds(round(best_threshold(truth, probability), 4), round(best_threshold(truth, darkness), 4))


def measure(
    model: TorchTileModel, patches: Patches, *, name: str, positive_index: int, thresholds: Thresholds, draws: int
) -> Metrics:
    """Measure model, baseline, and the model's gain in AUC, each with a 95 % interval over patients.

    Returns:
        `<name>`, `<name>_darkness` and `<name>_gain_over_darkness` -> metric -> value, low, high. The gain is drawn in
        pairs: both AUCs come from the same bootstrap sample of patients.
    """
    truth, groups = patches.labels == positive_index, np.array(patches.groups)
    probability = predict_positive(model, patches, positive_index=positive_index)
    darkness = mean_red_darkness(patches.images)
    of_model = binary_metrics(threshold=thresholds.model)
    of_darkness = {key: f for key, f in binary_metrics(threshold=thresholds.darkness).items() if key != "ece"}
    auc = of_model["auc"]
    gain: Mapping[str, Metric] = {"auc": lambda truth, both: auc(truth, both[:, 0]) - auc(truth, both[:, 1])}
    tables = {
        name: (probability, of_model),
        f"{name}_darkness": (darkness, of_darkness),
        f"{name}_gain_over_darkness": (np.column_stack((probability, darkness)), gain),
    }
    return {
        key: {
            metric: estimate.as_dict()
            for metric, estimate in with_intervals(truth, scores, groups, metrics=metrics, draws=draws).items()
        }
        for key, (scores, metrics) in tables.items()
    }
