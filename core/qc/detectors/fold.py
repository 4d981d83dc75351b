"""Folds: strips where tissue lies double, so that every colour is absorbed about twice as much as right beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.qc.detectors.layer import Ground, StripFacts, measured_on
from core.qc.detectors.ribbon import Ribbon, outlined
from core.qc.detectors.strips import find_strips
from core.qc.shapes import enlarged, opened, reduced

WORK_UM_PER_PX = 20.0
"""Scale that strips are looked for at; their outline is found at the map's own."""
MIN_SIDE_UM = 400.0
"""Shorter side of the smallest picture that folds are looked for in: on less there is nothing to compare them with."""
GLASS_DENSITY = 0.05
"""Density in the darkest channel below which there is no tissue."""
GLASS_UM = (8.0, 24.0)
"""Scale for that, and the width of the holes in tissue that are left out: fat cells and vessels, not clefts."""
MIN_COLOUR = 0.08
"""Share of colour in tissue's density below which the density itself is compared."""

EXTENSIONS = 3
"""How often a strip is continued straight on from its ends, where a rough path may have turned aside."""
MIN_GROWTH = 1.03
"""What it must gain each time."""
MAX_OVERLAP = 0.4
"""Share of a strip that may lie on a larger one."""
CLEAR_RATIO = 1.85
ONE_SIDED = 0.5
"""From that ratio on so much of `FoldLimits.both_sides` is enough: many folds begin at the border of a section."""
PART_OVERLAP = 0.02
"""Share of a part that lies on the fold it belongs to."""


@dataclass(frozen=True, slots=True)
class FoldLimits:
    """What a strip must be to count as a fold."""

    length_um: float
    width_um: tuple[float, float]
    slenderness: float
    """Length per width; a round cluster of cells has about 1."""
    evenness: float
    """Mean width per greatest; a wedge has a half."""
    straightness: float
    """Diagonal of the box around it per its length; the wall of a vessel or gland runs round and has 0.45."""
    ratio: float
    """Colour inside per colour beside, the denser side; two layers give 2, less what the two happen to differ. One
    channel at least shows as much without its grey taken off."""
    channel_ratio: tuple[float, float]
    """The same in every channel: a shadow beside lowers it in pale tissue, and three layers give 3."""
    grey_share: float
    """The highest of those per ratio of colour: what is darker without having more colour is no second layer."""
    hue_degrees: float
    """Between what the strip has more and what lies beside: a second layer has the hue of the first."""
    step: float
    """Rise across the duller edge, within `EDGE_UM`, per colour beside: a second layer ends at once."""
    halves: float
    """Colour of one half of its width per that of the other: a second layer covers both."""
    both_sides: float
    """Share of its length with tissue on both sides."""

    def hold(self, facts: StripFacts) -> bool:
        """Tell whether a strip counts as a fold."""
        low, high = self.width_um
        (least, most), (least_here, most_here) = self.channel_ratio, facts.channel_ratio
        return (
            facts.length_um >= max(self.length_um, self.slenderness * facts.width_um)
            and low <= facts.width_um <= high
            and facts.evenness >= self.evenness
            and facts.straightness >= self.straightness
            and facts.ratio >= self.ratio
            and most_here >= self.ratio
            and least_here >= least
            and most_here <= most
            and most_here <= self.grey_share * facts.ratio
            and facts.hue_degrees <= self.hue_degrees
            and facts.step >= self.step
            and facts.halves <= self.halves
            and facts.both_sides >= (self.both_sides if facts.ratio < CLEAR_RATIO else min(ONE_SIDED, self.both_sides))
        )


SURE = FoldLimits(200.0, (25.0, 350.0), 2.5, 0.5, 0.6, 1.5, (1.1, 3.2), 1.4, 6.0, 0.42, 1.2, 0.7)
PART = replace(SURE, length_um=60.0, slenderness=0.4, ratio=1.4, evenness=0.3, hue_degrees=8.0)
"""What goes on from a sure fold as its next part."""
MAYBE = FoldLimits(150.0, (20.0, 350.0), 2.0, 0.3, 0.5, 1.3, (1.0, 3.6), 1.6, 10.0, 0.2, 1.35, 0.4)


@dataclass(frozen=True, slots=True, eq=False)
class FoldEvidence:
    """Where tissue may lie double, (H, W) each."""

    sure: NDArray[np.bool_]
    """Strips that have all the marks of a second layer."""
    maybe: NDArray[np.bool_]
    """Strips that have most of them; contains `sure`."""


