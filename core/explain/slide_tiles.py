"""The tiles of one analysed slide as the explanations of a slide need them, and the regions that tiles form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

_TOUCHING = 1.02
"""Tiles whose corners lie at most this many sides apart along x and y touch; the rest is rounding of positions."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideTiles:
    """What is known of every tile of a slide, row by row."""

    xy_level0: NDArray[np.int64]
    """(N, 2) top left corners in level-0 px."""
    size_level0: tuple[int, int]
    """Width and height of every tile."""
    tile_mm2: float
    """Area that one tile stands for; with overlapping tiles that of the step from tile to tile."""
    target: NDArray[np.float64]
    """(N,) probability of what the model looks for."""
    unusable: NDArray[np.bool_]
    """(N,) whether quality makes the tile unusable."""
    saliency: NDArray[np.float32] | None = None
    """(N,) weight of every tile for the rule that needs it."""

    def __len__(self) -> int:
        return len(self.target)

    @property
    def centres_level0(self) -> NDArray[np.float64]:
        """(N, 2) middles of the tiles."""
        return self.xy_level0 + np.array(self.size_level0, np.float64) / 2


@dataclass(frozen=True, slots=True, eq=False)
class TileRegion:
    """Tiles that touch each other, corners included."""

    rows: NDArray[np.int64]
    """Rows of the tiles, the most suspicious first."""
    mm2: float
    highest: float
    """Probability of its most suspicious tile."""
    centre_level0: tuple[float, float]
    """x and y of the middle of its tiles."""
    box_level0: tuple[int, int, int, int]
    """Left, top, right and bottom."""


def regions_above(tiles: SlideTiles, *, threshold: float) -> tuple[TileRegion, ...]:
    """Return the connected regions of tiles that reach a probability.

    Args:
        tiles: Of the slide.
        threshold: Probability from which a tile belongs to a region.

    Returns:
        The most suspicious first: by the sum of probabilities, so that neither one hot tile nor many lukewarm ones win.
    """
    rows = np.flatnonzero(tiles.target >= threshold)
    if not len(rows):
        return ()
    scaled = tiles.xy_level0[rows] / np.array(tiles.size_level0, np.float64)
    pairs = cKDTree(scaled).query_pairs(_TOUCHING, p=np.inf, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(rows), len(rows)))
    count, labels = connected_components(links, directed=False)
    found = [_region(tiles, rows[labels == number]) for number in range(count)]
    return tuple(sorted(found, key=lambda region: -float(tiles.target[region.rows].sum())))


def _region(tiles: SlideTiles, rows: NDArray[np.int64]) -> TileRegion:
    order = rows[np.argsort(-tiles.target[rows], kind="stable")]
    corners, (width, height) = tiles.xy_level0[order], tiles.size_level0
    x, y = tiles.centres_level0[order].mean(axis=0)
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return TileRegion(
        order,
        len(order) * tiles.tile_mm2,
        float(tiles.target[order[0]]),
        (float(x), float(y)),
        (int(left), int(top), int(right) + width, int(bottom) + height),
    )
