"""Splits: wide gaps between two long smooth edges that run side by side, as where a section was lifted or came apart.

A vessel or a duct that is cut lengthwise has such edges too, and so have two pieces of tissue that lie side by side. So
a split is never certain by its shape alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.qc.detectors.tear import SMOOTHING_UM, glass_limit, usual_density
from core.qc.shapes import enlarged, grown, opened, pieces_of, reduced, smooth

WORK_UM_PER_PX = 8.0
WIDTH_UM = (40.0, 420.0)
"""Narrower gaps are tears, wider ones part pieces of tissue."""
BODY_UM = 72.0
"""Edge of the square that the tissue at either side of a split holds; a sliver that runs along the gap does not."""
STEP_PX = 1.5
"""How finely the other side is looked for."""
MIN_LENGTH_UM = 400.0
LENGTH_SHARE = 0.5
"""Length of a split, and its bound as a share of a crop's shorter side."""
MIN_SLENDERNESS = 3.0
CUT_SLENDERNESS = 1.2
"""Length per width of a split, and of one that the picture's border cuts, of which a part is seen."""
BORDER_PX = 4
MIN_ALONG = 0.65
"""How much its edges run in one direction: 1 for straight ones, 0 for a round lumen."""
MAX_UNEVENNESS = 0.3
"""Mean deviation of the width from its median, per that: of smooth parallel edges, not of the scalloped ones of fat."""
MIN_GLASS = 0.6
"""Share of the gap through which glass is seen; the rest is slivers."""
RIM_UM = 24.0
"""How far its edges are compressed or frayed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Across:
    """Of every pixel of a gap."""

    width_px: NDArray[np.float32]
    """(H, W) from edge to edge; 0 where there is no second edge opposite to the nearest."""
    turn: NDArray[np.complex64]
    """(H, W) direction across the gap, as a unit number of twice its angle: both edges of a strip have the same."""


def split_evidence(density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float) -> NDArray[np.bool_]:
    """Find gaps that may be splits, with their edges.

    Args:
        density: (H, W, 3) optical density against glass.
        tissue: (H, W) where tissue is.
        um_per_px: Scale of both.

    Returns:
        (H, W), True where a section may be split.
    """
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    work_um = um_per_px * factor
    darkest = smooth(reduced(density.max(-1), factor), sigma_px=SMOOTHING_UM / work_um)
    glass = darkest < glass_limit(usual_density(density, tissue))
    edge_px = 2 * max(1, round(BODY_UM / work_um / 2)) + 1
    body = grown(opened(~glass, edge_px=edge_px), into=~glass, steps=edge_px // 2)
    if not body.any() or body.all():
        return np.zeros(tissue.shape, np.bool_)
    across = _across(body, reach_px=WIDTH_UM[1] / work_um)
    wide = across.width_px * work_um
    gap = opened((wide >= WIDTH_UM[0]) & (wide <= WIDTH_UM[1]), edge_px=3)
    found = _splits(gap, glass, across, um_per_px=work_um)
    if not found.any():
        return np.zeros(tissue.shape, np.bool_)
    rim = np.asarray(ndimage.distance_transform_edt(~found)) * work_um <= RIM_UM
    return enlarged(rim, tissue.shape) > 0.5


def _across(body: NDArray[np.bool_], *, reach_px: float) -> _Across:
    """Look from every pixel of the gap away from its nearest edge until the opposite edge is met."""
    margin = int(reach_px) + 2
    padded = np.pad(body, margin)
    distance, nearest = (np.asarray(part) for part in ndimage.distance_transform_edt(~body, return_indices=True))
    # A square as wide as the reach fits into the glass around tissue, but into no gap that is narrower.
    open_glass = opened(~body, edge_px=2 * int(reach_px / 2) + 1)
    places = np.nonzero((distance > 0) & (distance <= reach_px) & ~open_glass)
    near = distance[places].astype(np.float32)
    start = np.stack(places).astype(np.float32)
    ahead = (start - nearest[:, *places].astype(np.float32)) / near
    beyond = np.full(len(near), np.inf, np.float32)
    searching = np.arange(len(near))
    for step in np.arange(1.0, reach_px, STEP_PX).tolist():
        seen = np.asarray(start[:, searching] + step * ahead[:, searching] + (margin + 0.5), np.intp)
        hit = padded[seen[0], seen[1]]
        beyond[searching[hit]] = step
        # From edge to edge no wider than the reach.
        searching = searching[~hit & (near[searching] + step < reach_px)]
    width = np.zeros(body.shape, np.float32)
    width[places] = np.where(np.isfinite(beyond), near + beyond - 1, 0)
    turn = np.zeros(body.shape, np.complex64)
    turn[places] = (ahead[1] + 1j * ahead[0]) ** 2
    return _Across(width, turn)


def _splits(
    gap: NDArray[np.bool_], glass: NDArray[np.bool_], across: _Across, *, um_per_px: float
) -> NDArray[np.bool_]:
    """Keep the pieces of a gap that are long, of even width and open."""
    pieces = pieces_of(gap, at_least_px=16)
    count, flat = len(pieces.area_px), pieces.labels.ravel()

    def mean(values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(flat, weights=values.ravel(), minlength=count) / np.maximum(pieces.area_px, 1)

    # Medians: at the corners of pixels some directions run along the gap.
    usual = np.asarray(ndimage.median(across.width_px, pieces.labels, np.arange(count)), np.float64)
    width_px = np.maximum(usual, 1)
    uneven = mean(np.abs(across.width_px - width_px[pieces.labels])) / width_px
    along = np.hypot(mean(across.turn.real), mean(across.turn.imag))
    length_px = pieces.area_px / width_px
    cut = np.zeros(count, np.bool_)
    inner = pieces.labels[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    cut[np.bincount(inner.ravel(), minlength=count) < pieces.area_px] = True
    least_px = min(MIN_LENGTH_UM / um_per_px, LENGTH_SHARE * min(gap.shape))
    long = (length_px >= least_px) & (length_px >= np.where(cut, CUT_SLENDERNESS, MIN_SLENDERNESS) * width_px)
    even = (along >= MIN_ALONG) & (uneven <= MAX_UNEVENNESS)
    return pieces.where(long & even & (mean(glass) >= MIN_GLASS))
