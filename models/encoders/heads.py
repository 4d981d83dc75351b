"""Linear probe: a logistic regression on frozen embeddings, kept as plain numbers. Needs no torch."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# Reason: scikit-learn ships no type stubs.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from core.errors import InputError

FloatArray = NDArray[np.float64]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the L2 penalty (scikit-learn's C) that are tried on standardised dimensions."""
INNER_FOLDS = 4
"""Folds by group in which the strength is chosen."""
MAX_STEPS = 2000
"""Steps of the optimiser; a thousand dimensions and ten thousand vectors need some hundred."""


class Head(Protocol):
    """Something that orders vectors by how much they look like each class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the columns."""
        ...

    @property
    def embedding_size(self) -> int:
        """Length of the vectors it was fitted on."""
        ...

    def scores(self, vectors: NDArray[np.floating], /) -> FloatArray:
        """Return (N, C): the higher, the more like the class; the highest of a row is the answer."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LinearProbe:
    """Probabilities are softmax(vectors @ weight.T + bias)."""

    classes: tuple[str, ...]
    weight: FloatArray
    """(C, D); the standardisation of the dimensions is folded in."""
    bias: FloatArray
    """(C,)"""
    strength: float
    """The inverse penalty that was chosen."""

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.weight.shape[1]

    def probabilities(self, vectors: NDArray[np.floating]) -> FloatArray:
        """Return (N, C) probabilities of (N, D) embeddings.

        Raises:
            InputError: the vectors have another length.
        """
        return softmax(self.logits(vectors), axis=1)

    def scores(self, vectors: NDArray[np.floating]) -> FloatArray:
        """Return the probabilities, by the name that all heads share.

        Raises:
            InputError: the vectors have another length.
        """
        return self.probabilities(vectors)

    def logits(self, vectors: NDArray[np.floating]) -> FloatArray:
        """Return (N, C) logits of (N, D) embeddings.

        Raises:
            InputError: the vectors have another length.
        """
        check_length(vectors, self.embedding_size)
        return vectors.astype(np.float64) @ self.weight.T + self.bias


def fit_linear_probe(
    embeddings: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: NDArray[np.str_],
    *,
    classes: Sequence[str],
    balanced: bool = False,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearProbe:
    """Fit a logistic regression on frozen embeddings.

    Every dimension is standardised; the penalty is the one with the lowest log loss on inner folds that keep a group
    (patient) together, so nothing is chosen on patients that are fitted.

    Args:
        embeddings: (N, D) of the training patients.
        labels: (N,) index into `classes`.
        groups: (N,) patient of each vector.
        classes: Names of the classes; each must occur.
        balanced: Weight classes by the inverse of their frequency. Probabilities are then those of a world in which
            all classes are equally frequent.
        strengths: Inverse penalties to choose from; a single one is taken as it is.

    Raises:
        InputError: lengths differ, a class does not occur, or there are too few groups to choose the penalty by.
    """
    check_training_set(embeddings, labels, groups, classes=classes)
    vectors = embeddings.astype(np.float64)
    strength = (
        strengths[0]
        if len(strengths) == 1
        else _choose(vectors, labels, groups, balanced=balanced, strengths=strengths)
    )
    weight, bias = _fit(vectors, labels, strength=strength, balanced=balanced)
    return LinearProbe(tuple(classes), weight, bias, float(strength))


def check_training_set(
    embeddings: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: NDArray[np.str_],
    *,
    classes: Sequence[str],
) -> None:
    """Refuse vectors, labels and groups that do not belong together.

    Raises:
        InputError: lengths differ, a value is no number, or a class does not occur.
    """
    if embeddings.ndim != 2 or not len(embeddings) == len(labels) == len(groups):
        raise InputError(
            f"A head needs one label and one patient for each vector, got vectors {embeddings.shape}, "
            f"{len(labels)} labels and {len(groups)} patients."
        )
    if not np.isfinite(embeddings).all():
        raise InputError("Some embeddings hold values that are no numbers. Check the encoder's weights.")
    counts = np.bincount(labels, minlength=len(classes))
    if len(classes) < 2 or len(counts) != len(classes) or not counts.all():
        missing = [name for name, count in zip(classes, counts, strict=False) if count == 0]
        raise InputError(f"Every class needs examples, none were given for: {', '.join(missing) or 'unnamed classes'}.")


def check_length(vectors: NDArray[np.floating], embedding_size: int) -> None:
    """Refuse vectors that a head was not made for.

    Raises:
        InputError: they have another length.
    """
    if vectors.ndim != 2 or vectors.shape[1] != embedding_size:
        raise InputError(
            f"The head is made for vectors of length {embedding_size}, got an array of shape {vectors.shape}. "
            "Use the encoder that its card names."
        )


def _choose(
    vectors: FloatArray,
    labels: NDArray[np.integer],
    groups: NDArray[np.str_],
    *,
    balanced: bool,
    strengths: Sequence[float],
) -> float:
    """Return the strength with the lowest log loss over inner folds; the stronger penalty on a tie."""
    classes = int(labels.max()) + 1
    folds = min(INNER_FOLDS, len(np.unique(groups)))
    if folds < 2:
        raise InputError("The penalty is chosen between patients, so at least two are needed; got one.")
    losses = np.zeros(len(strengths))
    for train, test in GroupKFold(folds).split(vectors, labels, groups):
        if len(np.unique(labels[train])) < classes:
            continue  # a fold that took every patient with a class says nothing about it
        for column, strength in enumerate(strengths):
            weight, bias = _fit(vectors[train], labels[train], strength=strength, balanced=balanced)
            likely = log_softmax(vectors[test] @ weight.T + bias, axis=1)[np.arange(len(test)), labels[test]]
            losses[column] -= float(np.average(likely, weights=_weights(labels[test], classes, balanced=balanced)))
    if not losses.any():
        raise InputError("Each class needs at least two patients before the penalty can be chosen between patients.")
    return float(strengths[int(losses.argmin())])


def _fit(
    vectors: FloatArray, labels: NDArray[np.integer], *, strength: float, balanced: bool
) -> tuple[FloatArray, FloatArray]:
    """Return (C, D) weights and (C,) biases for raw vectors: the standardisation is folded in."""
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    deviation[deviation < 1e-12] = 1.0  # a dimension that never changes carries nothing
    model = LogisticRegression(C=strength, max_iter=MAX_STEPS, class_weight="balanced" if balanced else None)
    model.fit((vectors - mean) / deviation, labels)
    weight, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(weight) == 1:  # of two classes scikit-learn keeps the second one's logit
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.concatenate([np.zeros(1), bias])
    weight = weight / deviation
    return weight, bias - weight @ mean


def _weights(labels: NDArray[np.integer], classes: int, *, balanced: bool) -> FloatArray:
    counts = np.bincount(labels, minlength=classes)
    return 1.0 / counts[labels] if balanced else np.ones(len(labels))
