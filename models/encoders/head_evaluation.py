"""How well a head does on patients it never saw: every vector is scored by a head fitted on other patients."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# Reason: scikit-learn ships no type stubs.
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from core.errors import InputError
from core.evaluation.intervals import Estimate, with_intervals
from models.encoders.heads import FloatArray, Head, check_training_set
from models.evaluation.measuring import class_metrics

Fit = Callable[[NDArray[np.floating], NDArray[np.integer], NDArray[np.str_]], Head]
"""Vectors, labels and patients of a training part -> head."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadEvaluation:
    """Out-of-fold scores and what they amount to."""

    scores: FloatArray
    """(N, C), each row by the head of the fold that did not train on its patient."""
    fold: NDArray[np.int64]
    """(N,) fold in which the vector was measured."""
    metrics: Mapping[str, Estimate]
    """As `models.evaluation.measuring.class_metrics` names them, with 95 % intervals over patients."""


def cross_validate_head(
    fit: Fit,
    embeddings: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: NDArray[np.str_],
    *,
    classes: Sequence[str],
    folds: int = 5,
    seed: int = 0,
    draws: int = 1000,
) -> HeadEvaluation:
    """Cross-validate a head by patient. Whatever `fit` chooses, it chooses inside the training part.

    Args:
        fit: Makes a head, for example `partial(fit_linear_probe, classes=...)`.
        embeddings: (N, D).
        labels: (N,) index into `classes`.
        groups: (N,) patient of each vector; no patient is trained on and measured in the same fold.
        classes: Names of the classes.
        folds: Number of folds.
        seed: Of the folds.
        draws: Bootstrap samples of patients for the intervals.

    Raises:
        InputError: as the head's fit, or a class has fewer patients than there are folds.
    """
    check_training_set(embeddings, labels, groups, classes=classes)
    check_folds(labels, groups, classes=classes, folds=folds)
    scores = np.full((len(labels), len(classes)), np.nan)
    fold = np.full(len(labels), -1)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (train, measured) in enumerate(splitter.split(embeddings, labels, groups)):
        head = fit(embeddings[train], labels[train], groups[train])
        scores[measured], fold[measured] = head.scores(embeddings[measured]), number
    table = np.column_stack((labels, scores)).astype(np.float64)
    metrics = class_metrics(tuple(classes))
    # A metric over classes reads the label from its table and needs no truth of a single target.
    estimates = with_intervals(np.zeros(len(labels), bool), table, groups, metrics=metrics, draws=draws)
    return HeadEvaluation(scores, fold, estimates)


def check_folds(labels: NDArray[np.integer], groups: NDArray[np.str_], *, classes: Sequence[str], folds: int) -> None:
    """Refuse an evaluation in which a fold would have to do without a class.

    Raises:
        InputError: a class has fewer patients than there are folds.
    """
    for index, name in enumerate(classes):
        patients = len(np.unique(groups[labels == index]))
        if patients < folds:
            raise InputError(
                f"{name} has {patients} patients; {folds} folds need at least as many. Ask for fewer folds."
            )
