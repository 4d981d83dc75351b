"""Maps of one tile: values at the tile's pixels, made comparable, laid over the tile in colours of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from core.explain.methods import METHODS, Method

MAP_STOPS = ((-1.0, (166, 97, 26)), (0.0, (245, 245, 245)), (1.0, (1, 133, 113)))
"""Brown speaks against the target, green for it: neither the reds of probability nor the violets of attention, and
told apart by colour-blind readers."""
SMOOTHED_SHARE = 0.06
"""Deviation of the Gaussian that a map of single pixels is smoothed with before it is shown or compared, as a share of
the tile's side: gradients of neighbouring pixels scatter, and the other maps have no finer grain than this."""
_CLIP_PERCENT = 99.0


@dataclass(frozen=True, slots=True, eq=False)
class TileMap:
    """What one method says about one tile."""

    method: Method
    values: NDArray[np.float32]
    """(H, W) at the tile's pixels; signed or at least 0, see `METHODS`. Only their order and sign mean something."""
    grain: str
    """How fine the map really is, in words: "4 x 4 cells", "8 x 8 squares"."""

    @property
    def title(self) -> str:
        """Name of the method."""
        return METHODS[self.method].title

    @property
    def is_flat(self) -> bool:
        """Whether the map tells nothing: the same value everywhere."""
        return float(np.ptp(self.values)) <= 1e-12


def relative(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return a map scaled so that its strongest values lie at -1 or 1 and 0 stays 0; zeros if it is zero everywhere.

    The strongest is the 99th percentile of the size of the values, so that one pixel does not pale all others.

    Args:
        values: (H, W).
    """
    sizes = np.abs(values)
    strongest = float(np.percentile(sizes, _CLIP_PERCENT)) or float(sizes.max(initial=0.0))
    if strongest <= 0:
        return np.zeros(values.shape, np.float32)
    return np.clip(np.asarray(values, np.float32) / np.float32(strongest), -1, 1)


def smoothed(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return a map of single pixels smoothed by `SMOOTHED_SHARE` of its side."""
    return np.asarray(gaussian_filter(values, SMOOTHED_SHARE * max(values.shape)), np.float32)


def resized(values: NDArray[np.floating], *, width: int, height: int) -> NDArray[np.float32]:
    """Return a map at another size, bilinear: the middle of a cell keeps its value and its place.

    Args:
        values: (h, w), for instance the cells of a feature map.
        width: Pixels wanted.
        height: Pixels wanted.
    """
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)


def coloured(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return (H, W, 3) colours of a relative map (-1 to 1), linear between `MAP_STOPS`."""
    positions = [stop for stop, _ in MAP_STOPS]
    channels = [np.interp(values, positions, [colour[channel] for _, colour in MAP_STOPS]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def overlay(tile: NDArray[np.uint8], values: NDArray[np.floating], *, opacity: float) -> NDArray[np.uint8]:
    """Lay a relative map over a picture of its tile.

    Where the map is 0 the tile shows as it is; the stronger the value, the more of its colour, up to `opacity`.

    Args:
        tile: (H, W, 3) RGB; a finer picture of the same place than the network saw may be given.
        values: (h, w) from `relative`; brought to the picture's size.
        opacity: 0-1, of the strongest values.
    """
    height, width = tile.shape[:2]
    fitted = values if values.shape == (height, width) else resized(values, width=width, height=height)
    strength = (np.abs(fitted) * opacity)[..., None]
    mixed = tile * (1 - strength) + coloured(np.sign(fitted)) * strength
    return mixed.round().clip(0, 255).astype(np.uint8)