def fold_evidence(density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float) -> FoldEvidence:
    """Find folds.

    Args:
        density: (H, W, 3) optical density against glass.
        tissue: (H, W) where tissue is, without ink and dirt.
        um_per_px: Scale of both.
    """
    strips = strips_of(density, tissue, um_per_px=um_per_px)
    drawn = [
        (ribbon.drawn(tissue.shape, um_per_px=um_per_px) & tissue, facts)
        for ribbon, facts in sorted(strips, key=lambda strip: -strip[1].area_um2)
        if PART.hold(facts) or MAYBE.hold(facts)
    ]
    sure, maybe = np.zeros_like(tissue), np.zeros_like(tissue)
    for mask, facts in drawn:
        if SURE.hold(facts) and _overlap(mask, sure) <= MAX_OVERLAP:
            sure |= mask
    for mask, facts in drawn:
        if PART.hold(facts) and PART_OVERLAP <= _overlap(mask, sure) <= MAX_OVERLAP:
            sure |= mask
        if MAYBE.hold(facts) and _overlap(mask, maybe) <= MAX_OVERLAP:
            maybe |= mask
    return FoldEvidence(sure, sure | maybe)


def _overlap(mask: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    """Share of a strip that lies on those drawn before: with much of it, it is one of them found again."""
    return float((mask & found).sum() / max(1, mask.sum()))


def strips_of(
    density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float
) -> list[tuple[Ribbon, StripFacts]]:
    """Outline and measure every strip of tissue that is denser than what lies beside it; see `fold_evidence`."""
    solid = tissue & ~_holes(density, um_per_px=um_per_px)
    if not solid.any() or min(tissue.shape) * um_per_px < MIN_SIDE_UM:
        return []
    seen = solid.astype(np.float32)
    on = Ground(density, seen, _hue_of(density[solid].mean(0)), um_per_px)
    amount = np.where(solid, colour_of(density, on.hue), np.float32(0))
    factor = max(1, round(WORK_UM_PER_PX / um_per_px))
    weight = reduced(seen, factor)
    coarse = np.asarray(reduced(amount, factor) / np.maximum(weight, 1e-3), np.float32)
    found: list[tuple[Ribbon, StripFacts]] = []
    for strip in find_strips(coarse, weight, um_per_px=um_per_px * factor):
        path = (strip.path_px + 0.5) * factor - 0.5
        measured = _outlined(path, strip.width_px * factor, amount, on)
        for _ in range(EXTENSIONS):
            if measured is None or not PART.hold(measured[1]):
                break
            longer = _outlined(measured[0].middle_px, measured[1].width_um / um_per_px, amount, on)
            if longer is None or longer[1].area_um2 < MIN_GROWTH * measured[1].area_um2 or not PART.hold(longer[1]):
                break
            measured = longer
        if measured is not None:
            found.append(measured)
    return found


def colour_of(density: NDArray[np.float32], hue: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W) the part of density (H, W, 3) along a direction (3,)."""
    first, second, third = (density[..., channel] * hue[channel] for channel in range(3))
    return np.asarray(first + second + third, np.float32)


def _outlined(
    path_px: NDArray[np.float64], width_px: float, amount: NDArray[np.float32], on: Ground
) -> tuple[Ribbon, StripFacts] | None:
    ribbon = outlined(path_px, width_px, amount, on.solid, um_per_px=on.um_per_px)
    return None if ribbon is None else measured_on(ribbon, on)


def _holes(density: NDArray[np.float32], *, um_per_px: float) -> NDArray[np.bool_]:
    factor = max(1, int(GLASS_UM[0] / um_per_px))
    light = reduced(np.maximum(np.maximum(density[..., 0], density[..., 1]), density[..., 2]), factor) < GLASS_DENSITY
    wide = opened(light, edge_px=2 * max(1, round(GLASS_UM[1] / 2 / um_per_px / factor)) + 1)
    return enlarged(wide, density.shape[:2]) > 0.5


def _hue_of(mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the colour of tissue without its grey: shadows and creases are grey, and no second layer."""
    colour = mean - mean.mean()
    strength = float(np.linalg.norm(colour))
    if strength < MIN_COLOUR * float(np.linalg.norm(mean)):
        return np.full(3, 1 / 3, np.float32)
    return np.asarray(colour / strength, np.float32)
