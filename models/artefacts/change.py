"""What a simulation makes of a tile, and where: the value that all of them return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating]
"""(H, W, 3) RGB, 0-255, or optical density."""

Plane = NDArray[np.floating]
"""(H, W)."""

Mask = NDArray[np.bool_]
"""(H, W)."""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A tile with an artefact. Outside `mask` every pixel is the clean tile's own."""

    image: Image
    mask: Mask
    """Where the tile may differ from the clean one."""
    core: Mask
    """Where the artefact is plain, within `mask`: a tile is labelled by this, not by the softest rim of a shadow."""


Simulation = Callable[[Image, np.random.Generator], Change]
"""Clean tile and source of chance -> the tile with the artefact; the same state gives the same tile."""


def changed(clean: Image, image: Image, *, mask: Mask, core: Mask | None = None) -> Change:
    """Make a change that keeps to its mask.

    Args:
        clean: (H, W, 3) the tile before.
        image: (H, W, 3) the tile after, of any value.
        mask: (H, W) where it may differ.
        core: (H, W) where the artefact is plain; None takes all of the mask.
    """
    kept = np.where(mask[..., None], np.clip(image, 0, 255), clean).astype(np.float32)
    return Change(kept, mask, mask if core is None else core & mask)


def density(image: Image) -> Image:
    """Return the optical density, natural logarithm, of RGB 0-255; 0 where white."""
    return -np.log((np.maximum(image, 0) + 1) / np.float32(256))


def light(optical_density: Image) -> Image:
    """Return RGB 0-255 of an optical density; the reverse of `density`."""
    return np.exp(-optical_density) * np.float32(256) - 1
