"""How many pieces of tissue lie on a slide.

Two parts that a crack parts face each other along its whole length; two pieces that lie side by side come near each
other at one place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import SQUARE
from core.qc.shapes import pieces_of, reduced
from core.tissue import close_gaps

WORK_UM_PER_PX = 16.0
JOIN_UM = 50.0
"""Half the gap across which parts may still belong to one section: a tear does not make two."""
FACING_SHARE = 0.7
"""Length along which two parts of a section face each other across that gap, per the smaller one's diameter. Two discs
of 1 mm that almost touch do so along 0.45 of it."""
MIN_SHARE = 0.03
"""Share of the largest section below which a piece is a crumb."""
MIN_MM2 = 0.02
MAX_JOIN_SHARE = 0.03
"""Bound of half the gap as a share of the image's shorter side, for crops."""


def count_sections(tissue: NDArray[np.bool_], *, um_per_px: float) -> int:
    """Count the pieces of tissue that are no crumbs.

    Args:
        tissue: (H, W).
        um_per_px: Its scale.
    """
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    solid, work_um = reduced(tissue, factor) >= 0.5, um_per_px * factor
    if not solid.any():
        return int(tissue.any())
    radius_px = min(JOIN_UM / work_um, MAX_JOIN_SHARE * min(solid.shape))
    joined = pieces_of(solid | close_gaps(solid, radius_px=radius_px))
    largest = float(joined.area_px.max())
    least = min(max(MIN_SHARE * largest, MIN_MM2 * 1e6 / work_um**2), largest)
    sections = np.flatnonzero(joined.area_px >= least)
    boxes = ndimage.find_objects(joined.labels)
    count = 0
    for label in sections:
        box = boxes[label - 1]
        count += _apart(solid[box] & (joined.labels[box] == label), least, gap_px=2 * radius_px)
    return count


def _apart(solid: NDArray[np.bool_], least_px: float, *, gap_px: float) -> int:
    """Count the sections among parts that are so near each other that they may be one.

    Args:
        solid: (H, W) the parts.
        least_px: Area below which a part is a crumb.
        gap_px: Across which parts are near.
    """
    parts = pieces_of(solid)
    large = [int(label) for label in np.flatnonzero(parts.area_px >= least_px)]
    group = {label: label for label in large}
    for number, one in enumerate(large[:-1]):
        near = np.asarray(ndimage.distance_transform_edt(parts.labels != one)) <= gap_px + 1
        for other in large[number + 1 :]:
            own = parts.labels == other
            facing = int((own & ~np.asarray(ndimage.binary_erosion(own, SQUARE), np.bool_) & near).sum())
            smaller = min(parts.area_px[one], parts.area_px[other])
            if facing >= FACING_SHARE * 2 * np.sqrt(smaller / np.pi):
                merged, kept = group[other], group[one]
                group = {label: kept if owner == merged else owner for label, owner in group.items()}
    return max(1, len(set(group.values())))
