"""The fast way into a tiled JPEG pyramid: raw JPEG tiles, decoded straight to the scale that is wanted.

A JPEG decoder can leave out the high frequencies of every 8 x 8 block and so produce 1/2, 1/4 or 1/8 of the size for
less work than the full image (libjpeg-turbo's scaled inverse transforms). At 1/1 the result is bit for bit what
OpenSlide gives; below, it differs from shrinking the full image by rounding and a slightly sharper filter.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg  # pyright: ignore[reportMissingTypeStubs]  (it ships none)
import tifffile

from core.domain import Region, Size
from core.slides.geometry import level_box
from core.slides.jpeg_levels import JpegLevel, TileNotDecodableError, complete_jpeg, jpeg_level
from core.slides.pixels import WHITE, read_scaled
from core.slides.protocol import RgbImage

REDUCTIONS = (1, 2, 4, 8)
CACHE_BYTES = 64 * 2**20
"""Decoded tiles kept. A row of half-scale tiles of a 100,000 px slide takes 20 MB, so the JPEG tiles that two rows of a
grid share are still there when the second row is read."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A level decoded at one reduction: what a read chooses from."""

    level: int
    reduction: int
    downsample: float


class TileCache:
    """Least recently used decoded tiles, bounded in bytes. Safe to use from several threads."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._tiles: OrderedDict[tuple[int, int, int], RgbImage] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int, int], decode: Callable[[], RgbImage]) -> RgbImage:
        """Return the tile under a key; where it is absent, decode it (outside the lock) and keep it."""
        with self._lock:
            known = self._tiles.get(key)
            if known is not None:
                self._tiles.move_to_end(key)
                return known
        tile = decode()
        with self._lock:
            if key not in self._tiles:
                self._tiles[key] = tile
                self._bytes += tile.nbytes
            while self._bytes > self._limit:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes
        return tile


class JpegPyramid:
    """Reads regions of a tiled JPEG pyramid at reduced scale. Safe to read from several threads."""

    def __init__(self, path: Path, levels: tuple[JpegLevel | None, ...], *, sizes: tuple[Size, ...]) -> None:
        """Open the file.

        Args:
            path: The TIFF file.
            levels: One entry for each level of the slide; None where that level is not made of JPEG tiles.
            sizes: Sizes of the slide's levels.
        """
        self._levels = levels
        self._full = sizes[0]
        self._sources = _sources(levels, sizes)
        self._cache = TileCache()
        self._lock = threading.Lock()
        self._file = path.open("rb")

    def read(self, region: Region, out: Size, *, max_downsample: float) -> RgbImage:
        """Read a level-0 region scaled to `out` from the coarsest source that is fine enough.

        Args:
            region: Level-0 pixels; white outside the slide.
            out: Size of the result.
            max_downsample: Level-0 pixels per source pixel that are allowed; level 0 itself always is.

        Raises:
            TileNotDecodableError: no source is fine enough, or a tile in it is absent or broken.
        """
        source = next((source for source in self._sources if source.downsample <= max(max_downsample, 1.0)), None)
        if source is None:
            raise TileNotDecodableError
        level = self._level(source.level)
        reduced = Size(-(-level.size.width // source.reduction), -(-level.size.height // source.reduction))
        box = level_box(region, full=self._full, level=level.size).divided(source.reduction)

        def fetch(x: int, y: int, width: int, height: int) -> RgbImage:
            return self._assemble(source, x, y, width, height)

        return read_scaled(fetch, box, source=reduced, out=out)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._file.close()

    def _level(self, index: int) -> JpegLevel:
        level = self._levels[index]
        if level is None:
            raise TileNotDecodableError
        return level

    def _assemble(self, source: _Source, x: int, y: int, width: int, height: int) -> RgbImage:
        """Put together a rectangle in the pixels of a source from the tiles under it."""
        tile = self._level(source.level).tile
        step_x, step_y = tile.width // source.reduction, tile.height // source.reduction
        canvas = np.empty((height, width, 3), np.uint8)
        for row in range(y // step_y, (y + height - 1) // step_y + 1):
            top, bottom = max(y, row * step_y), min(y + height, (row + 1) * step_y)
            for column in range(x // step_x, (x + width - 1) // step_x + 1):
                left, right = max(x, column * step_x), min(x + width, (column + 1) * step_x)
                pixels = self._tile(source, column, row)
                canvas[top - y : bottom - y, left - x : right - x] = pixels[
                    top - row * step_y : bottom - row * step_y, left - column * step_x : right - column * step_x
                ]
        return canvas

    def _tile(self, source: _Source, column: int, row: int) -> RgbImage:
        level = self._level(source.level)
        index = row * level.columns + column
        key = (source.level, source.reduction, index)
        return self._cache.get(key, lambda: self._decode(level, source.reduction, column, row))

    def _decode(self, level: JpegLevel, reduction: int, column: int, row: int) -> RgbImage:
        index = row * level.columns + column
        if index >= len(level.offsets) or level.lengths[index] == 0:
            raise TileNotDecodableError
        stream = complete_jpeg(self._bytes_at(int(level.offsets[index]), int(level.lengths[index])), level)
        valid = Size(
            min(level.tile.width, level.size.width - column * level.tile.width),
            min(level.tile.height, level.size.height - row * level.tile.height),
        )
        if valid == level.tile:
            return _decode_jpeg(stream, level.tile, reduction=reduction)
        # Padding beyond the slide must become white before it is averaged with the slide's last pixels.
        pixels = _decode_jpeg(stream, level.tile, reduction=1)
        pixels[valid.height :] = WHITE
        pixels[:, valid.width :] = WHITE
        return _block_means(pixels, reduction)

    def _bytes_at(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)


def open_jpeg_pyramid(path: Path, sizes: tuple[Size, ...]) -> JpegPyramid | None:
    """Look for JPEG tiles behind the levels of a slide.

    Args:
        path: A TIFF file that OpenSlide can open.
        sizes: Sizes of its levels, from level 0 down.

    Returns:
        A reader, or None if level 0 is not made of self-contained JPEG tiles.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            found = [jpeg_level(page) for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError):
        return None  # OpenSlide, which opened the file, reads it alone
    by_size = {level.size: level for level in reversed(found) if level is not None}
    levels = tuple(by_size.get(size) for size in sizes)
    return JpegPyramid(path, levels, sizes=sizes) if levels[0] is not None else None


