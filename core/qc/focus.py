"""Focus of tissue, from how much of its contrast lies in fine detail.

Detail is split into four bands of density by Gaussians an octave apart. Tissue that is in focus has about as much
contrast in the two finest bands as in the two next; defocus takes the finest first (S. Pertuz, D. Puig and M. Garcia,
Pattern Recognition 46:1415 (2013) compares such band-pass measures). A ratio of bands does not depend on how strongly
the slide is stained, and pixels of glass are left out, so an empty corner is not taken for blur.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from core.domain import Mpp, Region, Size
from core.errors import MissingMppError
from core.optics import DEFAULT_GLASS, optical_density
from core.slides.protocol import SlideReader
from core.tiles import TileGrid
from core.tissue import TissueMask

PROBE_PX = 128
PROBE_UM_PER_PX = 0.5
"""A probe is 64 um wide: some fifty nuclei across, two JPEG tiles to decode at most times."""
FINEST_BAND_UM = 0.7
"""Sigma of the finest Gaussian; at coarser scales it is `FINEST_BAND_PX` pixels instead."""
FINEST_BAND_PX = 1.4
SHARP_RATIO = 0.8
"""Ratio of fine to coarse contrast that counts as fully sharp. Median and 2nd percentile of 128 px windows of the real
CMU-1 region: 1.40 and 0.99 sharp; median 0.57, 0.31, 0.19 after a Gaussian blur of sigma 1, 2, 4 um."""
NOISE_FLOOR = (0.006, 0.003)
"""Density contrast that camera and JPEG leave in the two finest bands of a featureless image."""
TISSUE_DENSITY = 0.06
MIN_TISSUE_SHARE = 0.15
"""Share of tissue a window needs for its focus to be told."""


def tile_focus(
    tile: NDArray[np.uint8], *, um_per_px: float, glass: tuple[float, float, float] = DEFAULT_GLASS
) -> float:
    """Focus of one window, 0 (no fine detail) to 1 (sharp); NaN where it holds too little tissue.

    A blur narrower than the window's own pixels cannot be seen: give windows of at most 1 um/px.

    Args:
        tile: (H, W, 3) RGB.
        um_per_px: Its scale.
        glass: Colour of the slide's glass.
    """
    density = optical_density(tile, glass=np.asarray(glass, np.float32)).mean(-1)
    levels, tissue = _octaves(density, finest_px=max(FINEST_BAND_UM / um_per_px, FINEST_BAND_PX))
    if tissue.mean() < MIN_TISSUE_SHARE:
        return float("nan")
    bands = [_spread(finer, coarser, tissue) for finer, coarser in pairwise(levels)]
    fine = sum(np.sqrt(max(band**2 - floor**2, 0.0)) for band, floor in zip(bands, NOISE_FLOOR, strict=False))
    coarse = bands[2] + bands[3]
    return float(np.clip(fine / coarse / SHARP_RATIO, 0.0, 1.0)) if coarse > 0 else float("nan")


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
    band = finer[::halved, ::halved] - coarser
    on_tissue = band[tissue[::step, ::step]]
    return float(on_tissue.std()) if on_tissue.size else 0.0


def _blur(density: NDArray[np.float32], *, sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(density, sigma_px, truncate=2.5), np.float32)


def focus_probe(
    reader: SlideReader, grid: TileGrid, mask: TissueMask, *, max_probes: int = 400, seed: int = 0
) -> NDArray[np.float32]:
    """Measure focus in small, fine windows inside the tiles of a grid.

    At most `max_probes` tiles are looked into, one drawn from each of as many equal runs of the grid; the others take
    the value of the nearest tile that was measured.

    Args:
        reader: The slide.
        grid: Its tiles.
        mask: Its tissue: a probe is placed where its tile holds most of it.
        max_probes: Most windows read.
        seed: Of the draw.

    Returns:
        (N,) float32, 0-1; all NaN where not one window held enough tissue.

    Raises:
        MissingMppError: the slide has no scale.
        UnreadableSlideError: the file broke while being read.
    """
    mpp = reader.info.mpp
    if mpp is None:
        raise MissingMppError(f"{reader.info.path.name} has no scale, so focus cannot be measured. Give it with --mpp.")
    chosen = _draw(len(grid), max_probes=max_probes, seed=seed)
    windows = _windows(grid, mask, chosen, mpp=mpp, slide=reader.info.size)
    um_per_px = max(PROBE_UM_PER_PX, mpp.mean)
    values = np.full(len(grid), np.nan, np.float32)
    for index, window in zip(chosen, windows, strict=True):
        out = Size(max(1, round(window.width * mpp.x / um_per_px)), max(1, round(window.height * mpp.y / um_per_px)))
        values[index] = tile_focus(reader.read(window, out), um_per_px=um_per_px, glass=mask.glass)
    return _fill_from_nearest(values, grid.xy_level0)


def _draw(count: int, *, max_probes: int, seed: int) -> NDArray[np.int64]:
    if count <= max_probes:
        return np.arange(count)
    edges = np.linspace(0, count, max_probes + 1)
    inside = np.random.default_rng(seed).random(max_probes)
    return (edges[:-1] + inside * np.diff(edges)).astype(np.int64)


def _windows(grid: TileGrid, mask: TissueMask, chosen: NDArray[np.int64], *, mpp: Mpp, slide: Size) -> list[Region]:
    """The window of most tissue among nine in each tile, in level-0 pixels, kept on the slide."""
    edge_um = PROBE_PX * max(PROBE_UM_PER_PX, mpp.mean)
    width = min(grid.size_level0.width, max(1, round(edge_um / mpp.x)), slide.width)
    height = min(grid.size_level0.height, max(1, round(edge_um / mpp.y)), slide.height)
    steps = np.array([(0.5, 0.5), *((a, b) for a in (0.5, 0, 1) for b in (0.5, 0, 1) if (a, b) != (0.5, 0.5))])
    room = np.array([grid.size_level0.width - width, grid.size_level0.height - height])
    corners = grid.xy_level0[chosen][:, None, :] + np.rint(steps * room)[None]
    corners = np.clip(corners, 0, [slide.width - width, slide.height - height]).astype(np.int64)
    share = mask.fraction(corners[..., 0], corners[..., 1], np.asarray(width), np.asarray(height))
    best = corners[np.arange(len(chosen)), share.argmax(1)]
    return [Region(int(x), int(y), width, height) for x, y in best]


def _fill_from_nearest(values: NDArray[np.float32], xy: NDArray[np.int32]) -> NDArray[np.float32]:
    known = np.isfinite(values)
    if known.all() or not known.any():
        return values
    _, nearest = KDTree(xy[known]).query(xy[~known])
    filled = values.copy()
    filled[~known] = values[known][nearest]
    return filled
