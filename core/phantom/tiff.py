"""Writing tiled pyramidal JPEG TIFFs that OpenSlide reads with their scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import simplejpeg  # pyright: ignore[reportMissingTypeStubs]  (it ships none)
import tifffile
from numpy.typing import NDArray

from core.domain import Size

TILE_PX = 256
LEVEL_STEP = 4
"""Each pyramid level is a quarter of the one above, as Aperio writes them."""


def write_pyramid(
    strips: Iterable[NDArray[np.uint8]], path: Path, *, size: Size, mpp: float | None, quality: int, levels: int = 3
) -> None:
    """Write a slide from strips of rows.

    Args:
        strips: uint8 (rows, W, 3) from top to bottom; each but the last a multiple of TILE_PX rows.
        path: File to write.
        size: Level-0 pixels.
        mpp: um per level-0 pixel, or None to leave the scale out.
        quality: JPEG quality.
        levels: Pyramid levels, level 0 included.
    """
    reduced: list[NDArray[np.uint8]] = []

    def level_zero() -> Iterator[bytes]:
        for strip in strips:
            reduced.append(_reduce(strip))
            yield from _tiles(strip, quality=quality)

    with tifffile.TiffWriter(path, bigtiff=False) as writer:
        _write_level(writer, level_zero(), size=size, mpp=mpp, reduced=False)
        image = np.concatenate(reduced)
        for level in range(1, levels):
            scale = None if mpp is None else mpp * LEVEL_STEP**level
            height, width = image.shape[:2]
            _write_level(writer, _tiles(image, quality=quality), size=Size(width, height), mpp=scale, reduced=True)
            image = _reduce(image)


def _write_level(
    writer: tifffile.TiffWriter, tiles: Iterator[bytes], *, size: Size, mpp: float | None, reduced: bool
) -> None:
    # The tiles arrive as finished JPEGs that hold YCbCr, so the tag must say so. (Handing tifffile RGB arrays with
    # photometric="ycbcr" would label RGB bytes as YCbCr: a magenta slide.)
    per_cm = None if mpp is None else (1e4 / mpp, 1e4 / mpp)
    writer.write(
        tiles,
        shape=(size.height, size.width, 3),
        dtype=np.uint8,
        tile=(TILE_PX, TILE_PX),
        compression="jpeg",
        photometric="ycbcr",
        subsampling=(2, 2),
        subfiletype=1 if reduced else 0,
        resolution=per_cm,
        resolutionunit=None if per_cm is None else "CENTIMETER",
        metadata=None,
        software=False,
    )


def _tiles(image: NDArray[np.uint8], *, quality: int) -> Iterator[bytes]:
    """Yield the JPEG tiles of an image in row-major order; edge tiles repeat the last row and column."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % TILE_PX), (0, -width % TILE_PX), (0, 0)), mode="edge")
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            tile = np.ascontiguousarray(padded[top : top + TILE_PX, left : left + TILE_PX])
            yield simplejpeg.encode_jpeg(tile, quality=quality, colorspace="RGB", colorsubsampling="420")


def _reduce(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean over blocks of LEVEL_STEP pixels; incomplete blocks at the edge repeat the border."""
    height, width = image.shape[:2]
    pad = ((0, -height % LEVEL_STEP), (0, -width % LEVEL_STEP), (0, 0))
    whole = np.pad(image, pad, mode="edge") if any(side[1] for side in pad) else image
    rows = whole.reshape(whole.shape[0] // LEVEL_STEP, LEVEL_STEP, -1, 3).sum(axis=1, dtype=np.uint16)
    blocks = rows.reshape(rows.shape[0], -1, LEVEL_STEP, 3).sum(axis=2, dtype=np.uint16)
    return ((blocks + LEVEL_STEP**2 // 2) // LEVEL_STEP**2).astype(np.uint8)