def _decode_jpeg(stream: bytes, tile: Size, *, reduction: int) -> RgbImage:
    width, height = tile.width // reduction, tile.height // reduction
    try:
        pixels = simplejpeg.decode_jpeg(stream, "RGB", min_width=width, min_height=height)
    except ValueError as err:
        raise TileNotDecodableError from err
    if pixels.shape != (height, width, 3):
        raise TileNotDecodableError
    return pixels


def _block_means(pixels: RgbImage, reduction: int) -> RgbImage:
    if reduction == 1:
        return pixels
    height, width = pixels.shape[0] // reduction, pixels.shape[1] // reduction
    blocks = pixels.reshape(height, reduction, width, reduction, 3)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


def _sources(levels: tuple[JpegLevel | None, ...], sizes: tuple[Size, ...]) -> tuple[_Source, ...]:
    """List what can be read, coarsest first; of two equal ones the coarser level, which costs less to decode."""
    found: list[_Source] = []
    for index, level in enumerate(levels):
        if level is None:
            continue
        downsample = math.sqrt(sizes[0].width / level.size.width * sizes[0].height / level.size.height)
        for reduction in REDUCTIONS:
            if level.tile.width % reduction == 0 and level.tile.height % reduction == 0:
                found.append(_Source(index, reduction, downsample * reduction))
    return tuple(sorted(found, key=lambda source: (-source.downsample, -source.level)))
