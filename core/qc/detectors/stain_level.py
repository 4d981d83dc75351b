"""How strongly tissue is stained from place to place: too pale to show structure, or stained over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

PALE_PEAK = {"he": 0.20, "ihc": 0.125, "unknown": 0.125}
"""Density of the darkest structures below which nuclei cannot be told. Medians at 1 um/px: H&E phantoms and templates
0.36 to 0.53, the real CMU-1 region 0.80, counterstain of IHC 0.23; a third of the dye leaves 0.15 (H&E)."""
PALE_SHARE = {"he": 0.58, "ihc": 0.45, "unknown": 0.45}
"""Share of the slide's usual peak below which a place is pale within its own slide."""
LEAST_GROUND = {"he": 0.10, "ihc": 0.045, "unknown": 0.045}
"""Density of the ground above which nothing is pale, however few its nuclei: collagen without cells. Medians and 5th
percentiles of phantoms: H&E 0.17 and 0.11, IHC 0.059 and 0.036; a third of the dye leaves 0.06 and 0.02."""
PALE_GROUND = 0.62
"""Share of the slide's usual ground below which the ground of a place is pale: 95 of 100 places of H&E and IHC phantoms
lie above, and at 0.36 with a third of the dye."""
NEIGHBOURS = {"he": 3, "ihc": 7, "unknown": 3}
"""Edge in cells of the square that peaks are averaged over: in IHC nuclei alone are dark, and many cells hold none."""
FLATTENED = ((4.0, 0.45), (2.0, 0.7))
"""Pixels coarser than (um/px) leave that factor of a peak, the coarsest first. Above 2, nuclei no longer fill a pixel.
Above 4, the three pixels of smoothing are wider than any nucleus, and a place shows what all of it lets through: with
15 % of gaps, 10 to 25 % of nuclei of density 0.45 and the rest of 0.13 that is a density of 0.13 to 0.17, and of 0.05
to 0.06 with a third of the dye; the bound of H&E lies between, at 0.09."""
OVER_DENSITY = 0.95
"""Mean density of tissue above which it is stained over: the real CMU-1 region has 0.37 to 0.55 on average."""
LEVELS = 2
"""Measures of a cell: the fields of `StainLevels`."""
GLASS_DENSITY = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class StainLevels:
    """Stain by cell, (rows, columns) each."""

    peak: NDArray[np.float32]
    """Highest smoothed mean density in the cell: a nucleus, if there is one."""
    mean: NDArray[np.float32]
    """Mean density of what is not glass."""


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
    return StainLevels(calm.max((1, 3)), mean.astype(np.float32))


def badly_stained(
    levels: StainLevels, solid: NDArray[np.bool_], *, ground: NDArray[np.float32], kind: str, um_per_px: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell pale and over-stained cells.

    A place is pale where both its nuclei and the ground between them are: collagen may hold no nucleus, and mucus takes
    hardly any dye.

    Args:
        levels: Of all cells.
        solid: (rows, columns) cells that are in focus and mostly clean tissue, not fat.
        ground: (rows, columns) mean density of what is not glass.
        kind: Of the stain: "he", "ihc" or "unknown".
        um_per_px: Scale at which the peaks were seen.

    Returns:
        Masks (rows, columns): pale, stained over.
    """
    told = solid & (levels.peak > 0)
    if not told.any():
        return np.zeros_like(solid), np.zeros_like(solid)
    around = _mean_around(levels.peak, told, edge=NEIGHBOURS[kind])
    least = PALE_PEAK[kind] * next((factor for coarser, factor in FLATTENED if um_per_px > coarser), 1.0)
    usual, usual_ground = float(np.median(around[told])), float(np.median(ground[told]))
    pale = (around < least) & (ground < LEAST_GROUND[kind])
    pale |= (around < PALE_SHARE[kind] * usual) & (ground < PALE_GROUND * usual_ground)
    over = told & (_mean_around(levels.mean, told, edge=3) > OVER_DENSITY)
    return pale & told, over


def _mean_around(values: NDArray[np.float32], chosen: NDArray[np.bool_], *, edge: int) -> NDArray[np.float32]:
    """Mean over the chosen cells in a square of so many cells."""
    total = np.asarray(ndimage.uniform_filter(values * chosen, edge, mode="constant"), np.float32)
    count = np.asarray(ndimage.uniform_filter(chosen.astype(np.float32), edge, mode="constant"), np.float32)
    return np.asarray(total / np.maximum(count, 1e-6), np.float32)
