"""Tears: long gaps within tissue through which glass is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import SQUARE
from core.qc.shapes import Pieces, enlarged, grown, opened, pieces_of, reduced, smooth
from core.tissue import close_gaps

GLASS_DENSITY = 0.035
"""Density in the darkest channel below which glass is seen."""
SMOOTHING_UM = 4.0
WORK_UM_PER_PX = 8.0
MIN_LENGTH_UM = 200.0
WIDTH_UM = (14.0, 220.0)
"""Narrower gaps are clefts between fibres, wider ones lie outside the tissue."""
MIN_SLENDERNESS = 4.0
SURE_LENGTH_UM = 300.0
SURE_WIDTH_UM = 25.0
SURE_SLENDERNESS = 6.0
"""A slit that is longer, wider and more slender than that, in tissue without other gaps, is a tear by itself."""
MIN_STRAIGHTNESS = 0.7
"""Diagonal of a slit's box per its length."""
BESIDE_UM = 120.0
MAX_GAPS_BESIDE = 0.05
"""Share of other gaps within that distance, of those about as wide as half of it: clefts between fibres are not."""
OUTLINE_SHARE = 0.5
"""Share of the tissue's usual density at which a tear ends: half way from glass to tissue."""
OUTLINE_UM = 8.0
"""How far a tear reaches beyond the pixels that are plain glass."""
CLOSING_UM = 120.0
"""Half the width of the gaps that count as within the tissue."""


@dataclass(frozen=True, slots=True, eq=False)
class TearEvidence:
    """Gaps in tissue, (H, W) each."""

    sure: NDArray[np.bool_]
    """Long slits in solid tissue."""
    maybe: NDArray[np.bool_]
    """Any long gap; spaces between fat cells or fronds can look the same."""


def tear_evidence(density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float) -> TearEvidence:
    """Find gaps that look like tears.

    Args:
        density: (H, W, 3) optical density against glass.
        tissue: (H, W) where tissue is.
        um_per_px: Scale of both.
    """
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    clear = smooth(reduced(density.max(-1), factor), sigma_px=SMOOTHING_UM / um_per_px / factor) < GLASS_DENSITY
    solid, work_um = reduced(tissue, factor) > 0.5, um_per_px * factor
    within = close_gaps(solid, radius_px=min(CLOSING_UM / work_um, 0.1 * min(solid.shape)))
    pieces = pieces_of(np.asarray(ndimage.binary_opening(clear & within), np.bool_), at_least_px=4)
    width_um = pieces.width_px * work_um
    long = pieces.length_px >= min(MIN_LENGTH_UM / work_um, 0.3 * min(solid.shape))
    slender = pieces.length_px >= MIN_SLENDERNESS * pieces.width_px
    maybe = long & slender & (width_um >= WIDTH_UM[0]) & (width_um <= WIDTH_UM[1])
    slit = maybe & (pieces.length_px * work_um >= SURE_LENGTH_UM) & (width_um >= SURE_WIDTH_UM)
    slit &= pieces.length_px >= SURE_SLENDERNESS * pieces.width_px
    # Chains of fat cells branch and turn.
    slit &= pieces.extent_px >= MIN_STRAIGHTNESS * pieces.length_px
    sure = _in_solid_tissue(pieces, clear & within, chosen=slit, reach_px=max(2, round(BESIDE_UM / work_um)))
    return TearEvidence(*(_outlined(pieces.where(chosen), density, tissue, um_per_px) for chosen in (sure, maybe)))


def _outlined(
    slits: NDArray[np.bool_], density: NDArray[np.float32], tissue: NDArray[np.bool_], um_per_px: float
) -> NDArray[np.bool_]:
    """Return slits at full scale, out to where density is half way to that of tissue."""
    coarse = enlarged(slits, tissue.shape) > 0.5
    if not coarse.any():
        return coarse
    darkest = density.max(-1)
    limit = OUTLINE_SHARE * float(np.median(darkest[tissue]))
    if limit < 2 * GLASS_DENSITY:  # in pale tissue what counts as glass reaches half way already
        return coarse
    light = smooth(darkest, sigma_px=SMOOTHING_UM / 2 / um_per_px) < limit
    return grown(coarse, into=light, steps=round(OUTLINE_UM / um_per_px))


def _in_solid_tissue(
    pieces: Pieces, clear: NDArray[np.bool_], *, chosen: NDArray[np.bool_], reach_px: int
) -> NDArray[np.bool_]:
    """Tell which pieces have hardly any gap of their kind beside them: fat and fronds are full of such gaps."""
    solid = np.zeros(len(chosen), np.bool_)
    boxes = ndimage.find_objects(pieces.labels)
    for label in np.flatnonzero(chosen[1:]) + 1:
        rows, columns = (slice(max(side.start - reach_px, 0), side.stop + reach_px) for side in boxes[label - 1])
        own = pieces.labels[rows, columns] == label
        beside = np.asarray(ndimage.binary_dilation(own, SQUARE, iterations=reach_px)) & ~own
        others = opened(clear[rows, columns] & ~own, edge_px=2 * max(1, round(pieces.width_px[label] / 4)) + 1)
        solid[label] = float(others[beside].mean()) <= MAX_GAPS_BESIDE
    return solid
