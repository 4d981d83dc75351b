"""Which tiles of a slide are looked at: a grid in micrometres, laid out in level-0 pixels, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain import Mpp, Region, Size
from core.errors import InputError
from core.tissue import TissueMask

BACKGROUND = "background"
"""Reason under which tiles with too little tissue are counted."""
MAX_TILES = 5_000_000
"""A grid above this is a mistake of unit: 80 x 80 mm in tiles of 50 um with half overlap has as many again."""


@dataclass(frozen=True, slots=True)
class TileSpec:
    """What a tile is, independent of any slide."""

    size_um: float
    """Edge of the square tile."""
    mpp: float
    """um/px at which it is handed to the model."""
    stride_um: float | None = None
    """Step from tile to tile; None is `size_um` (neither gap nor overlap)."""
    min_tissue_fraction: float = 0.25
    """Tiles with a smaller share of tissue are dropped."""

    def __post_init__(self) -> None:
        for name, value in (("size", self.size_um), ("scale", self.mpp), ("stride", self.step_um)):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"The {name} of a tile must be a positive number of micrometres, got {value:g}.")
        if not 0 <= self.min_tissue_fraction <= 1:
            raise InputError(f"The least tissue fraction must lie in 0 to 1, got {self.min_tissue_fraction:g}.")
        if self.size_px < 1:
            raise InputError(f"A tile of {self.size_um:g} um at {self.mpp:g} um/px has no pixel; make it larger.")

    @property
    def step_um(self) -> float:
        """The stride, with its default filled in."""
        return self.size_um if self.stride_um is None else self.stride_um

    @property
    def size_px(self) -> int:
        """Edge of the tile in the model's pixels."""
        return round(self.size_um / self.mpp)


@dataclass(frozen=True, slots=True, eq=False)
class TileGrid:
    """The tiles of one slide that are kept, row-major."""

    xy_level0: NDArray[np.int32]
    """(N, 2) left and top edges in level-0 pixels, row by row, left to right."""
    size_level0: Size
    """Level-0 pixels of every tile; those at the right and bottom edge may reach beyond the slide (white there)."""
    spec: TileSpec
    size_px: int
    """Edge of a tile as the model sees it."""
    total: int
    """Tiles of the whole slide, kept and dropped."""
    dropped: Mapping[str, int]
    """Reason -> tiles dropped for it; with `len(grid)` they sum to `total`."""

    def __len__(self) -> int:
        return len(self.xy_level0)

    def region(self, index: int) -> Region:
        """Level-0 region of one tile."""
        x, y = self.xy_level0[index]
        return Region(int(x), int(y), self.size_level0.width, self.size_level0.height)


def tile_grid(size: Size, mpp: Mpp, spec: TileSpec, mask: TissueMask | None) -> TileGrid:
    """Lay the grid over a slide and drop the tiles without enough tissue.

    The grid starts at the slide's top left corner and ends with the first tile that reaches its right and bottom edge,
    so every pixel is covered unless the stride is larger than the tile. Size and step are rounded to whole level-0
    pixels once, so that neighbours meet exactly; the scale at which tiles are read changes by less than half a pixel
    over a tile.

    Args:
        size: Level-0 pixels of the slide.
        mpp: Scale of the slide; x and y may differ.
        spec: The tiles wanted.
        mask: Tissue of the slide; None keeps every tile.

    Raises:
        InputError: the grid would have more than `MAX_TILES` tiles.
    """
    tile = Size(max(1, round(spec.size_um / mpp.x)), max(1, round(spec.size_um / mpp.y)))
    step = Size(max(1, round(spec.step_um / mpp.x)), max(1, round(spec.step_um / mpp.y)))
    columns = _count(size.width, tile=tile.width, step=step.width)
    rows = _count(size.height, tile=tile.height, step=step.height)
    total = columns * rows
    if total > MAX_TILES:
        raise InputError(
            f"Tiles of {spec.size_um:g} um every {spec.step_um:g} um make {total:,} tiles on this slide; at most "
            f"{MAX_TILES:,} are allowed. Check the tile size and the slide's scale."
        )
    xy = np.empty((rows, columns, 2), np.int32)
    xy[..., 0] = np.arange(columns) * step.width
    xy[..., 1] = (np.arange(rows) * step.height)[:, None]
    xy = xy.reshape(total, 2)
    kept = xy if mask is None else xy[_has_tissue(xy, tile=tile, spec=spec, mask=mask)]
    dropped = {} if mask is None else {BACKGROUND: total - len(kept)}
    return TileGrid(kept, size_level0=tile, spec=spec, size_px=spec.size_px, total=total, dropped=dropped)


def _count(length: int, *, tile: int, step: int) -> int:
    return max(0, math.ceil((length - tile) / step)) + 1


def _has_tissue(xy: NDArray[np.int32], *, tile: Size, spec: TileSpec, mask: TissueMask) -> NDArray[np.bool_]:
    width, height = np.asarray(tile.width), np.asarray(tile.height)
    return mask.fraction(xy[:, 0], xy[:, 1], width, height) >= spec.min_tissue_fraction
