"""Marker ink on a slide, told from stains by which colours it takes out of the light.

Every stain in use here (haematoxylin, eosin, DAB) absorbs green more than red; green, blue and turquoise ink absorbs
red most. Red and orange ink takes out green and blue alike, where eosin leaves blue, and lets more red through than
blood does (density of red per green 0.06-0.12 in the red pen, 0.14-0.21 in bloody IDC patches). Published
stain vectors: Ruifrok & Johnston, Anal Quant Cytol Histol 23:291 (2001). The limits stand on the real pens of the
HistoQC and TCGA pictures, on 8,200 IDC patches and on generated ink of every hue.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MIN_STROKE_UM2 = 40_000.0
"""Smaller pieces are no pen stroke (a stroke is at least 200 um wide) but dye, pigment or a lone red cell."""
FADE_UM = 1200.0
"""How far doubtful red reaches from sure red, the pale ends of a stroke; red tissue has the same hue."""
RIM_UM = 40.0
"""Rim about a stroke that is no longer ink by hue but not to be trusted as tissue either."""

SQUARE = np.ones((3, 3), np.bool_)
"""A pixel and its eight neighbours."""
MAX_SHARE = 0.3
"""No pen covers more of a slide; a slide where it seems so has its colours wrong, and hue then tells nothing."""


def find_ink(density: NDArray[np.float32], *, um_per_px: float) -> NDArray[np.bool_]:
    """Find pen on an overview.

    Args:
        density: Optical density against glass, float32 (H, W, 3).
        um_per_px: Scale of the overview.

    Returns:
        (H, W), True on ink of any colour, black included, with its rim. Padding by the scanner is not ink.
    """
    sure, cold, warm = ink_pixels(density)
    stained = density.max(-1) > density.min(-1)
    area_px = min(MIN_STROKE_UM2 / um_per_px**2, sure.size / 20)
    core = large_pieces(sure & stained, at_least_px=max(4.0, area_px / 4))
    reach_px = max(1, round(FADE_UM / um_per_px))
    reached = np.asarray(ndimage.binary_dilation(core, SQUARE, iterations=reach_px, mask=core | warm | cold), np.bool_)
    grown = np.asarray(ndimage.binary_propagation(reached, SQUARE, mask=reached | cold), np.bool_)
    stroke = large_pieces(grown, at_least_px=max(6.0, area_px))
    if stroke.mean() > MAX_SHARE:
        return np.zeros_like(stroke)
    rim_px = max(1, min(4, round(RIM_UM / um_per_px)))
    return np.asarray(ndimage.binary_dilation(stroke, SQUARE, iterations=rim_px), np.bool_)


def large_pieces(mask: NDArray[np.bool_], *, at_least_px: float, neighbours: Literal[4, 8] = 8) -> NDArray[np.bool_]:
    """Keep the connected pieces of at least `at_least_px` pixels."""
    structure = ndimage.generate_binary_structure(2, 1 if neighbours == 4 else 2)
    labels, _ = cast("tuple[NDArray[np.int32], int]", ndimage.label(mask, structure=structure))
    large = np.bincount(labels.ravel()) >= at_least_px
    large[0] = False
    return large[labels]


def ink_pixels(
    density: NDArray[np.float32],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell ink by hue, from densities (..., 3).

    Returns:
        Masks (...): surely ink; perhaps ink of a cold hue, which no stained tissue has; perhaps red or black ink,
        which tissue may resemble.
    """
    red, green, blue = density[..., 0], density[..., 1], density[..., 2]
    high, low = density.max(-1), density.min(-1)
    green_ink = (red > 1.35 * green) & (red > 0.22) & (blue > 0.8 * green)
    blue_ink = ((red > 1.35 * green) & (red > 0.45)) | ((red > 1.05 * green) & (red > 0.75))
    red_ink = (blue > 0.68 * green) & (red < 0.13 * green) & (green > 0.45)
    yellow_ink = (blue > 2.0 * green) & (blue > 0.3) & (red < 0.5 * green + 0.05)
    black_ink = (high - low < 0.18 * high) & (low > 0.55)
    sure = green_ink | blue_ink | red_ink | yellow_ink | black_ink
    cold = ((red > 1.2 * green) & (red > 0.06)) | ((red > 0.95 * green) & (red > 0.75))
    warm = (blue > 0.66 * green) & (red < 0.26 * green) & (green > 0.22)
    dark = (high - low < 0.22 * high) & (low > 0.25)
    return sure, cold, warm | dark
