"""Tiles that look alike, put together: k-means on embeddings, or on measured features where there are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.sparse.linalg import svds

SEED = 2026
ROUNDS = 40
DIRECTIONS = 16
"""Principal directions that are kept of an embedding: distances in more of them are mostly noise."""


@dataclass(frozen=True, slots=True, eq=False)
class TileClusters:
    """Groups of tiles."""

    labels: NDArray[np.int64]
    """(N,) group of every tile, 0 the largest."""
    representatives: tuple[NDArray[np.int64], ...]
    """For every group the rows nearest to its middle, nearest first."""
    sizes: tuple[int, ...]


def cluster_tiles(features: NDArray[np.floating], *, count: int, shown: int = 6) -> TileClusters:
    """Group tiles by k-means with a fixed seed, the largest group first.

    Args:
        features: (N, D): embeddings, or measures; every column is brought to the same spread, then reduced.
        count: Groups wanted, at least 2; fewer where there are fewer different tiles.
        shown: Representatives of each group.

    Raises:
        ValueError: fewer than two groups are wanted, or fewer tiles than groups.
    """
    if count < 2 or len(features) < count:
        raise ValueError(f"{len(features)} tiles cannot be put into {count} groups; ask for 2 or more, and fewer.")
    reduced = principal(features, directions=DIRECTIONS)
    middles, labels = kmeans2(reduced, count, iter=ROUNDS, minit="++", rng=SEED, missing="warn")
    distance = np.linalg.norm(reduced - middles[labels], axis=1)
    sizes = np.bincount(labels, minlength=count)
    order = [number for number in np.argsort(-sizes, kind="stable") if sizes[number]]
    renamed = np.zeros(count, np.int64)
    renamed[order] = np.arange(len(order))
    labels = renamed[labels]
    groups = [np.flatnonzero(labels == number) for number in range(len(order))]
    representatives = tuple(rows[np.argsort(distance[rows], kind="stable")[:shown]] for rows in groups)
    return TileClusters(labels, representatives, tuple(len(rows) for rows in groups))


def principal(features: NDArray[np.floating], *, directions: int) -> NDArray[np.float64]:
    """Return (N, at most `directions`) the strongest principal components of columns of equal spread."""
    values = np.asarray(features, np.float64)
    deviation = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1.0)
    if scaled.shape[1] <= directions:
        return scaled
    axes, _ = principal_axes(scaled, directions=directions)
    return scaled @ axes


def principal_axes(values: NDArray[np.float64], *, directions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (D, K) the strongest principal directions of centred rows, and (K,) their singular values.

    Only these few are computed: a slide may have 100,000 tiles of 3,000 numbers each.

    Args:
        values: (N, D), centred.
        directions: Most directions.
    """
    if min(values.shape) <= directions + 1:
        _, lengths, axes = np.linalg.svd(values, full_matrices=False)
        return axes[:directions].T, lengths[:directions]
    start: NDArray[np.float64] = np.random.default_rng(SEED).standard_normal(size=(min(values.shape),))
    _, lengths, axes = svds(values, k=directions, v0=start)
    order = np.argsort(-lengths)
    return axes[order].T, lengths[order].astype(np.float64)
