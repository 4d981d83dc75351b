"""How strongly tissue is stained from place to place: too pale to show structure, or stained over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import large_pieces
from core.qc.shapes import grown

PALE_PEAK = {"he": 0.20, "ihc": 0.125, "unknown": 0.125}
"""Density of the darkest structures below which nuclei cannot be told. Medians at 1 um/px: H&E phantoms and templates
0.36 to 0.53, the real CMU-1 region 0.80, counterstain of IHC 0.23; a third of the dye leaves 0.15 (H&E)."""
PALE_SHARE = {"he": 0.58, "ihc": 0.45, "unknown": 0.45}
"""Share of the slide's usual peak below which a place is pale within its own slide."""
NEIGHBOURS = {"he": 3, "ihc": 7, "unknown": 3}
"""Edge in cells of the square that peaks are averaged over: in IHC nuclei alone are dark, and many cells hold none."""
FLATTENED = ((4.0, 0.45), (2.0, 0.7))
"""Pixels coarser than (um/px) leave that factor of a peak, the coarsest first. Above 2, nuclei no longer fill a pixel.
Above 4, the three pixels of smoothing are wider than any nucleus, and a place shows what all of it lets through: with
15 % of gaps, 10 to 25 % of nuclei of density 0.45 and the rest of 0.13 that is a density of 0.13 to 0.17, and of 0.05
to 0.06 with a third of the dye; the bound of H&E lies between, at 0.09."""
MIN_CORE_CELLS = 100
"""Cells of a pale place that is large enough to have a border of its own: 0.1 mm2."""
BORDER_CELLS = 4
"""How wide that border, in which the stain fades, is at most."""
OVER_DENSITY = 0.95
"""Mean density of tissue above which it is stained over: the real CMU-1 region has 0.37 to 0.55 on average."""
LEVELS = 3
"""Measures of a cell: the fields of `StainLevels`."""
GLASS_DENSITY = 0.03
MAX_GLASS = 0.45
"""Share of glass in a cell above which it is fat or a border, whose few walls say nothing about the stain."""


@dataclass(frozen=True, slots=True, eq=False)
class StainLevels:
    """Stain by cell, (rows, columns) each."""

    peak: NDArray[np.float32]
    """Highest smoothed mean density in the cell: a nucleus, if there is one."""
    mean: NDArray[np.float32]
    """Mean density of what is not glass."""
    glass: NDArray[np.float32]
    """Share of the cell that is glass, 0-1."""


def stain_levels(density: NDArray[np.float32], *, cell_px: int) -> StainLevels:
    """Measure the stain of square cells.

    Args:
        density: (H, W) mean optical density, at about 1 um/px; both sides multiples of `cell_px`.
        cell_px: Edge of a cell.
    """
    rows, columns = density.shape[0] // cell_px, density.shape[1] // cell_px
    shape = (rows, cell_px, columns, cell_px)
    calm = np.asarray(ndimage.uniform_filter(density, 3), np.float32).reshape(shape)
    clear = calm < GLASS_DENSITY
    stained = np.where(clear, 0, calm).sum((1, 3), dtype=np.float32)
    count = cell_px**2 - clear.sum((1, 3))
    mean = stained / np.maximum(count, 1)
    return StainLevels(calm.max((1, 3)), mean.astype(np.float32), clear.mean((1, 3)).astype(np.float32))


def badly_stained(
    levels: StainLevels, tissue: NDArray[np.bool_], *, kind: str, um_per_px: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell pale and over-stained cells.

    Args:
        levels: Of all cells.
        tissue: (rows, columns) cells that are in focus and mostly clean tissue.
        kind: Of the stain: "he", "ihc" or "unknown".
        um_per_px: Scale at which the peaks were seen.

    Returns:
        Masks (rows, columns): pale, stained over.
    """
    solid = tissue & (levels.glass < MAX_GLASS) & (levels.peak > 0)
    if not solid.any():
        return np.zeros_like(tissue), np.zeros_like(tissue)
    around = _mean_around(levels.peak, solid, edge=NEIGHBOURS[kind])
    least = PALE_PEAK[kind] * next((factor for coarser, factor in FLATTENED if um_per_px > coarser), 1.0)
    usual = float(np.median(around[solid]))
    pale = _outlined(solid & ((around < least) | (around < PALE_SHARE[kind] * usual)), around, solid)
    over = solid & (_mean_around(levels.mean, solid, edge=3) > OVER_DENSITY)
    return pale, over


def _outlined(pale: NDArray[np.bool_], around: NDArray[np.float32], solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Extend large pale places to where the stain is half way between theirs and that of the rest."""
    large = large_pieces(pale, at_least_px=MIN_CORE_CELLS)
    rest = solid & ~pale
    if not large.any() or not rest.any():
        return pale
    half_way = (float(np.median(around[large])) + float(np.median(around[rest]))) / 2
    return pale | grown(large, into=solid & (around < half_way), steps=BORDER_CELLS)


def _mean_around(values: NDArray[np.float32], chosen: NDArray[np.bool_], *, edge: int) -> NDArray[np.float32]:
    """Mean over the chosen cells in a square of so many cells."""
    total = np.asarray(ndimage.uniform_filter(values * chosen, edge, mode="constant"), np.float32)
    count = np.asarray(ndimage.uniform_filter(chosen.astype(np.float32), edge, mode="constant"), np.float32)
    return np.asarray(total / np.maximum(count, 1e-6), np.float32)
