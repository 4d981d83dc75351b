"""How good a model is on labelled patches, with everything a reader needs to doubt it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.evaluation.binary import (
    BoolArray,
    Confusion,
    FloatArray,
    auc,
    average_precision,
    best_threshold,
    binary_metrics,
    confusion,
)
from core.evaluation.intervals import Estimate, with_intervals
from models.cards import SHIPPED, ModelCard, load_card
from models.data.patches import LAYOUTS, Patches, read_patches
from models.evaluation.measuring import class_metrics, predict_probabilities, shows_target
from models.evaluation.metrics import mean_red_darkness
from models.registry import load_model

DRAWS = 1000
DIGITS = 4
CLASSIFIERS = ("balanced_accuracy", "f1", "sensitivity", "specificity", "npv", "ppv", "auc", "auprc", "ece")
"""In the order in which they are told."""


@dataclass(frozen=True, slots=True)
class PatchEvaluation:
    """One model on one folder of patches."""

    model: str
    weights_sha256: str
    threshold: float
    """Probability of the target from which a patch is called, as the card states it."""
    n_patients: int
    n_patches: int
    n_positive: int
    estimates: Mapping[str, Estimate]
    """Metric -> value with its 95 % interval over patients; nan where the data do not define it."""
    counts: Confusion
    classes: Mapping[str, Estimate]
    """Of models with more than two classes: each class against the rest, and their means; else empty."""
    matrix: tuple[tuple[int, ...], ...]
    """Of the same models: row = true class, column = likeliest class; else empty."""
    class_names: tuple[str, ...]
    baselines: Mapping[str, Mapping[str, float]]
    """"darkness" and "always_negative" -> metric -> value, nan where undefined."""
    warnings: tuple[str, ...]
    unreadable: tuple[str, ...]
    """A sentence for each file that was left out."""

    def to_json(self) -> dict[str, object]:
        """Return what `--json` prints; what the data do not define is null, with the reason beside it."""
        values = {name: _number(estimate.value) for name, estimate in self.estimates.items()}
        plain: dict[str, object] = {
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "threshold": self.threshold,
            **values,
            "confusion": _counts(self.counts),
            "n_patients": self.n_patients,
            "n_patches": self.n_patches,
            "n_positive": self.n_positive,
            "intervals": {name: _limits(estimate) for name, estimate in self.estimates.items()},
            "undefined": {name: self.reason(name) for name, value in values.items() if value is None},
            "baselines": {
                name: {metric: _number(value) for metric, value in metrics.items()}
                for name, metrics in self.baselines.items()
            },
            "warnings": list(self.warnings),
            "unreadable": list(self.unreadable),
        }
        if self.classes:
            plain["classes"] = {
                name: None if math.isnan(estimate.value) else estimate.as_dict(digits=DIGITS)
                for name, estimate in self.classes.items()
            }
            plain["confusion_of_classes"] = {"classes": list(self.class_names), "rows_are_truth": self.matrix}
        return plain

    def reason(self, metric: str) -> str:
        """Say why a metric is undefined."""
        if 0 < self.n_positive < self.n_patches:
            return f"No patch was called {'positive' if metric == 'ppv' else 'negative'}."
        missing = "negative" if self.n_positive else "positive"
        return f"The folder holds no {missing} patch; {metric} means something only where there are some."


def evaluate_patches(
    model_name: str, data: Path, *, layout: str = "idc", root: Path = SHIPPED, device: str = "auto", draws: int = DRAWS
) -> PatchEvaluation:
    """Run a model on labelled patches and measure it at the threshold of its card.

    Files that cannot be read are left out and named. Patches that are smaller than the model's tiles are padded with
    white, as at a slide's edge.

    Args:
        model_name: Name of the card.
        data: Folder of patches.
        layout: "idc" (Kaggle: patient/label/file), "class_group" (class/group/file) or "class_folders" (class/file).
        root: Folder with `cards/` and `weights/`.
        device: "auto", "cpu" or "cuda".
        draws: Bootstrap samples of patients.

    Raises:
        NotFoundError: no such model.
        ModelError: its card or weights cannot be used.
        InputError: the folder holds no patches in that layout, or none that can be read.
    """
    card = load_card(model_name, root=root)
    unreadable: list[str] = []
    patches = _read(data, card, layout=layout, unreadable=unreadable)
    probabilities = predict_probabilities(load_model(model_name, device=device, root=root), patches.images)
    positive = np.asarray(card.target_probability(probabilities), np.float64)
    truth = shows_target(patches.labels, positive_index=card.positive_indices)
    groups = np.array(patches.groups)
    metrics = binary_metrics(threshold=card.threshold)
    found = with_intervals(truth, positive, groups, metrics=metrics, draws=draws)
    several = len(card.classes) > 2
    table = np.column_stack((patches.labels, probabilities)).astype(np.float64)
    return PatchEvaluation(
        model=card.name,
        weights_sha256=card.weights_sha256,
        threshold=card.threshold,
        n_patients=len(set(patches.groups)),
        n_patches=len(patches),
        n_positive=int(truth.sum()),
        estimates=_meaningful(found, truth),
        counts=confusion(truth, positive >= card.threshold),
        classes=with_intervals(truth, table, groups, metrics=class_metrics(card.classes), draws=draws)
        if several
        else {},
        matrix=_matrix(patches, probabilities) if several else (),
        class_names=card.classes,
        baselines={"darkness": darkness_baseline(truth, patches), "always_negative": _always_negative(truth)},
        warnings=patches.warnings,
        unreadable=tuple(unreadable),
    )


_OF_NEGATIVES = ("specificity", "ece")
_OF_POSITIVES = ("sensitivity", "ece")


def _meaningful(found: Mapping[str, Estimate], truth: BoolArray) -> dict[str, Estimate]:
    """Leave out what a folder with one class cannot tell: its F1 or NPV would be a number, and say nothing."""
    alone = () if truth.any() and not truth.all() else _OF_POSITIVES if truth.any() else _OF_NEGATIVES
    unknown = Estimate(math.nan, math.nan, math.nan)
    return {name: found[name] if not alone or name in alone else unknown for name in CLASSIFIERS}


def darkness_baseline(truth: BoolArray, patches: Patches) -> dict[str, float]:
    """Measure the mean darkness of the red channel at the threshold that suits it best ON THESE patches.

    That favours the baseline: a model that does not beat it has learnt nothing that a light meter does not know.
    """
    darkness = mean_red_darkness(patches.images)
    both = bool(truth.any() and not truth.all())
    called = darkness >= best_threshold(truth, darkness) if both else np.zeros(len(truth), bool)
    of_calls = _of_calls(confusion(truth, called))
    if not both:
        of_calls = dict.fromkeys(of_calls, math.nan)
    return {**of_calls, "auc": auc(truth, darkness), "auprc": average_precision(truth, darkness)}


_CALLS = ("balanced_accuracy", "f1", "sensitivity", "specificity", "npv", "ppv", "accuracy")


def _of_calls(counts: Confusion) -> dict[str, float]:
    return {name: float(getattr(counts, name)) for name in _CALLS}


def _always_negative(truth: BoolArray) -> dict[str, float]:
    """Measure who never finds anything: the accuracy shows how little accuracy says."""
    return _of_calls(confusion(truth, np.zeros(len(truth), bool)))


def _read(data: Path, card: ModelCard, *, layout: str, unreadable: list[str]) -> Patches:
    """Read the folder; of class folders those that are there, so that one class alone can be measured too."""
    if not data.is_dir():
        raise InputError(f"There is no folder {data}; give the folder that holds the patches.")
    if layout == "idc" and len(card.classes) != 2:
        raise InputError(
            f"The layout idc has the classes 0 and 1, the model {card.name} has {len(card.classes)}: "
            f"use one of {', '.join(name for name in LAYOUTS if name != 'idc')}."
        )
    present = card.classes
    if layout != "idc":
        present = tuple(name for name in card.classes if (data / name).is_dir() and any((data / name).iterdir()))
        if not present:
            raise InputError(f"{data} has none of the folders {', '.join(card.classes)}.")
    found = read_patches(data, layout=layout, classes=present, tile_px=card.tile_px, unreadable=unreadable.append)
    labels = np.array([card.classes.index(name) for name in present])[found.labels]
    return replace(found, labels=labels, classes=card.classes)


def _matrix(patches: Patches, probabilities: FloatArray) -> tuple[tuple[int, ...], ...]:
    size = len(patches.classes)
    pairs = np.bincount(patches.labels * size + probabilities.argmax(axis=1), minlength=size * size)
    return tuple(tuple(int(count) for count in row) for row in pairs.reshape(size, size))


def _counts(counts: Confusion) -> dict[str, int]:
    return {
        name: int(getattr(counts, name))
        for name in ("true_positive", "false_positive", "true_negative", "false_negative")
    }


def _limits(estimate: Estimate) -> dict[str, float | None] | None:
    if math.isnan(estimate.value):
        return None
    return {"low": _number(estimate.low), "high": _number(estimate.high)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DIGITS)
