"""Marker ink on a slide, told from stains by which colours it takes out of the light.

Every stain in use here (haematoxylin, eosin, DAB) absorbs green more than red; green, blue and turquoise ink absorbs
red most. Red and orange ink lets red through and takes out green and blue alike, where eosin leaves blue. Published
stain vectors: Ruifrok & Johnston, Anal Quant Cytol Histol 23:291 (2001). The limits stand on the real pens of the
HistoQC and TCGA pictures, on 8,200 IDC patches and on generated ink of every hue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MIN_STROKE_UM2 = 40_000.0
"""Smaller pieces are no pen stroke (a stroke is at least 200 um wide) but dye, pigment or a lone red cell."""


def find_ink(density: NDArray[np.float32], *, um_per_px: float) -> NDArray[np.bool_]:
    """Find pen on an overview.

    Args:
        density: Optical density against glass, float32 (H, W, 3).
        um_per_px: Scale of the overview.

    Returns:
        (H, W), True on ink of any colour, black included.
    """
    sure, maybe = ink_pixels(density)
    grown = ndimage.binary_propagation(sure, mask=maybe | sure, structure=np.ones((3, 3)))
    labels, _ = ndimage.label(grown, structure=np.ones((3, 3)))
    below_px = min(MIN_STROKE_UM2 / um_per_px**2, grown.size / 20)
    large = np.bincount(labels.ravel()) >= max(4.0, below_px)
    large[0] = False
    return large[labels]


def ink_pixels(density: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pixels (..., ) that are surely ink and those that may be, from densities (..., 3)."""
    red, green, blue = density[..., 0], density[..., 1], density[..., 2]
    high, low = density.max(-1), density.min(-1)
    cold_sure = (red > 1.35 * green) & (red > 0.22) & ((blue > 0.8 * green) | (red > 0.45))
    cold_maybe = (red > 1.2 * green) & (red > 0.06)
    warm_sure = (blue > 0.62 * green) & (red < 0.22 * green) & (green > 0.5)
    warm_maybe = (blue > 0.6 * green) & (red < 0.4 * green) & (green > 0.22)
    yellow = (blue > 2.0 * green) & (blue > 0.3) & (red < 0.5 * green + 0.05)
    black_sure = (high - low < 0.25 * high) & (low > 0.55)
    black_maybe = (high - low < 0.3 * high) & (low > 0.25)
    return cold_sure | warm_sure | yellow | black_sure, cold_maybe | warm_maybe | yellow | black_maybe
