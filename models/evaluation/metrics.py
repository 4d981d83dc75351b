"""Metrics of a patch classifier with intervals over patients, since patches of one patient resemble each other."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: scipy and scikit-learn is typed in part only.
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

FloatArray = NDArray[np.float64]
Metric = Callable[[NDArray[np.bool_], FloatArray], float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the 2.5th and 97.5th percentile of its bootstrap distribution over patients."""

    value: float
    low: float
    high: float

    def as_dict(self, *, digits: int = 4) -> dict[str, float]:
        """Return value, low and high, rounded."""
        return {name: round(number, digits) for name, number in asdict(self).items()}


def sensitivity(truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> float:
    """Share of the positives that were called positive."""
    return float(called[truth].mean())


def specificity(truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> float:
    """Share of the negatives that were called negative."""
    return float((~called[~truth]).mean())


def f1(truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and sensitivity: 2 TP / (2 TP + FP + FN)."""
    return float(2 * (truth & called).sum() / (truth.sum() + called.sum()))


def expected_calibration_error(truth: NDArray[np.bool_], probability: FloatArray, *, bins: int = 15) -> float:
    """Mean distance between stated probability and observed frequency, over equally wide bins weighted by their size.

    Naeini et al., AAAI 2015; here of the positive class.
    """
    index = np.minimum((probability * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins)
    gaps = np.bincount(index, weights=probability - truth, minlength=bins)
    return float(np.abs(gaps).sum() / counts.sum())


def binary_metrics(*, threshold: float) -> Mapping[str, Metric]:
    """Return the metrics of a binary classifier by name; those that need a call use `probability >= threshold`."""
    return {
        "auc": lambda truth, p: float(roc_auc_score(truth, p)),
        "auprc": lambda truth, p: float(average_precision_score(truth, p)),
        "balanced_accuracy": lambda truth, p: (
            (sensitivity(truth, p >= threshold) + specificity(truth, p >= threshold)) / 2
        ),
        "sensitivity": lambda truth, p: sensitivity(truth, p >= threshold),
        "specificity": lambda truth, p: specificity(truth, p >= threshold),
        "f1": lambda truth, p: f1(truth, p >= threshold),
        "ece": expected_calibration_error,
    }


def with_intervals(
    truth: NDArray[np.bool_],
    scores: FloatArray,
    groups: NDArray[np.str_],
    *,
    metrics: Mapping[str, Metric],
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Measure, and draw patients (not patches) with replacement for percentile intervals of 95 %.

    Args:
        truth: (N,) True where the target class is present.
        scores: (N,) or (N, K), passed to the metrics.
        groups: (N,) patient of each patch.
        metrics: Name -> function of truth and scores.
        draws: Number of bootstrap samples; one that holds a single class only is drawn again.
        seed: Of the drawing.
    """
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    samples: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(draws):
        rows = _draw(members, truth, random)
        for name, metric in metrics.items():
            samples[name].append(metric(truth[rows], scores[rows]))
    return {
        name: Estimate(metric(truth, scores), *map(float, np.percentile(samples[name], (2.5, 97.5))))
        for name, metric in metrics.items()
    }


def _draw(members: list[NDArray[np.intp]], truth: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.intp]:
    if truth.all() or not truth.any():
        raise ValueError("Metrics need patches of both classes.")
    while True:
        rows = np.concatenate([members[index] for index in random.integers(len(members), size=len(members))])
        if 0 < truth[rows].sum() < len(rows):
            return rows


def fit_temperature(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """Find the temperature that makes validation labels most likely (Guo et al. 2017, arXiv:1706.04599).

    Args:
        logits: (N, C) of patients not used for training.
        labels: (N,) index of the true class.
    """

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        log_p = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-log_p[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(negative_log_likelihood, bounds=(-3, 3), method="bounded")
    return float(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]


def best_threshold(truth: NDArray[np.bool_], probability: FloatArray) -> float:
    """Return the threshold with the highest balanced accuracy, to be chosen on validation patients only."""
    false_rate, true_rate, thresholds = roc_curve(truth, probability)
    best = int((true_rate - false_rate)[1:].argmax()) + 1  # the first threshold is infinite: nothing is called
    return float(thresholds[best])


def mean_red_darkness(images: NDArray[np.uint8]) -> FloatArray:
    """Return 1 - mean red / 255 of (N, H, W, 3): the baseline that asks for no understanding, only for dark patches."""
    return 1 - images[..., 0].mean(axis=(1, 2), dtype=np.float64) / 255
