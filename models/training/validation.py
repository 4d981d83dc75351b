"""What an epoch is worth: a few numbers on the validation patients, from the same functions for every criterion."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: scikit-learn is typed in part only.
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from models.training.config import TrainingConfig

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ValidationScores:
    """Of one epoch.

    With two classes auc, auprc and balanced accuracy are those of the target; with more they are means over every class
    against the rest, and the balanced accuracy is that of the most probable class.
    """

    loss: float
    """Mean negative log likelihood, unweighted, before calibration."""
    auc: float
    auprc: float
    balanced_accuracy: float
    """With two classes at the best threshold, since a shifted prior shifts the threshold as well."""
    cost: float
    """Lowest mean cost a patch over all thresholds: `balance_cost` (1 if not given) for a missed target, 1 for a false
    alarm."""


def validation_scores(logits: FloatArray, labels: NDArray[np.int64], *, config: TrainingConfig) -> ValidationScores:
    """Score (N, C) logits against (N,) labels; every class must occur."""
    log_p = log_softmax(logits, axis=1)
    p = np.exp(log_p)
    truth = np.isin(labels, config.positive_indices)
    target = p[:, list(config.positive_indices)].sum(axis=1)
    false_rate, true_rate, _ = roc_curve(truth, target, drop_intermediate=False)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    costs = (config.balance_cost or 1.0) * (1 - true_rate) * positives + false_rate * negatives
    if logits.shape[1] == 2:
        one_against_rest = [(truth, target)]
        balanced = float((true_rate + 1 - false_rate).max() / 2)
    else:
        one_against_rest = [(labels == index, p[:, index]) for index in range(logits.shape[1])]
        called = p.argmax(axis=1)
        balanced = float(np.mean([(called[labels == index] == index).mean() for index in range(logits.shape[1])]))
    return ValidationScores(
        loss=float(-log_p[np.arange(len(labels)), labels].mean()),
        auc=float(np.mean([roc_auc_score(t, s) for t, s in one_against_rest])),
        auprc=float(np.mean([average_precision_score(t, s) for t, s in one_against_rest])),
        balanced_accuracy=balanced,
        cost=float(costs.min() / len(labels)),
    )


def criterion_value(scores: ValidationScores, *, config: TrainingConfig) -> float:
    """Return the configured criterion such that higher is better."""
    value = float(getattr(scores, config.criterion))
    return -value if config.criterion in ("loss", "cost") else value
