"""Coloured marker ink on tissue and glass, of any hue; black ink is found among other grey matter (`core.qc.grey`).

Hues are those of `core.ink`, which keeps ink out of the tissue mask and so takes a rim with it. Here the very pixels
are wanted, and crops whose scale is only assumed must work too, so that the smallest stroke is also bound by a share
of the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import MIN_STROKE_UM2, ink_pixels, large_pieces
from core.qc.shapes import grown, pieces_of

COLD_SHARE = 1 / 600
"""Share of a crop that green, blue or yellow ink must fill to be a stroke where no stain is of that colour."""
WARM_SHARE = 1 / 500
"""The same for red ink, which blood resembles."""
MAX_SHARE = 0.6
"""Above this share the colours of the image are wrong, and hue tells nothing."""
GREY = 0.22
"""Colour per density below which ink is black, or no ink."""
RED_DENSITY = 0.4
RED_BLUE = 0.8
RED_RED = 0.33
"""Red ink of any make: green and blue light absorbed alike, red little. Blood is of the same colour."""
RED_WIDTH_UM = (110.0, 3000.0)
RED_SLENDERNESS = 2.5
"""Only a large slender piece of that colour is a stroke; a lake of blood is not."""
YELLOW_BLUE = 1.55
"""Blue density per green of yellow ink over tissue; DAB has 1.36."""
PALE_BLUE = 0.75
"""Blue density per green of faded red ink; eosin has 0.70."""
REACH_UM = 400.0
"""How far faded red reaches from sure red."""
REACH_SHARE = 0.03
"""The same as a share of the image's diagonal, where the scale would allow more."""


def pen_mask(density: NDArray[np.float32], *, um_per_px: float) -> NDArray[np.bool_]:
    """Find pen strokes.

    Args:
        density: (H, W, 3) optical density against glass.
        um_per_px: Its scale.

    Returns:
        (H, W), True on ink, on tissue and on glass.
    """
    sure, cold, _ = ink_pixels(density)
    red, green, blue = density[..., 0], density[..., 1], density[..., 2]
    high, low = density.max(-1), density.min(-1)
    strange = sure & ((red > 1.1 * green) | (blue > 2.0 * green))
    yellow = (blue > YELLOW_BLUE * green) & (blue > 0.3) & (red < 0.5 * green + 0.05)
    stroke_px = MIN_STROKE_UM2 / um_per_px**2
    cores = large_pieces(strange, at_least_px=max(4.0, min(stroke_px / 4, strange.size * COLD_SHARE / 4)))
    found = grown(cores, into=cold | yellow)
    found = large_pieces(found, at_least_px=max(6.0, min(stroke_px, found.size * COLD_SHARE)))
    plain = sure & ~strange & (high - low > GREY * high)
    hot = large_pieces(plain, at_least_px=max(6.0, min(stroke_px / 2, plain.size * WARM_SHARE / 2)))
    pale = (green > 0.18) & (blue > PALE_BLUE * green) & (red < 0.26 * green)
    reach_px = min(REACH_UM / um_per_px, REACH_SHARE * float(np.hypot(*plain.shape)))
    faded = grown(hot, into=plain | pale, steps=round(reach_px))
    found |= large_pieces(faded, at_least_px=max(6.0, min(stroke_px, plain.size * WARM_SHARE)))
    found |= _red_strokes(density, um_per_px=um_per_px)
    return found if found.mean() <= MAX_SHARE else np.zeros_like(found)


def _red_strokes(density: NDArray[np.float32], *, um_per_px: float) -> NDArray[np.bool_]:
    red, green, blue = density[..., 0], density[..., 1], density[..., 2]
    body = (green > RED_DENSITY) & (blue > RED_BLUE * green) & (red < RED_RED * green)
    pieces = pieces_of(np.asarray(ndimage.binary_closing(body), np.bool_), at_least_px=MIN_STROKE_UM2 / um_per_px**2)
    width_um = pieces.width_px * um_per_px
    broad = (width_um >= RED_WIDTH_UM[0]) & (width_um <= RED_WIDTH_UM[1])
    strokes = pieces.where(broad & (pieces.length_px >= RED_SLENDERNESS * pieces.width_px))
    pale = (green > RED_DENSITY / 2) & (blue > RED_BLUE * green) & (red < RED_RED * green)
    return grown(strokes, into=pale, steps=round(RED_WIDTH_UM[0] / 2 / um_per_px)) if strokes.any() else strokes
