"""Light through stained tissue: Beer-Lambert absorption with published stain vectors.

A stain's vector is the optical density (base 10) that one unit of it gives in red, green and blue, normalised to
length 1. Amounts of stain add up as optical densities; intensity = glass * 10 ** -density.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.domain import Stain
from core.phantom.spec import ScannerLook

FloatImage = NDArray[np.float32]

HAEMATOXYLIN_RJ: Final = (0.650, 0.704, 0.286)
"""Ruifrok & Johnston, Anal Quant Cytol Histol 2001;23:291-299, haematoxylin."""
EOSIN_RJ: Final = (0.072, 0.990, 0.105)
"""Ruifrok & Johnston 2001, eosin: much more magenta than eosin looks in scanned breast tissue."""
DAB_RJ: Final = (0.268, 0.570, 0.776)
"""Ruifrok & Johnston 2001, 3,3'-diaminobenzidine."""
HAEMATOXYLIN_MACENKO: Final = (0.5626, 0.7201, 0.4062)
"""Macenko et al., ISBI 2009: reference haematoxylin of the scanned-slide normalisation, more violet than 2001's."""
EOSIN_MACENKO: Final = (0.2159, 0.8012, 0.5581)
"""Macenko et al., ISBI 2009: reference eosin as bright-field slide scanners record it."""

EOSIN_MEASURED: Final = (0.094, 0.819, 0.566)
"""Eosin of the public IDC patches (Cruz-Roa 2014), measured by us with Macenko's method: redder than his reference."""


def stain_matrix(stain: Stain, look: ScannerLook) -> NDArray[np.float32]:
    """Return the optical-density vectors of the three dye channels of a slide.

    Args:
        stain: H&E gives haematoxylin, eosin and a red-cell channel; IHC gives haematoxylin, eosin and DAB.
        look: Moves haematoxylin between the two published vectors.

    Returns:
        float32 (3, 3): row = dye, column = red, green, blue density of one unit.
    """
    blue, violet = np.array(HAEMATOXYLIN_RJ), np.array(HAEMATOXYLIN_MACENKO)
    haematoxylin = blue * (1 - look.violet) + violet * look.violet
    eosin = 0.3 * np.array(EOSIN_MACENKO) + 0.7 * np.array(EOSIN_MEASURED)
    # Red cells hold haemoglobin and take eosin strongly; the blue channel's extra density makes them brick red.
    third = np.array(DAB_RJ) if stain is Stain.IHC else np.array([0.10, 0.74, 0.66])
    rows = np.stack([haematoxylin, eosin, third])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def transmit(
    dyes: tuple[FloatImage, FloatImage, FloatImage],
    *,
    matrix: NDArray[np.float32],
    glass: tuple[int, int, int],
    extra: FloatImage | None = None,
) -> NDArray[np.uint8]:
    """Return what a scanner sees through the given amounts of dye.

    Args:
        dyes: Amount of each dye, (H, W) each, in the order of `matrix`.
        matrix: From `stain_matrix`.
        glass: RGB of light through empty glass.
        extra: Further optical density in red, green, blue, (3, H, W): ink, dust, shadows.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = dyes[0].shape
    image = np.empty((height, width, 3), np.uint8)
    ln10 = np.float32(np.log(10.0))
    for channel in range(3):
        density = dyes[0] * (matrix[0, channel] * ln10)
        density += dyes[1] * (matrix[1, channel] * ln10)
        density += dyes[2] * (matrix[2, channel] * ln10)
        if extra is not None:
            density += extra[channel] * ln10
        np.negative(density, out=density)
        np.exp(density, out=density)
        density *= np.float32(glass[channel])
        np.clip(density, 0, 255, out=density)
        image[..., channel] = (density + np.float32(0.5)).astype(np.uint8)
    return image
