"""Folds: strips where tissue lies double, so that every colour is absorbed about twice as much as beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import SQUARE
from core.qc.shapes import Pieces, enlarged, grown, pieces_of, reduced, smooth, smooth_density

WORK_UM_PER_PX = 8.0
"""Scale that folds are looked for at: they are at least 40 um wide."""
SMOOTHING_UM = 10.0
"""Sigma over which density is averaged: wider than a nucleus, narrower than a fold."""
SURROUNDINGS_UM = 250.0
"""Sigma of what a fold is compared with, on tissue alone."""
SURROUNDINGS_REDUCTION = 8
SURE_RATIO = 2.2
"""Density of a fold per density of the tissue around, in the channel that shows it least."""
MAYBE_RATIO = 1.45
MIN_DENSITY = 0.10
"""Density in the clearest channel that doubled tissue has at least."""
TISSUE_DENSITY = 0.06
MIN_LENGTH_UM = 200.0
MAX_WIDTH_UM = 350.0
MIN_SLENDERNESS = 3.0
"""Length per width of a fold; a round cluster of cells has 1.8."""
MIN_STRAIGHTNESS = 0.6
"""Diagonal of a fold's box per its length; the wall of a vessel or gland runs round and has 0.45."""
RING_UM = 80.0
"""Width of the tissue beside a piece that it is compared with."""
MIN_STEP = 1.35
"""Density of a fold per density just beside it, in the channel that shows it least."""
MAX_HUE_DEGREES = 6.0
"""A fold has the hue of what lies beside it; epithelium, clusters of cells and DAB have another."""


@dataclass(frozen=True, slots=True, eq=False)
class FoldEvidence:
    """Where tissue may lie double, (H, W) each."""

    sure: NDArray[np.bool_]
    """Dark slender strips around a core of more than double density."""
    maybe: NDArray[np.bool_]
    """Anything about as dark as a fold."""


def fold_evidence(density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float) -> FoldEvidence:
    """Find folds.

    Args:
        density: (H, W, 3) optical density against glass.
        tissue: (H, W) where tissue is, without ink and dirt.
        um_per_px: Scale of both.
    """
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    small, solid = reduced(density, factor), reduced(tissue, factor) > 0.5
    if not solid.any():
        return FoldEvidence(np.zeros_like(tissue), np.zeros_like(tissue))
    work_um = um_per_px * factor
    ratio, local = density_ratio(small, solid, um_per_px=work_um)
    dark = solid & (local.min(-1) > MIN_DENSITY)
    maybe = dark & (ratio > MAYBE_RATIO)
    pieces = pieces_of(grown(dark & (ratio > SURE_RATIO), into=maybe))
    length_px = min(MIN_LENGTH_UM / work_um, 0.25 * min(solid.shape))
    strips = (pieces.length_px >= MIN_SLENDERNESS * pieces.width_px) & (pieces.length_px >= length_px)
    strips &= pieces.width_px * work_um <= MAX_WIDTH_UM
    strips &= pieces.extent_px >= MIN_STRAIGHTNESS * pieces.length_px
    alike = _same_hue(pieces, local, solid, chosen=strips, ring_px=max(2, round(RING_UM / work_um)))
    sure = pieces.where(strips & alike)
    # Stretching the ratio instead of the masks keeps their borders smooth.
    above = enlarged(ratio, tissue.shape) > MAYBE_RATIO
    return FoldEvidence(*(above & tissue & (enlarged(mask, tissue.shape) > 0) for mask in (sure, maybe)))


def _same_hue(
    pieces: Pieces,
    local: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    *,
    chosen: NDArray[np.bool_],
    ring_px: int,
) -> NDArray[np.bool_]:
    """Tell which pieces are a denser edition of the tissue beside them."""
    alike = np.zeros(len(chosen), np.bool_)
    boxes = ndimage.find_objects(pieces.labels)
    for label in np.flatnonzero(chosen[1:]) + 1:
        rows, columns = (slice(max(side.start - ring_px, 0), side.stop + ring_px) for side in boxes[label - 1])
        own = pieces.labels[rows, columns] == label
        ring = ndimage.binary_dilation(own, SQUARE, iterations=ring_px) & ~ndimage.binary_dilation(own, SQUARE)
        ring &= tissue[rows, columns]
        if not ring.any():
            continue
        inside, beside = local[rows, columns][own].mean(0), local[rows, columns][ring].mean(0)
        cosine = inside @ beside / (np.linalg.norm(inside) * np.linalg.norm(beside) + 1e-9)
        hue = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        alike[label] = hue <= MAX_HUE_DEGREES and float((inside / np.maximum(beside, 0.02)).min()) >= MIN_STEP
    return alike


def density_ratio(
    density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (H, W) density per that of the surroundings in the least affected channel, and the smoothed density.

    Surroundings are the mean of the slide's median and of the tissue near by: the slide alone would take a dense organ
    for a fold, the neighbourhood alone would forgive a wide fold.
    """
    local = smooth_density(density, sigma_px=SMOOTHING_UM / um_per_px)
    solid = tissue & (local.mean(-1) > TISSUE_DENSITY)
    if not solid.any():
        return np.zeros(tissue.shape, np.float32), local
    factor = SURROUNDINGS_REDUCTION
    sigma_px = min(SURROUNDINGS_UM / um_per_px, 0.15 * min(tissue.shape)) / factor
    weight = np.maximum(smooth(reduced(solid, factor), sigma_px=sigma_px), 1e-4)
    usual = np.median(local[solid], axis=0)
    ratio = np.full(tissue.shape, np.inf, np.float32)
    for channel in range(3):
        near = smooth(reduced(local[..., channel] * solid, factor), sigma_px=sigma_px) / weight
        around = (enlarged(near, tissue.shape) + usual[channel]) / 2
        ratio = np.minimum(ratio, local[..., channel] / np.maximum(around, 0.02))
    return ratio, local
