"""What a strip of tissue holds against what lies beside it, place by place and as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.qc.detectors.ribbon import ALONG_UM, Ribbon, beside, levels, mean_along

MIN_WIDTH_UM = 20.0
ENDS_SHARE = 0.4
"""Of the usual excess over what lies beside, what a place must have to belong to the strip."""
MAX_GAP_UM = 200.0
"""Longer interruptions part two strips."""
PLACE_HUE_DEGREES = 15.0
PLACE_RATIO = (1.2, 3.6)
PLACE_STEP = 0.15
PLACE_GREY_SHARE = 1.5
"""The same for hue, ratio, step and grey (see `core.qc.detectors.fold.FoldLimits`), where a single place is judged."""
PLACE_UM = 50.0
"""Sigma along the strip over which a place is judged."""
MIN_SEEN = 0.3
"""Share of tissue from which a side can be compared."""
EDGE_UM = (2.0, 14.0)
"""Distance from an edge of what is compared across it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What strips are measured on."""

    density: NDArray[np.float32]
    """(H, W, 3)"""
    solid: NDArray[np.float32]
    """(H, W) 1 where tissue can be compared."""
    hue: NDArray[np.float32]
    """(3,) the direction of density that is compared."""
    um_per_px: float


@dataclass(frozen=True, slots=True)
class StripFacts:
    """What was measured on one strip; see `core.qc.detectors.fold.FoldLimits` for the words."""

    length_um: float
    width_um: float
    evenness: float
    straightness: float
    ratio: float
    channel_ratio: tuple[float, float]
    hue_degrees: float
    step: float
    halves: float
    both_sides: float

    @property
    def area_um2(self) -> float:
        """Length times mean width."""
        return self.length_um * self.width_um


def measured_on(ribbon: Ribbon, on: Ground) -> tuple[Ribbon, StripFacts] | None:
    """Cut a ribbon to where it is one strip, and measure that; None if nothing is left."""
    offsets = ribbon.offsets_um(beyond_um=80.0)
    solid = ribbon.sampled(on.solid, offsets, um_per_px=on.um_per_px)
    planes = [ribbon.sampled(on.density[..., c], offsets, um_per_px=on.um_per_px) for c in range(3)]
    by_channel = [levels(ribbon, plane, solid, offsets, sigma_um=PLACE_UM) for plane in planes]
    inside = np.stack([level[0] for level in by_channel], axis=1)
    left, right = (np.stack([level[1][side] for level in by_channel], axis=1) for side in (0, 1))
    ratio = inside @ on.hue / np.maximum(np.maximum(left @ on.hue, right @ on.hue), 1e-3)
    around = (left + right) / 2
    colour = np.asarray(np.tensordot(np.stack(planes, axis=-1), on.hue, axes=1), np.float32)
    step = _rises(ribbon, colour, solid, offsets) / np.maximum(around @ on.hue, 1e-3)
    hue = _angles(inside - around, around)
    grey = (inside / np.maximum(np.maximum(left, right), 0.005)).max(1) / np.maximum(ratio, 1e-3)
    run = _run(ribbon, ratio, (hue <= PLACE_HUE_DEGREES) & (step >= PLACE_STEP) & (grey <= PLACE_GREY_SHARE))
    if run is None:
        return None
    first, last = run
    kept = ribbon.part(first, last)
    values = np.stack([plane[first:last] for plane in planes], axis=-1)
    return kept, _facts(kept, values, solid[first:last], offsets, ratio=float(np.median(ratio[first:last])), on=on)


def _rises(
    ribbon: Ribbon, colour: NDArray[np.float32], solid: NDArray[np.float32], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n,) by how much colour rises across the duller edge."""
    near, far = EDGE_UM
    rises: list[NDArray[np.float64]] = []
    for depth in (offsets - ribbon.left_um[:, None], ribbon.right_um[:, None] - offsets):
        within, outside = (
            mean_along(colour, solid * ((side > near) & (side < far)), sigma_um=PLACE_UM)[0] for side in (depth, -depth)
        )
        rises.append(within - outside)
    return np.minimum(rises[0], rises[1])


def _run(ribbon: Ribbon, ratio: NDArray[np.float64], alike: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return the first place of the largest stretch that is a strip of one kind, and the one after its last."""
    wide = np.asarray(ndimage.uniform_filter1d(ribbon.width_um, 5)) >= MIN_WIDTH_UM
    if wide.sum() < 5:
        return None
    usual = float(np.percentile(ratio[wide], 75))
    least = max(PLACE_RATIO[0], 1 + ENDS_SHARE * (usual - 1))
    good = wide & (ratio >= least) & (ratio <= PLACE_RATIO[1]) & alike
    closed = ndimage.binary_closing(good, iterations=round(MAX_GAP_UM / 2 / ALONG_UM))
    labels, count = ndimage.label(closed)
    if not count:
        return None
    areas = ndimage.sum_labels(ribbon.width_um, labels, np.arange(1, count + 1))
    places = np.flatnonzero(labels == int(np.argmax(areas)) + 1)
    return (int(places[0]), int(places[-1]) + 1) if len(places) >= 8 else None


def _facts(
    ribbon: Ribbon,
    values: NDArray[np.float32],
    solid: NDArray[np.float32],
    offsets: NDArray[np.float64],
    *,
    ratio: float,
    on: Ground,
) -> StripFacts:
    from_left, from_right = offsets - ribbon.left_um[:, None], ribbon.right_um[:, None] - offsets
    core = (from_left > 6) & (from_right > 6)
    sides = beside(ribbon, offsets)

    def mean(where: NDArray[np.bool_]) -> NDArray[np.float64]:
        weight = solid * where
        return np.asarray(np.tensordot(weight, values, axes=2) / max(float(weight.sum()), 1e-6), np.float64)

    seen = np.stack([(solid * side).sum(1) / np.maximum(side.sum(1), 1) for side in sides])
    filled = seen > MIN_SEEN
    parts = [float(mean(core & part) @ on.hue) for part in (from_left < from_right, from_left > from_right)]
    inside, around = mean(core), [mean(side) for side in sides]
    known = [level for level, share in zip(around, seen.mean(1), strict=True) if share > MIN_SEEN] or around
    shares = np.mean(seen, axis=1)
    usual = (around[0] * shares[0] + around[1] * shares[1]) / max(float(shares.sum()), 1e-6)
    near, far = EDGE_UM
    rises = [
        float((mean((depth > near) & (depth < far)) - mean((depth < -near) & (depth > -far))) @ on.hue)
        for depth in (from_left, from_right)
    ]
    ratios = [inside / np.maximum(level, 0.005) for level in known]
    length = float(np.hypot(*np.diff(ribbon.middle_px, axis=0).T).sum()) * on.um_per_px
    return StripFacts(
        length,
        float(ribbon.width_um.mean()),
        float(ribbon.width_um.mean() / max(float(ribbon.width_um.max()), 1e-3)),
        float(np.hypot(*np.ptp(ribbon.middle_px, axis=0))) * on.um_per_px / max(length, 1),
        ratio,
        (min(float(r.min()) for r in ratios), min(float(r.max()) for r in ratios)),
        float(_angles((inside - usual)[None], usual[None])[0]),
        min(rises) / max(float(usual @ on.hue), 1e-3),
        max(parts) / max(min(parts), 1e-3),
        float(filled.all(0).mean()),
    )


def _angles(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the degrees between the rows of two (n, 3)."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray(
        np.degrees(np.arccos(np.clip((first * second).sum(1) / np.maximum(lengths, 1e-9), -1, 1))), np.float64
    )
