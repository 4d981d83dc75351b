"""Quality of single tiles: pure functions from pixels to one row of measures each.

All but focus are taken at about 4 um/px, whatever the tile's own scale, so that a limit means the same for every
model. Focus cannot be seen there; `core/qc/focus.py` looks for it in finer windows, and fills its column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.ink import ink_pixels
from core.optics import DEFAULT_GLASS, optical_density

QC_COLUMNS: tuple[str, ...] = ("focus", "brightness", "contrast", "pen_fraction", "tissue_fraction")
"""Columns of the array that travels from `tile_qc` to `qc_report`; in tables they are called `qc_<name>`.

focus: 0 (no detail) to 1 (sharp), NaN where it was not measured.
brightness: mean light through the tile's tissue relative to glass, 0-1; NaN without tissue.
contrast: standard deviation of optical density within the tile's tissue; NaN without tissue.
pen_fraction: share of the tile under ink, 0-1.
tissue_fraction: share of the tile that is neither glass nor ink, 0-1.
"""
MEASURE_UM_PER_PX = 4.0
TISSUE_DENSITY = 0.04
"""Mean optical density at 4 um/px above which a pixel is not glass; the palest real adipose walls lie near 0.06."""
MIN_TISSUE_SHARE = 0.02
"""Below this share of tissue pixels a tile's brightness and contrast say nothing."""
INK_DENSITY = 0.22
"""Density of red light that cold ink absorbs at least: paler blue may be a haematoxylin counterstain."""


def column(name: str) -> int:
    """Index of a measure in a QC array.

    Raises:
        ValueError: there is no such measure.
    """
    return QC_COLUMNS.index(name)


def tile_qc(
    tiles: NDArray[np.uint8], *, um_per_px: float, glass: tuple[float, float, float] = DEFAULT_GLASS
) -> NDArray[np.float32]:
    """Measure tiles.

    Args:
        tiles: (N, H, W, 3) RGB.
        um_per_px: Their scale.
        glass: Colour of the slide's glass, for instance `TissueMask.glass`.

    Returns:
        (N, len(QC_COLUMNS)) float32; the focus column is NaN until `focus_probe` fills it.
    """
    small = _shrink(tiles, factor=max(1, round(MEASURE_UM_PER_PX / um_per_px)))
    density = optical_density(small, glass=np.asarray(glass, np.float32))
    ink = _ink(density)
    mean_density = density.mean(-1)
    tissue = (mean_density > TISSUE_DENSITY) & ~ink
    axes = (1, 2)
    share = tissue.mean(axes)
    seen = share >= MIN_TISSUE_SHARE
    count = np.maximum(tissue.sum(axes), 1)
    brightness = (10.0**-mean_density * tissue).sum(axes) / count
    mean = (mean_density * tissue).sum(axes) / count
    variance = (((mean_density - mean[:, None, None]) ** 2) * tissue).sum(axes) / count
    values = {
        "focus": np.full(len(tiles), np.nan),
        "brightness": np.where(seen, brightness, np.nan),
        "contrast": np.where(seen, np.sqrt(variance), np.nan),
        "pen_fraction": ink.mean(axes),
        "tissue_fraction": share,
    }
    return np.stack([values[name] for name in QC_COLUMNS], axis=1).astype(np.float32)


def _ink(density: NDArray[np.float32]) -> NDArray[np.bool_]:
    sure, cold, _ = ink_pixels(density)
    return sure | (cold & (density[..., 0] > INK_DENSITY))


def _shrink(tiles: NDArray[np.uint8], *, factor: int) -> NDArray[np.uint8]:
    """Average blocks of `factor` x `factor` pixels; the last ones are smaller where the tile does not divide."""
    if factor == 1:
        return tiles
    # Pillow's reduce is ten times as fast as summing over numpy axes, and this runs on every tile of a slide.
    return np.stack([np.asarray(Image.fromarray(tile).reduce(factor)) for tile in tiles])
