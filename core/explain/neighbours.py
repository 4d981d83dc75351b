"""What lies nearest to a tile, or a slide, in the space of embeddings: cosine in the directions in which tiles differ.

The vectors of a trained network differ mostly along one direction, the one that its answer is read from: without more,
every tile with a high answer is alike (cosines of .99 on the demonstration cohort). Each principal direction therefore
counts the same, which is whitening (Kessy et al., Am Stat 2018;72:309-314).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.explain.tile_clusters import principal_axes

DIRECTIONS = 16
"""Principal directions that are compared; further ones are mostly noise."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One of many vectors, and how near it is."""

    row: int
    similarity: float
    """Cosine, -1 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """The space in which vectors are compared."""

    middle: NDArray[np.float64]
    """(D,) what all have in common."""
    axes: NDArray[np.float64]
    """(D, K) directions, each divided by the spread along it."""

    def units(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (N, K) unit vectors of what sets each one apart; zeros where nothing does."""
        apart = (np.asarray(vectors, np.float64) - self.middle) @ self.axes
        lengths = np.linalg.norm(apart, axis=1, keepdims=True)
        return np.divide(apart, lengths, out=np.zeros_like(apart), where=lengths > 1e-9)


def whitening_of(vectors: NDArray[np.floating], *, directions: int = DIRECTIONS) -> Whitening:
    """Return the space in which a population of vectors is compared.

    Args:
        vectors: (N, D), at least one.
        directions: Most directions that are kept; those without spread are left out.
    """
    values = np.asarray(vectors, np.float64)
    middle = values.mean(axis=0)
    axes, lengths = principal_axes(values - middle, directions=directions)
    spread = lengths / np.sqrt(len(values))
    kept = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-30)
    return Whitening(middle, axes[:, kept] / spread[kept])


def nearest(
    query: NDArray[np.floating], vectors: NDArray[np.floating], *, count: int, groups: Sequence[str] | None = None
) -> tuple[Neighbour, ...]:
    """Return the vectors most similar to one, most similar first.

    Args:
        query: (K,) a unit vector.
        vectors: (N, K) unit vectors.
        count: How many.
        groups: One a vector; of each group only the nearest is returned. None = all may be.
    """
    similarity = np.asarray(vectors, np.float64) @ np.asarray(query, np.float64)
    found: list[Neighbour] = []
    seen: set[str] = set()
    for row in np.argsort(-similarity, kind="stable"):
        if groups is not None:
            group = groups[int(row)]
            if group in seen:
                continue
            seen.add(group)
        found.append(Neighbour(int(row), float(similarity[row])))
        if len(found) == count:
            break
    return tuple(found)
