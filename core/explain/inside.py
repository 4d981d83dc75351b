"""Whether a map points at a planted lesion: its mass inside the outline against its mass outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Mass:
    """How the support of a map is divided by an outline."""

    inside: float
    """Mean of the map's positive part over pixels inside, in the map's own units."""
    outside: float
    share: float
    """Of the positive mass that lies inside, 0-1; 0 where there is none at all."""
    area: float
    """Share of the tile that is inside, 0-1: what a map that knows nothing would have."""

    @property
    def is_inside(self) -> bool:
        """Whether the map is denser inside than outside."""
        return self.inside > self.outside


def mass_of(values: NDArray[np.floating], mask: NDArray[np.bool_]) -> Mass:
    """Divide a map's support by a mask.

    Args:
        values: (H, W).
        mask: (H, W), neither empty nor full.

    Raises:
        ValueError: there is no inside or no outside.
    """
    if mask.all() or not mask.any():
        raise ValueError("The outline must cover a part of the tile, neither nothing nor all of it.")
    support = np.clip(np.asarray(values, np.float64), 0, None)
    total = float(support.sum())
    return Mass(
        float(support[mask].mean()),
        float(support[~mask].mean()),
        float(support[mask].sum()) / total if total > 0 else 0.0,
        float(mask.mean()),
    )
