"""Prototypes: a class is the mean of a few example vectors, and a new vector belongs to the nearest. Needs no torch.

Snell et al. 2017 (arXiv:1703.05175) with the centring and scaling to length one of SimpleShot (Wang et al. 2019,
arXiv:1911.04623): features after a ReLU are all positive, so without centring every cosine is close to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoders.heads import FloatArray, check_length, check_training_set


@dataclass(frozen=True, slots=True, eq=False)
class Prototypes:
    """One direction a class. The answer is a distance, not a probability: nothing here is calibrated."""

    classes: tuple[str, ...]
    centre: FloatArray
    """(D,) mean that is subtracted from every vector."""
    directions: FloatArray
    """(C, D), each of length one."""
    shots: tuple[int, ...]
    """Examples that each class was made from."""

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.directions.shape[1]

    def distances(self, vectors: NDArray[np.floating]) -> FloatArray:
        """Return (N, C) cosine distances, 0 (same direction) to 2 (opposite), of (N, D) embeddings.

        Raises:
            InputError: the vectors have another length.
        """
        check_length(vectors, self.embedding_size)
        return 1.0 - _unit(vectors.astype(np.float64) - self.centre) @ self.directions.T

    def nearest(self, vectors: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return (N,) index of the nearest class; the first of several that are equally near.

        Raises:
            InputError: the vectors have another length.
        """
        return self.distances(vectors).argmin(axis=1)

    def scores(self, vectors: NDArray[np.floating]) -> FloatArray:
        """Return (N, C): how much nearer a class is than the nearest other one, -2 to 2. Orders vectors, no more.

        Raises:
            InputError: the vectors have another length.
        """
        distances = self.distances(vectors)
        others = [np.delete(distances, column, axis=1).min(axis=1) for column in range(len(self.classes))]
        return np.stack(others, axis=1) - distances


def fit_prototypes(
    embeddings: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: NDArray[np.str_],
    *,
    classes: Sequence[str],
    shots: int | None = None,
    seed: int = 0,
) -> Prototypes:
    """Make one prototype a class from a few examples.

    Args:
        embeddings: (N, D) of the training patients.
        labels: (N,) index into `classes`.
        groups: (N,) patient of each vector.
        classes: Names of the classes; each must occur.
        shots: Examples a class, drawn from as many patients as possible; a class with fewer gives all. None = all.
        seed: Of the draw.

    Raises:
        InputError: lengths differ, or a class does not occur.
    """
    check_training_set(embeddings, labels, groups, classes=classes)
    vectors = embeddings.astype(np.float64)
    chosen = [_draw(np.flatnonzero(labels == index), groups, shots, seed=seed + index) for index in range(len(classes))]
    # Of the class means, not of all examples: else the frequent class lies at the centre and has no direction.
    centre = np.mean([vectors[rows].mean(axis=0) for rows in chosen], axis=0)
    directions = _unit(np.stack([_unit(vectors[rows] - centre).mean(axis=0) for rows in chosen]))
    return Prototypes(tuple(classes), centre, directions, tuple(len(rows) for rows in chosen))


def _draw(rows: NDArray[np.intp], groups: NDArray[np.str_], shots: int | None, *, seed: int) -> NDArray[np.intp]:
    """Return `shots` of the rows, one from every patient before a second from any; sorted."""
    if shots is None or shots >= len(rows):
        return rows
    shuffled = np.random.default_rng(seed).permutation(rows)
    seen: dict[str, int] = {}
    rounds = np.empty(len(shuffled), np.intp)
    for place, row in enumerate(shuffled):
        group = str(groups[row])
        rounds[place] = seen[group] = seen.get(group, -1) + 1
    return np.sort(shuffled[np.argsort(rounds, kind="stable")[:shots]])


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
