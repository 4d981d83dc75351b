"""What lies nearest to a tile, or a slide, in the space of embeddings: cosine after the common part is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One of many vectors, and how near it is."""

    row: int
    similarity: float
    """Cosine, -1 to 1."""


def centred(vectors: NDArray[np.floating], *, middle: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return unit vectors of what sets each one apart from the middle of all; zeros where nothing does.

    What the last layer sees is never negative, so without this every two tiles look alike.

    Args:
        vectors: (N, D).
        middle: (D,), for instance the mean over slides.
    """
    apart = np.asarray(vectors, np.float64) - middle
    lengths = np.linalg.norm(apart, axis=1, keepdims=True)
    return np.divide(apart, lengths, out=np.zeros_like(apart), where=lengths > 1e-12)


def nearest(
    query: NDArray[np.floating], vectors: NDArray[np.floating], *, count: int, groups: Sequence[str] | None = None
) -> tuple[Neighbour, ...]:
    """Return the vectors most similar to one, most similar first.

    Args:
        query: (D,) a unit vector.
        vectors: (N, D) unit vectors.
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
