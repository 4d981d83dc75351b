"""Tissue too pale for the tissue mask: beside known tissue, coloured, and as rough as tissue is and glass is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.qc.shapes import enlarged, grown, opened, reduced, smooth_density
from core.tissue import close_gaps

WORK_UM_PER_PX = 16.0
SMOOTHING_UM = 32.0
"""Sigma over which density is averaged."""
MIN_DENSITY = 0.010
"""Mean density: a third of the dye of IHC leaves 0.016 to 0.03, glass has less than 0.005."""
MIN_COLOUR = 0.006
GREY_SHARE = 0.2
"""Colour per density below which it is haze, a shadow or the inside of a bubble."""
MIN_ROUGHNESS = 0.005
"""Standard deviation of density within 64 um: structure, where glass has noise alone."""
ROUGH_UM = 64.0
MIN_WIDTH_UM = 160.0
"""Narrower rims of known tissue are its frayed border, not a place without stain."""
INK_UM = 200.0
"""Reach of ink, whose haze is coloured too."""


def faint_tissue(
    density: NDArray[np.float32], known: NDArray[np.bool_], *, near_ink: NDArray[np.bool_], um_per_px: float
) -> NDArray[np.bool_]:
    """Find pale tissue that continues known tissue.

    Args:
        density: (H, W, 3) optical density against glass.
        known: (H, W) tissue of the tissue mask.
        near_ink: (H, W) ink.
        um_per_px: Scale of all.

    Returns:
        (H, W), disjoint from `known`.
    """
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    work_um = um_per_px * factor
    local = smooth_density(reduced(density, factor), sigma_px=SMOOTHING_UM / work_um)
    mean, colour = local.mean(-1), local.max(-1) - local.min(-1)
    rough = enlarged(
        _roughness(density.mean(-1), edge_px=max(3, round(ROUGH_UM / um_per_px)), factor=factor), mean.shape
    )
    ink = np.asarray(ndimage.maximum_filter(reduced(near_ink, factor), 2 * round(INK_UM / work_um) + 1)) > 0
    faint = (mean > MIN_DENSITY) & (colour > MIN_COLOUR) & (colour > GREY_SHARE * mean) & (rough > MIN_ROUGHNESS) & ~ink
    solid = reduced(known, factor) > 0.5
    whole = close_gaps(solid | faint, radius_px=2 * SMOOTHING_UM / work_um)
    pale, half_px = whole & ~solid & ~ink, max(1, round(MIN_WIDTH_UM / work_um / 2))
    # Opening cuts corners off; what is left grows back into them, so that no gap stays beside known tissue.
    wide = grown(opened(pale, edge_px=2 * half_px + 1), into=pale, steps=half_px)
    beside = grown(solid, into=wide) & wide
    return (enlarged(beside, known.shape) > 0.5) & ~known


def _roughness(grey: NDArray[np.float32], *, edge_px: int, factor: int) -> NDArray[np.float32]:
    """Standard deviation within squares."""
    mean = np.asarray(ndimage.uniform_filter(grey, edge_px), np.float32)
    square = np.asarray(ndimage.uniform_filter(grey * grey, edge_px), np.float32)
    return reduced(np.sqrt(np.maximum(square - mean * mean, 0)), factor)
