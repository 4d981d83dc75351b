"""The ground of the stain: how dense matter is from place to place, and how much of a place is glass.

Nuclei tell how strongly a place is stained, but many places hold none. The ground between them fades with the dye as
well. What counts as glass is measured by the slide's own tissue: the ground of a pale immunohistochemical stain has a
mean density of 0.02, less than many a haze.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ink import large_pieces
from core.qc.shapes import enlarged, grown, reduced, smooth

FINE_UM_PER_PX = 4.0
"""Scale at which glass is told from matter: clefts between fibres are about as wide."""
WORK_UM_PER_PX = 16.0
SMOOTHING_UM = 40.0
"""Sigma of the neighbourhood: wider than the clefts between fibres, narrower than what a stain fades over."""
GLASS_SHARE = 0.17
"""Share of the slide's usual density below which a pixel is glass: 0.03 in H&E, 0.01 in the counterstain of IHC."""
GLASS_DENSITY = 0.006
"""The same, at least: noise of glass."""
MAX_GLASS = 0.45
"""Share of glass above which a place is fat or a border, whose few walls say nothing about the stain."""
CORE_MM2 = 0.05
"""Area of a pale place that is large enough to have a border of its own."""
BORDER_UM = 160.0
"""How wide that border, in which the stain fades, is at most."""


@dataclass(frozen=True, slots=True, eq=False)
class StainGround:
    """Of every place, (rows, columns) each."""

    mean: NDArray[np.float32]
    """Mean density of what is not glass."""
    glass: NDArray[np.float32]
    """Share of the tissue that is glass, 0-1; 1 where there is no tissue."""
    factor: int
    """Pixels of the picture along the edge of a place."""
    um_per_px: float
    """Of the places."""

    @property
    def solid(self) -> NDArray[np.bool_]:
        """Where enough matter is to tell the stain."""
        return self.glass < MAX_GLASS

    def pale_extent(self, pale: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Extend large pale places to where the ground is half way between theirs and that of the rest.

        Args:
            pale: (H, W) of the picture.
        """
        seeds = reduced(pale, self.factor) > 0.5
        large = large_pieces(seeds & self.solid, at_least_px=CORE_MM2 * 1e6 / self.um_per_px**2)
        rest = self.solid & ~seeds
        if not large.any() or not rest.any():
            return pale
        half_way = (float(np.median(self.mean[large])) + float(np.median(self.mean[rest]))) / 2
        faded = (self.glass < 1) & (self.mean < half_way)
        found = grown(large, into=faded, steps=max(1, round(BORDER_UM / self.um_per_px)))
        return pale | (enlarged(found, pale.shape) > 0.5)


def stain_ground(density: NDArray[np.float32], tissue: NDArray[np.bool_], *, um_per_px: float) -> StainGround:
    """Measure the ground.

    Args:
        density: (H, W) mean optical density.
        tissue: (H, W) without ink, dirt and blur.
        um_per_px: Scale of both.
    """
    first = max(1, int(FINE_UM_PER_PX / um_per_px))
    second = max(1, int(WORK_UM_PER_PX / (um_per_px * first)))
    calm, inside = reduced(density, first), reduced(tissue, first) > 0.5
    matter = inside & (calm > GLASS_DENSITY)
    usual = float(np.median(calm[matter])) if matter.any() else 0.0
    matter &= calm > GLASS_SHARE * usual
    work_um = um_per_px * first * second
    sigma_px = min(SMOOTHING_UM / work_um, 0.1 * min(inside.shape) / second)

    def around(values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float32]:
        return smooth(reduced(values, second), sigma_px=sigma_px)

    amount, room = around(matter), around(inside)
    mean = around(calm * matter) / np.maximum(amount, 1e-6)
    glass = 1 - amount / np.maximum(room, 1e-6)
    nowhere = room < 0.05
    return StainGround(
        np.where(nowhere, 0, mean).astype(np.float32),
        np.where(nowhere, 1, glass).astype(np.float32),
        first * second,
        work_um,
    )
