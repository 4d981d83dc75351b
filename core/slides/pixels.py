"""From whatever a file stores to RGB over white, and from a box of source pixels to the size that is wanted.

The one place where transparency meets white, and the one place where pixels are resampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.domain import Size
from core.slides.protocol import RgbImage

WHITE = 255
BLOCK_PX = 16_000_000
"""Source pixels held at once by one read (48 MB as RGB); larger boxes are read in parts."""
EXACT = 1e-3
"""Source pixels; boxes nearer than this to the pixel grid are taken as lying on it."""

Fetch = Callable[[int, int, int, int], RgbImage]
"""(x, y, width, height) inside the source -> its pixels."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the pixels of a source (a level, or a level decoded at reduced scale); edges may be fractions."""

    left: float
    top: float
    right: float
    bottom: float

    def divided(self, factor: float) -> Box:
        """Return the same rectangle in pixels that are `factor` times as large."""
        return Box(self.left / factor, self.top / factor, self.right / factor, self.bottom / factor)

    def halves(self, out: Size) -> tuple[tuple[Box, Size], tuple[Box, Size]]:
        """Cut the box and its output in two along the longer output side; needs at least two output pixels there."""
        if out.height >= out.width:
            first = out.height // 2
            middle = self.top + (self.bottom - self.top) * first / out.height
            return (
                (Box(self.left, self.top, self.right, middle), Size(out.width, first)),
                (Box(self.left, middle, self.right, self.bottom), Size(out.width, out.height - first)),
            )
        first = out.width // 2
        middle = self.left + (self.right - self.left) * first / out.width
        return (
            (Box(self.left, self.top, middle, self.bottom), Size(first, out.height)),
            (Box(middle, self.top, self.right, self.bottom), Size(out.width - first, out.height)),
        )


def rgb_over_white(image: Image.Image) -> RgbImage:
    """Return (H, W, 3) uint8 RGB of any Pillow image; transparent parts become white, 16-bit greys keep 8 bits.

    Raises:
        ValueError: the pixels are floating-point numbers, whose range means nothing by itself.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels")
    if image.mode.startswith("I"):
        grey = (np.asarray(image).clip(0, 65_535) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _composite(np.asarray(image.convert("RGBA")))
    return np.array(image.convert("RGB"))


def _composite(rgba: np.ndarray) -> RgbImage:
    alpha = rgba[..., 3]
    if alpha.min() == WHITE:
        return np.ascontiguousarray(rgba[..., :3])
    weight = alpha[..., None].astype(np.uint16)
    colour = rgba[..., :3].astype(np.uint16)
    return ((colour * weight + WHITE * (WHITE - weight) + 127) // 255).astype(np.uint8)


def read_scaled(fetch: Fetch, box: Box, *, source: Size, out: Size) -> RgbImage:
    """Read a box of a source scaled to `out`; whatever lies outside the source is white.

    Args:
        fetch: Reads a rectangle that lies inside the source.
        box: What to read, in source pixels.
        source: Size of the source.
        out: Size of the result.

    Returns:
        (out.height, out.width, 3) uint8.
    """
    left, top = math.floor(box.left + EXACT), math.floor(box.top + EXACT)
    right, bottom = math.ceil(box.right - EXACT), math.ceil(box.bottom - EXACT)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    if (right - left) * (bottom - top) > BLOCK_PX and max(out.width, out.height) > 1:
        return _read_in_halves(fetch, box, source=source, out=out)
    canvas = _white_padded(fetch, (left, top, right, bottom), source=source)
    inner = Box(box.left - left, box.top - top, box.right - left, box.bottom - top)
    return _resample(canvas, inner, out=out)


def _read_in_halves(fetch: Fetch, box: Box, *, source: Size, out: Size) -> RgbImage:
    first, second = (read_scaled(fetch, part, source=source, out=size) for part, size in box.halves(out))
    return np.concatenate((first, second), axis=0 if out.height >= out.width else 1)


def _white_padded(fetch: Fetch, edges: tuple[int, int, int, int], *, source: Size) -> RgbImage:
    left, top, right, bottom = edges
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(right, source.width), min(bottom, source.height)
    if (x0, y0, x1, y1) == edges:
        return fetch(left, top, right - left, bottom - top)
    canvas = np.full((bottom - top, right - left, 3), WHITE, np.uint8)
    if x1 > x0 and y1 > y0:
        canvas[y0 - top : y1 - top, x0 - left : x1 - left] = fetch(x0, y0, x1 - x0, y1 - y0)
    return canvas


def _resample(canvas: RgbImage, box: Box, *, out: Size) -> RgbImage:
    height, width = canvas.shape[:2]
    aligned = max(abs(box.left), abs(box.top), abs(box.right - width), abs(box.bottom - height)) <= EXACT
    if aligned and (width, height) == (out.width, out.height):
        return canvas
    edges = (max(box.left, 0.0), max(box.top, 0.0), min(box.right, float(width)), min(box.bottom, float(height)))
    scaled = Image.fromarray(canvas).resize((out.width, out.height), _filter(box, out, aligned=aligned), box=edges)
    return np.array(scaled)


def _filter(box: Box, out: Size, *, aligned: bool) -> Image.Resampling:
    """Choose the filter: means of whole blocks at whole-number scales, else one that neither blurs nor aliases."""
    scale_x, scale_y = (box.right - box.left) / out.width, (box.bottom - box.top) / out.height
    if min(scale_x, scale_y) < 1:
        return Image.Resampling.BILINEAR
    whole = aligned and abs(scale_x - round(scale_x)) + abs(scale_y - round(scale_y)) < EXACT
    return Image.Resampling.BOX if whole else Image.Resampling.HAMMING
