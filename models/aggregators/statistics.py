"""A slide as one vector: named statistics of its tile probabilities, whatever the order of the tiles.

For every class: how the probabilities are distributed, how much lies above fixed levels, how strong the strongest tiles
are, and whether high tiles lie together. A focus of disease is a cluster; false alarms are scattered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

STATISTICS_VERSION = "tile-statistics-1"
"""Stands in every card: a vector made by another version is another vector."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
LEVELS = (0.25, 0.5, 0.75, 0.9)
"""Probabilities above which tiles are counted."""
TOP_COUNTS = (1, 3, 10, 30)
"""Means of so many of the highest tiles; of all tiles where there are fewer."""
TOP_SHARES = (0.01, 0.02, 0.05)
CLUSTER_LEVELS = (0.5, 0.9)
"""Probabilities from which a tile belongs to a cluster."""
_TOUCHING = 1.01
"""Tiles whose corners lie at most this many tile sides apart along x and y touch: 8 neighbours on a gapless grid."""


@dataclass(frozen=True, slots=True, eq=False)
class TileStatistics:
    """A slide's vector with the names of its entries."""

    names: tuple[str, ...]
    """`<class>.<statistic>`, in order."""
    values: NDArray[np.float64]
    """(F,), all finite."""


def tile_statistics(
    probabilities: NDArray[np.floating],
    *,
    xy_level0: NDArray[np.integer],
    tile_level0: tuple[int, int],
    classes: tuple[str, ...],
) -> TileStatistics:
    """Describe the tiles of one slide.

    Args:
        probabilities: (N, C), N at least 1.
        xy_level0: (N, 2) top left corners in level-0 px; overlapping tiles and gaps are allowed.
        tile_level0: Width and height of a tile in level-0 px.
        classes: C names.

    Returns:
        The same vector for any order of the tiles.

    Raises:
        ValueError: there are no tiles, or the arrays do not fit each other.
    """
    if len(probabilities) == 0 or probabilities.shape != (len(xy_level0), len(classes)):
        raise ValueError(
            f"Tile statistics need (tiles, classes) with at least one tile: {probabilities.shape} for "
            f"{len(xy_level0)} places and {len(classes)} classes."
        )
    places = xy_level0.astype(np.float64) / np.array(tile_level0, np.float64)
    named: dict[str, float] = {}
    for column, name in enumerate(classes):
        values = np.sort(probabilities[:, column].astype(np.float64))
        found = _distribution(values) | _above(values) | _top(values)
        for level in CLUSTER_LEVELS:
            found |= _clusters(places[probabilities[:, column] >= level], tiles=len(values), level=level)
        named |= {f"{name}.{statistic}": value for statistic, value in found.items()}
    return TileStatistics(tuple(named), np.array(list(named.values()), np.float64))


def statistic_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the vector for these classes, as `tile_statistics` orders them."""
    one = tile_statistics(
        np.zeros((1, len(classes))), xy_level0=np.zeros((1, 2), np.int32), tile_level0=(1, 1), classes=classes
    )
    return one.names


def _distribution(values: NDArray[np.float64]) -> dict[str, float]:
    quantiles = np.quantile(values, QUANTILES)
    return {
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        **{f"quantile_{q:g}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
    }


def _above(values: NDArray[np.float64]) -> dict[str, float]:
    """Shares, and counts as logarithms: ten tiles are ten tiles on a small biopsy and on a large section."""
    counts = {level: int((values >= level).sum()) for level in LEVELS}
    shares = {f"share_above_{level:g}": count / len(values) for level, count in counts.items()}
    return shares | {f"log_count_above_{level:g}": float(np.log1p(count)) for level, count in counts.items()}


def _top(values: NDArray[np.float64]) -> dict[str, float]:
    """Means of the highest tiles; `values` ascend."""
    counts = {f"top_{count}_mean": min(count, len(values)) for count in TOP_COUNTS}
    counts |= {f"top_{share:.0%}_mean": max(1, round(share * len(values))) for share in TOP_SHARES}
    return {name: float(values[-count:].mean()) for name, count in counts.items()}


def _clusters(places: NDArray[np.float64], *, tiles: int, level: float) -> dict[str, float]:
    """Describe how the high tiles lie.

    Args:
        places: (H, 2) corners of the high tiles, in tile sides.
        tiles: How many tiles the slide has in all.
        level: Goes into the names.
    """
    sizes, with_neighbour = _touching(places)
    largest = int(sizes.max(initial=0))
    high = max(len(places), 1)
    return {
        f"largest_cluster_log_tiles_{level:g}": float(np.log1p(largest)),
        f"largest_cluster_share_{level:g}": largest / tiles,
        f"high_in_largest_cluster_{level:g}": largest / high,
        f"high_with_high_neighbour_{level:g}": with_neighbour / high,
        f"log_clusters_{level:g}": float(np.log1p(len(sizes))),
    }


def _touching(places: NDArray[np.float64]) -> tuple[NDArray[np.intp], int]:
    """Return the sizes of the groups of touching tiles, and how many tiles touch another one."""
    if len(places) == 0:
        return np.zeros(0, np.intp), 0
    pairs = cKDTree(places).query_pairs(_TOUCHING, p=np.inf, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(places), len(places)))
    _, group = cast("tuple[int, NDArray[np.int32]]", connected_components(links, directed=False))
    return np.bincount(group), len(np.unique(pairs))
