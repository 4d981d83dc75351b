"""Focus of tissue, from how much of its contrast lies in fine detail.

Detail is split into four bands of density by Gaussians an octave apart. Tissue that is in focus has about as much
contrast in the two finest bands as in the two next; defocus takes the finest first (S. Pertuz, D. Puig and M. Garcia,
Pattern Recognition 46:1415 (2013) compares such band-pass measures). A ratio of bands does not depend on how strongly
the slide is stained, and pixels of glass are left out, so an empty corner is not taken for blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FINEST_BAND_UM = 0.7
"""Sigma of the finest Gaussian; at coarser scales it is `FINEST_BAND_PX` pixels instead."""
FINEST_BAND_PX = 1.4
SHARP_RATIO = 0.8
"""Ratio of fine to coarse contrast that counts as fully sharp. Median and 2nd percentile of 128 px windows of the real
CMU-1 region: 1.40 and 0.99 sharp; median 0.57, 0.31, 0.19 after a Gaussian blur of sigma 1, 2, 4 um."""
MIN_FOCUS = 0.5
"""Focus below which tissue is out of focus: a Gaussian blur of about 1.5 um, a cell nucleus without chromatin."""
NOISE_FLOOR = (0.006, 0.003)
"""Density contrast that camera and JPEG leave in the two finest bands of a featureless image."""
TISSUE_DENSITY = 0.06
MIN_TISSUE_SHARE = 0.15
"""Share of tissue a window needs for its focus to be told."""
BANDS = 4
SUMS = BANDS + 1
"""Columns of a table of sums: the energy of each band on tissue, finest first, and the count of tissue."""


@dataclass(frozen=True, slots=True, eq=False)
class BandSums:
    """Energy of detail by band, summed over square cells."""

    sums: NDArray[np.float32]
    """(rows, columns, SUMS)."""
    px: int
    """Pixels in one cell, for the share of tissue."""

    def focus(self) -> NDArray[np.float32]:
        """Return (rows, columns) focus, 0-1: the mean of a cell and its eight neighbours; NaN with too little tissue.

        Cells count by their tissue. It is the mean of what each says, not of the energies behind it: a sharp cell has
        so much more energy that it would outshout the blurred ones beside it.
        """
        tissue = self.sums[..., -1]
        spread = np.sqrt(self.sums[..., :BANDS] / np.maximum(tissue[..., None], 1))
        own = focus_of(spread)
        weight = np.where(np.isfinite(own), tissue, 0).astype(np.float32)
        total, around = _around(np.nan_to_num(own).astype(np.float32) * weight), _around(weight)
        room = _around(np.full(tissue.shape, self.px, np.float32))
        told = around >= MIN_TISSUE_SHARE * room
        return np.where(told, total / np.maximum(around, 1e-6), np.nan).astype(np.float32)


def _around(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(ndimage.uniform_filter(values, 3, mode="constant"), np.float32) * 9


def focus_of(spread: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return focus, 0 to 1, from the contrast in each band.

    Args:
        spread: (..., BANDS) standard deviations of density, finest band first.
    """
    fine = sum(np.sqrt(np.maximum(spread[..., i] ** 2 - floor**2, 0)) for i, floor in enumerate(NOISE_FLOOR))
    coarse = spread[..., 2] + spread[..., 3]
    ratio = np.divide(fine, coarse, out=np.full(coarse.shape, np.nan), where=coarse > 0)
    return np.clip(ratio / SHARP_RATIO, 0.0, 1.0)


def band_sums(density: NDArray[np.float32], *, um_per_px: float, cell_px: int) -> BandSums:
    """Sum the energy of each band over cells.

    A blur narrower than the image's own pixels cannot be seen: give at most 1 um/px to see what a reader would.

    Args:
        density: (H, W) mean optical density; sides that cells do not divide are cut off at the end.
        um_per_px: Its scale.
        cell_px: Edge of a cell, a multiple of 4.
    """
    rows, columns = density.shape[0] // cell_px, density.shape[1] // cell_px
    cut = density[: rows * cell_px, : columns * cell_px]
    levels, tissue = _octaves(cut, finest_px=max(FINEST_BAND_UM / um_per_px, FINEST_BAND_PX))
    parts = [_cell_sums(tissue.astype(np.float32), rows, columns)]
    for finer, coarser in pairwise(levels):
        halved = round(finer.shape[0] / coarser.shape[0]) if coarser.shape[0] else 1
        step = round(tissue.shape[0] / coarser.shape[0]) if coarser.shape[0] else 1
        band = finer[::halved, ::halved] - coarser
        here = tissue[::step, ::step].astype(np.float32)
        energy, seen = (
            _cell_sums(np.asarray(band * band * here, np.float32), rows, columns),
            _cell_sums(here, rows, columns),
        )
        # As if every tissue pixel had been looked at, so that all bands share one count.
        parts.append(np.asarray(energy * parts[0] / np.maximum(seen, 1), np.float32))
    return BandSums(np.stack([*parts[1:], parts[0]], axis=-1).astype(np.float32), cell_px**2)


def _cell_sums(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    if not (rows and columns):
        return np.zeros((rows, columns), np.float32)
    high, wide = values.shape[0] // rows, values.shape[1] // columns
    return values[: rows * high, : columns * wide].reshape(rows, high, columns, wide).sum((1, 3), dtype=np.float32)


def tile_focus(density: NDArray[np.float32], *, um_per_px: float) -> float:
    """Focus of one window, 0 (no fine detail) to 1 (sharp); NaN where it holds too little tissue.

    Args:
        density: (H, W) mean optical density.
        um_per_px: Its scale.
    """
    levels, tissue = _octaves(density, finest_px=max(FINEST_BAND_UM / um_per_px, FINEST_BAND_PX))
    if tissue.size == 0 or tissue.mean() < MIN_TISSUE_SHARE:
        return float("nan")
    spread = np.array([_spread(finer, coarser, tissue) for finer, coarser in pairwise(levels)])
    return float(focus_of(spread))


def _octaves(density: NDArray[np.float32], *, finest_px: float) -> tuple[list[NDArray[np.float32]], NDArray[np.bool_]]:
    """Return the density and its four blurs an octave apart, the last two at half and quarter size, and the tissue.

    Each blur starts from the one before and halves what it no longer resolves: a quarter of the time of four blurs.
    """
    step_px = finest_px * np.sqrt(3.0)
    first = _blur(density, sigma_px=finest_px)
    second = _blur(first, sigma_px=step_px)
    third = _blur(second[::2, ::2], sigma_px=step_px)
    fourth = _blur(third[::2, ::2], sigma_px=step_px)
    return [density, first, second, third, fourth], second > TISSUE_DENSITY


def _spread(finer: NDArray[np.float32], coarser: NDArray[np.float32], tissue: NDArray[np.bool_]) -> float:
    """Standard deviation, on tissue, of the band between two octaves, the coarser of which may be halved in size."""
    halved = round(finer.shape[0] / coarser.shape[0])
    step = round(tissue.shape[0] / coarser.shape[0])
    on_tissue = (finer[::halved, ::halved] - coarser)[tissue[::step, ::step]]
    return float(on_tissue.std()) if on_tissue.size else 0.0


def _blur(density: NDArray[np.float32], *, sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(density, sigma_px, truncate=2.5), np.float32)
