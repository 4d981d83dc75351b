"""A slide's heatmap in numbers: how much is suspicious, in how many places, how large, how sure, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.explain.slide_tiles import SlideTiles, TileRegion, regions_above

_WORDS = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))


@dataclass(frozen=True, slots=True, eq=False)
class HeatmapStatistics:
    """What the tiles of a slide say together, without any rule that decides."""

    tiles: int
    mm2: float
    """Area of all tiles that were looked at."""
    threshold: float
    """Probability from which a tile counts as suspicious: the TILE threshold of the model."""
    above: int
    """Tiles that reach it."""
    above_mm2: float
    regions: tuple[TileRegion, ...]
    """Connected suspicious tiles, most suspicious first."""
    mean: float
    median: float
    highest: float
    entropy_bits: float
    """Mean over tiles of the binary entropy of their probability: 0 = every tile is sure, 1 bit = none is."""
    spread_bits: float
    """Entropy of how the summed probability is spread over tiles, relative to an even spread (0-1): near 0 one tile
    holds it all, near 1 it is the same everywhere."""
    where: str
    """Part of the looked-at tissue in which the first region lies, in words; empty without one."""

    @property
    def share_above(self) -> float:
        """Share of the tiles that reach the threshold, 0-1."""
        return self.above / self.tiles

    @property
    def largest(self) -> TileRegion | None:
        """The region of the largest area."""
        return max(self.regions, key=lambda region: region.mm2, default=None)


def heatmap_statistics(tiles: SlideTiles, *, threshold: float) -> HeatmapStatistics:
    """Describe a slide's heatmap.

    Args:
        tiles: Of the slide, at least one.
        threshold: Probability from which a tile is suspicious.

    Raises:
        ValueError: there is no tile.
    """
    if not len(tiles):
        raise ValueError("A slide without tiles has no heatmap.")
    regions = regions_above(tiles, threshold=threshold)
    above = int((tiles.target >= threshold).sum())
    return HeatmapStatistics(
        tiles=len(tiles),
        mm2=len(tiles) * tiles.tile_mm2,
        threshold=threshold,
        above=above,
        above_mm2=above * tiles.tile_mm2,
        regions=regions,
        mean=float(tiles.target.mean()),
        median=float(np.median(tiles.target)),
        highest=float(tiles.target.max()),
        entropy_bits=float(binary_entropy(tiles.target).mean()),
        spread_bits=_evenness(tiles.target),
        where=_where(tiles, regions),
    )


def binary_entropy(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return -p log2 p - (1 - p) log2(1 - p) of every probability; 0 where it is 0 or 1."""
    p = np.asarray(probability, np.float64)
    total = np.zeros_like(p)
    for part in (p, 1 - p):
        total -= part * np.log2(part, out=np.zeros_like(part), where=part > 0)
    return total


def _evenness(target: NDArray[np.float64]) -> float:
    """Return Pielou's evenness of the tiles' shares in the summed probability: entropy over its highest value."""
    total = float(target.sum())
    if len(target) < 2 or total <= 0:
        return 0.0
    shares = target[target > 0] / total
    return float(-(shares * np.log(shares)).sum() / np.log(len(target)))


def _where(tiles: SlideTiles, regions: Sequence[TileRegion]) -> str:
    """Return in which ninth of the tissue's bounding box the first region's middle lies."""
    if not regions:
        return ""
    low = tiles.xy_level0.min(axis=0)
    high = tiles.xy_level0.max(axis=0) + np.array(tiles.size_level0)
    part = (np.array(regions[0].centre_level0) - low) / (high - low)
    column, row = (min(int(share * 3), 2) for share in part)
    return _WORDS[row][column]
