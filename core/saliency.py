"""How much a tile matters before any model has looked at it: the density of nuclear stain in its tissue.

Tumour grows where nuclei are; fat and collagen hold few. The mean amount of haematoxylin in a tile, by colour
deconvolution (Ruifrok and Johnston, Anal Quant Cytol Histol 2001;23:291-299), is a weight that knows nothing of the
diagnosis. It is made for H&E; on other stains it still grows with what absorbs red light, ink excepted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.ink import ink_pixels
from core.optics import DEFAULT_GLASS, optical_density

SALIENCY_VERSION = "haematoxylin-1"
MEASURE_UM_PER_PX = 4.0
"""Scale at which density is taken, so that a weight means the same for every model; averaging light beforehand blurs
single nuclei and keeps their amount to within a few per cent."""

_COLD_INK_DENSITY = 0.22
"""Density of red light from which a hue colder than any stain is ink; as the quality measures have it."""
_HAEMATOXYLIN = (0.65, 0.70, 0.29)
"""Optical density of R, G, B per unit of haematoxylin (Ruifrok and Johnston 2001)."""
_EOSIN = (0.07, 0.99, 0.11)
"""The same for eosin."""


def haematoxylin_density(
    tiles: NDArray[np.uint8], *, um_per_px: float, glass: tuple[float, float, float] = DEFAULT_GLASS
) -> NDArray[np.float32]:
    """Return the mean amount of haematoxylin of every tile, glass and ink counting as none.

    Args:
        tiles: (N, H, W, 3) RGB.
        um_per_px: Their scale.
        glass: Colour of the slide's glass, for instance `TissueMask.glass`.

    Returns:
        (N,) at least 0, in optical density; 0.05 is pale stroma, 0.4 packed nuclei.
    """
    small = _shrink(tiles, factor=max(1, round(MEASURE_UM_PER_PX / um_per_px)))
    density = optical_density(small, glass=np.asarray(glass, np.float32))
    sure, cold, _ = ink_pixels(density)
    ink = sure | (cold & (density[..., 0] > _COLD_INK_DENSITY))
    haematoxylin: NDArray[np.float32] = density @ _unmixing()[:, 0]
    amount = np.where(ink, np.float32(0), np.maximum(haematoxylin, np.float32(0)))
    return amount.mean(axis=(1, 2), dtype=np.float32)


def _unmixing() -> NDArray[np.float32]:
    """Return (3, 3): optical density times this gives the amounts of haematoxylin, eosin and what is left."""
    stains: NDArray[np.float64] = np.array([_HAEMATOXYLIN, _EOSIN, np.cross(_HAEMATOXYLIN, _EOSIN)])
    stains = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    return np.asarray(np.linalg.inv(stains), np.float32)


def _shrink(tiles: NDArray[np.uint8], *, factor: int) -> NDArray[np.uint8]:
    """Average blocks of `factor` x `factor` pixels."""
    if factor == 1:
        return tiles
    return np.stack([np.asarray(Image.fromarray(tile).reduce(factor)) for tile in tiles])
