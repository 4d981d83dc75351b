"""Pen over tissue, seen on the overview: ink beside tissue hides nothing and is not counted as a loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.tissue import TissueMask, close_gaps

STROKE_REACH_UM = 750.0
"""Half the width of a broad marker stroke: ink with tissue within this on both sides lies over tissue."""


def ink_over_tissue(mask: TissueMask, *, um_per_px: float) -> NDArray[np.bool_]:
    """Ink pixels that have tissue around them, and so most likely beneath.

    Args:
        mask: Tissue and ink of a slide; without ink nothing is covered.
        um_per_px: Scale of the mask's pixels.

    Returns:
        (h, w) bool, a part of `mask.ink`.
    """
    if mask.ink is None or not mask.ink.any():
        return np.zeros(mask.mask.shape, np.bool_)
    return mask.ink & close_gaps(mask.mask, radius_px=STROKE_REACH_UM / um_per_px)
