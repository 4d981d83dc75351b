"""Tile values as a picture in the frame of the slide.

Alignment is exact: a pixel of the picture shows the tile that covers the pixel's centre in level-0 coordinates, to the
last, partly filled tile in all four corners. Nearest neighbour, never smoothed: what is shown is what was computed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.domain import Size

PROBABILITY_STOPS = ((0.0, (255, 247, 236)), (0.5, (252, 141, 89)), (1.0, (127, 0, 0)))
"""Light to dark red: red is suspicious, and lightness alone carries the order for colour-blind readers."""


def value_image(
    xy_level0: NDArray[np.int32], size_level0: Size, values: NDArray[np.float32], *, slide: Size, out: Size
) -> NDArray[np.float32]:
    """Paint tile values into an image of the whole slide.

    Args:
        xy_level0: (N, 2) top left corners in level-0 pixels.
        size_level0: Width and height of every tile in level-0 pixels; edge tiles may reach beyond the slide.
        values: (N,) what to paint.
        slide: Level-0 size of the slide.
        out: Size of the image.

    Returns:
        float32 (out.height, out.width); NaN where no tile lies; the mean where tiles overlap.
    """
    total = np.zeros((out.height, out.width), np.float32)
    count = np.zeros((out.height, out.width), np.float32)
    lefts, rights = _pixel_span(xy_level0[:, 0], size_level0.width, slide.width, out.width)
    tops, bottoms = _pixel_span(xy_level0[:, 1], size_level0.height, slide.height, out.height)
    for left, right, top, bottom, value in zip(lefts, rights, tops, bottoms, values, strict=True):
        total[top:bottom, left:right] += value
        count[top:bottom, left:right] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _pixel_span(
    start_level0: NDArray[np.int32], length_level0: int, slide_length: int, out_length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Half-open range of output pixels whose centres lie in [start, start + length).

    Pixel p has its centre at (2 p + 1) slide / (2 out). Whole numbers throughout: a centre may lie exactly on a border.
    """
    start = start_level0.astype(np.int64)

    def first_from(edge: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.clip(-((slide_length - 2 * out_length * edge) // (2 * slide_length)), 0, out_length)

    return first_from(start), first_from(start + length_level0)


def colourise(values: NDArray[np.float32], *, opacity: float = 0.4) -> NDArray[np.uint8]:
    """Turn values in 0-1 into RGBA (H, W, 4), linear between the stops; transparent where NaN."""
    known = np.isfinite(values)
    level = np.where(known, values, 0.0)
    positions = [stop for stop, _ in PROBABILITY_STOPS]
    rgba = np.empty((*values.shape, 4), np.uint8)
    for channel in range(3):
        rgba[..., channel] = np.interp(level, positions, [colour[channel] for _, colour in PROBABILITY_STOPS]).round()
    rgba[..., 3] = np.where(known, round(255 * opacity), 0)
    return rgba
