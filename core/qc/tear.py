"""Tears: long gaps within tissue through which glass is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.qc.shapes import enlarged, pieces_of, reduced, smooth
from core.tissue import close_gaps

GLASS_DENSITY = 0.035
"""Density in the darkest channel below which glass is seen."""
SMOOTHING_UM = 4.0
WORK_UM_PER_PX = 8.0
MIN_LENGTH_UM = 200.0
WIDTH_UM = (14.0, 220.0)
"""Narrower gaps are clefts between fibres, wider ones lie outside the tissue."""
MIN_SLENDERNESS = 4.0
CLOSING_UM = 120.0
"""Half the width of the gaps that count as within the tissue."""


def tear_mask(density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float) -> NDArray[np.bool_]:
    """Find gaps that look like tears. Spaces between fat cells or fronds can look the same: this alone proves nothing.

    Args:
        density: (H, W, 3) optical density against glass.
        tissue: (H, W) where tissue is.
        um_per_px: Scale of both.

    Returns:
        (H, W), True in the gaps.
    """
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    clear = smooth(reduced(density.max(-1), factor), sigma_px=SMOOTHING_UM / um_per_px / factor) < GLASS_DENSITY
    solid, work_um = reduced(tissue, factor) > 0.5, um_per_px * factor
    within = close_gaps(solid, radius_px=min(CLOSING_UM / work_um, 0.1 * min(solid.shape)))
    pieces = pieces_of(np.asarray(ndimage.binary_opening(clear & within), np.bool_), at_least_px=4)
    width_um = pieces.width_px * work_um
    long = pieces.length_px >= min(MIN_LENGTH_UM / work_um, 0.3 * min(solid.shape))
    slender = pieces.length_px >= MIN_SLENDERNESS * pieces.width_px
    found = pieces.where(long & slender & (width_um >= WIDTH_UM[0]) & (width_um <= WIDTH_UM[1]))
    return enlarged(found, tissue.shape) > 0.5
