"""Tears: long gaps within tissue through which glass is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import SQUARE
from core.qc.shapes import Pieces, enlarged, grown, opened, pieces_of, reduced, smooth
from core.tissue import close_gaps

GLASS_DENSITY = (0.012, 0.035)
GLASS_SHARE = 0.3
"""Density in the darkest channel below which glass is seen: that share of the slide's usual density, within these
bounds. The ground of IHC has 0.08, so that half of what is glass in H&E would be tissue there."""
SMOOTHING_UM = 4.0
WORK_UM_PER_PX = 8.0
MIN_LENGTH_UM = 200.0
WIDTH_UM = (14.0, 220.0)
"""Narrower gaps are clefts between fibres, wider ones lie outside the tissue."""
MIN_SLENDERNESS = 4.0
SURE_LENGTH_UM = 300.0
SURE_WIDTH_UM = 25.0
SURE_SLENDERNESS = 5.0
"""A slit that is longer, wider and more slender than that, in tissue without other gaps, is a tear by itself. Parts of
planted tears between two bridges have 6.8 and more, a round lumen 1.8."""
MIN_STRAIGHTNESS = 0.7
"""Diagonal of a slit's box per its length."""
BESIDE_UM = 120.0
MAX_GAPS_BESIDE = 0.05
"""Share of other gaps within that distance, of those about as wide as half of it: clefts between fibres are not."""
BRIDGE_UM = 56.0
"""Length of fibres that bridge a tear, so that it goes on behind them."""
MIN_ALIGNMENT = 0.75
"""Cosine between where a tear heads and where what goes on leads: 41 degrees."""
MAX_WIDENING = 1.5
"""How much wider what goes on may be: a tear that runs into a lumen ends there."""
OUTLINE_SHARE = 0.5
"""Share of the tissue's usual density at which a tear ends: half way from glass to tissue."""
OUTLINE_UM = 8.0
"""How far a tear reaches beyond the pixels that are plain glass."""
OPENING_UM = 40.0
"""Width from which a gap is more than a cleft between fibres."""
OPENING_REACH_UM = 60.0
"""How far its edges are frayed or torn."""
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
    usual = usual_density(density, tissue)
    glass = glass_limit(usual)
    clear = smooth(reduced(density.max(-1), factor), sigma_px=SMOOTHING_UM / um_per_px / factor) < glass
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
    sure = _continued(pieces, sure, reach_px=max(2, round(BRIDGE_UM / work_um)))
    outlined = (
        _outlined(pieces.where(chosen), density, limit=max(OUTLINE_SHARE * usual, glass), um_per_px=um_per_px)
        for chosen in (sure, sure | maybe)
    )
    return TearEvidence(*outlined)


def beside_openings(density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float) -> NDArray[np.bool_]:
    """Return (H, W) where glass is seen near by through something wider than the clefts between fibres.

    Args:
        density: (H, W, 3) optical density against glass.
        tissue: (H, W) where tissue is.
        um_per_px: Scale of both.
    """
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    work_um = um_per_px * factor
    clear = smooth(reduced(density.max(-1), factor), sigma_px=SMOOTHING_UM / work_um)
    glass = clear < glass_limit(usual_density(density, tissue))
    wide = opened(glass, edge_px=2 * max(1, round(OPENING_UM / work_um / 2)) + 1)
    if not wide.any():
        return np.zeros(tissue.shape, np.bool_)
    away_um = np.asarray(ndimage.distance_transform_edt(~wide), np.float32) * work_um
    return enlarged(away_um <= OPENING_REACH_UM, tissue.shape) > 0.5


def usual_density(density: NDArray[np.float32], tissue: NDArray[np.bool_]) -> float:
    """Return the median density of tissue (H, W) in the darkest channel of (H, W, 3); 0 without tissue."""
    return float(np.median(density.max(-1)[tissue])) if tissue.any() else 0.0


def glass_limit(usual: float) -> float:
    """Return the density in the darkest channel below which glass is seen on a slide with that usual density."""
    return float(np.clip(GLASS_SHARE * usual, *GLASS_DENSITY))


def _outlined(
    slits: NDArray[np.bool_], density: NDArray[np.float32], *, limit: float, um_per_px: float
) -> NDArray[np.bool_]:
    """Return slits at full scale, out to where the darkest channel reaches a density."""
    darkest = density.max(-1)
    coarse = enlarged(slits, darkest.shape) > 0.5
    if not coarse.any():
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


def _continued(pieces: Pieces, chosen: NDArray[np.bool_], *, reach_px: int) -> NDArray[np.bool_]:
    """Add the pieces that lie ahead of the tips of chosen ones: behind fibres that bridge a tear it goes on."""
    found = chosen.copy()
    boxes = ndimage.find_objects(pieces.labels)
    waiting = [int(label) for label in np.flatnonzero(chosen[1:]) + 1]
    while waiting:
        label = waiting.pop()
        for tip, heading in _tips(_points(pieces, boxes, label), reach_px=reach_px):
            rows, columns = (slice(max(int(at) - reach_px, 0), int(at) + reach_px + 1) for at in tip)
            for other in np.unique(pieces.labels[rows, columns]):
                if other == 0 or found[other] or pieces.width_px[other] > MAX_WIDENING * pieces.width_px[label]:
                    continue
                points = _points(pieces, boxes, int(other)) - tip
                away = np.hypot(*points.T)
                farthest = int(np.argmax(away))
                if points[farthest] @ heading >= MIN_ALIGNMENT * away[farthest] and away[farthest] > reach_px:
                    found[other] = True
                    waiting.append(int(other))
    return found


def _points(pieces: Pieces, boxes: Sequence[tuple[slice, ...]], label: int) -> NDArray[np.float64]:
    """Return (n, 2) rows and columns of the pixels of a piece."""
    rows, columns = boxes[label - 1]
    return np.argwhere(pieces.labels[rows, columns] == label) + np.array([rows.start, columns.start], np.float64)


def _tips(points: NDArray[np.float64], *, reach_px: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return both ends of a piece: its outermost pixel, and the direction in which the piece points there, length 1."""
    centred = points - points.mean(0)
    along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    tips: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for side in (along, -along):
        tip = points[int(np.argmax(side))]
        behind = points[(side < side.max() - reach_px) & (side >= side.max() - 3 * reach_px)]
        if len(behind):
            heading = tip - behind.mean(0)
            tips.append((tip, heading / np.hypot(*heading)))
    return tips
