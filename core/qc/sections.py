"""How many pieces of tissue lie on a slide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.qc.shapes import pieces_of
from core.tissue import close_gaps

JOIN_UM = 50.0
"""Half the gap across which parts still belong to one section: a tear does not make two."""
MIN_SHARE = 0.03
"""Share of the largest section below which a piece is a crumb."""
MIN_MM2 = 0.02
MAX_JOIN_SHARE = 0.03
"""Bound of the gap as a share of the image's shorter side, for crops."""


def count_sections(tissue: NDArray[np.bool_], *, um_per_px: float) -> int:
    """Count the pieces of tissue that are no crumbs.

    Args:
        tissue: (H, W).
        um_per_px: Its scale.
    """
    if not tissue.any():
        return 0
    joined = tissue | close_gaps(tissue, radius_px=min(JOIN_UM / um_per_px, MAX_JOIN_SHARE * min(tissue.shape)))
    area_px = pieces_of(joined).area_px
    largest = float(area_px.max())
    least = min(max(MIN_SHARE * largest, MIN_MM2 * 1e6 / um_per_px**2), largest)
    return int((area_px >= least).sum())
