"""A slide as the tiles a zooming viewer asks for: powers of two, from one tile up to full resolution.

A tile is handed out as the scanner compressed it wherever the file has exactly those pixels, and rendered from the
reader everywhere else. Both ways give the same colours: neither converts, so a slide's ICC profile is left out of both.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import simplejpeg  # pyright: ignore[reportMissingTypeStubs]  (it ships none)

from core.domain import Region, Size
from core.errors import InputError, NotFoundError
from core.slides.protocol import RgbImage, SlideInfo, SlideReader

RENDERED_TILE = Size(512, 512)
"""Tile size where the file has no usable tiles of its own: a quarter of the requests of 256 px tiles."""
JPEG_QUALITY = 90
REGION_LIMIT_PX = 1024
"""Longest side of a rendered region, so that one request stays short."""


class RawTiles(Protocol):
    """Where a file keeps its own compressed tiles."""

    @property
    def tile_px(self) -> Size:
        """Size of every tile, the same on all levels."""
        ...

    def has_level(self, size: Size) -> bool:
        """Tell whether a level of exactly this many pixels has raw tiles."""
        ...

    def jpeg(self, size: Size, column: int, row: int) -> bytes | None:
        """Return a complete JPEG of one tile of the level of `size`, or None if it must be rendered."""
        ...


@dataclass(frozen=True, slots=True)
class ZoomLevel:
    """One resolution the viewer may ask for."""

    downsample: int
    """Level-0 pixels per pixel, a power of two."""
    size: Size
    """Pixels of this level; the last column and row may be cut off inside a pixel."""


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Every resolution of a slide, coarsest first, all cut into tiles of one size."""

    size: Size
    """Level-0 pixels."""
    tile_px: Size
    levels: tuple[ZoomLevel, ...]

    def grid(self, level: int) -> Size:
        """Return columns and rows of a level."""
        size = self.levels[level].size
        return Size(math.ceil(size.width / self.tile_px.width), math.ceil(size.height / self.tile_px.height))


def pyramid(size: Size, tile_px: Size = RENDERED_TILE) -> Pyramid:
    """Return the resolutions of a slide, from the first that fits into one tile.

    Args:
        size: Level-0 pixels.
        tile_px: Size of the tiles on every level.
    """
    steps = 0
    while math.ceil(size.width / 2**steps) > tile_px.width or math.ceil(size.height / 2**steps) > tile_px.height:
        steps += 1
    return Pyramid(size, tile_px, tuple(_level(size, 2**step) for step in range(steps, -1, -1)))


def _level(size: Size, downsample: int) -> ZoomLevel:
    return ZoomLevel(downsample, Size(math.ceil(size.width / downsample), math.ceil(size.height / downsample)))


def native_size(info: SlideInfo, level: ZoomLevel) -> Size | None:
    """Return the pixels of the file's own level at this resolution, or None if it has none that matches exactly.

    Scanners cut off what does not fill a pixel, or round it up: both count, anything else does not.
    """
    for native in info.levels:
        exact = (info.size.width / level.downsample, info.size.height / level.downsample)
        got = (native.size.width, native.size.height)
        if all(math.floor(want) <= have <= math.ceil(want) for want, have in zip(exact, got, strict=True)):
            return native.size
    return None


class DeepZoomSlide:
    """An open slide that answers with JPEG tiles. Safe to use from several threads at once; close it."""

    def __init__(self, reader: SlideReader, raw: RawTiles | None) -> None:
        self.reader = reader
        self._raw = raw
        self.info = reader.info
        self.pyramid = pyramid(reader.info.size, raw.tile_px if raw else RENDERED_TILE)
        self._native = tuple(native_size(reader.info, level) for level in self.pyramid.levels)

    def tile(self, level: int, column: int, row: int, *, passthrough: bool = True) -> tuple[bytes, bool]:
        """Return one tile as JPEG, and whether it is the scanner's own compression.

        Args:
            level: 0 is the coarsest.
            column: From the left.
            row: From the top.
            passthrough: False renders in any case; for comparing the two ways.

        Raises:
            NotFoundError: the slide has no such tile.
            UnreadableSlideError: the file broke.
        """
        self._require(level, column, row)
        raw = self._passthrough(level, column, row) if passthrough else None
        if raw is not None:
            return raw, True
        return encode_jpeg(self.render(level, column, row)), False

    def render(self, level: int, column: int, row: int) -> RgbImage:
        """Read one tile through the slide reader; tiles at the right and bottom edge are smaller."""
        self._require(level, column, row)
        zoom, tile = self.pyramid.levels[level], self.pyramid.tile_px
        x, y = column * tile.width, row * tile.height
        out = Size(min(tile.width, zoom.size.width - x), min(tile.height, zoom.size.height - y))
        step = zoom.downsample
        return self.reader.read(Region(x * step, y * step, out.width * step, out.height * step), out)

    def region(self, region: Region, *, longest_px: int) -> bytes:
        """Return any part of the slide as JPEG, scaled so that its longer side has `longest_px` pixels.

        Raises:
            InputError: more pixels are asked for than one answer may have.
        """
        if not 1 <= longest_px <= REGION_LIMIT_PX:
            raise InputError(f"A region may have 1 to {REGION_LIMIT_PX} pixels a side, not {longest_px}.")
        scale = longest_px / max(region.width, region.height)
        out = Size(max(1, round(region.width * scale)), max(1, round(region.height * scale)))
        return encode_jpeg(self.reader.read(region, out))

    def close(self) -> None:
        """Release the file."""
        self.reader.close()
        close_raw = getattr(self._raw, "close", None)
        if callable(close_raw):
            close_raw()

    def _passthrough(self, level: int, column: int, row: int) -> bytes | None:
        """Return the raw tile if it lies wholly inside the slide: the padding of edge tiles must not be shown."""
        native, tile = self._native[level], self.pyramid.tile_px
        if self._raw is None or native is None or not self._raw.has_level(native):
            return None
        inside = (column + 1) * tile.width <= native.width and (row + 1) * tile.height <= native.height
        return self._raw.jpeg(native, column, row) if inside else None

    def _require(self, level: int, column: int, row: int) -> None:
        if 0 <= level < len(self.pyramid.levels):
            grid = self.pyramid.grid(level)
            if 0 <= column < grid.width and 0 <= row < grid.height:
                return
        raise NotFoundError(f"The slide has no tile at level {level}, column {column}, row {row}.")


def encode_jpeg(image: RgbImage) -> bytes:
    """Compress (H, W, 3) RGB without colour subsampling, so that stains keep their edges."""
    return simplejpeg.encode_jpeg(image, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444")


def file_signature(path: Path) -> str:
    """Return a short text that changes when the file at `path` is replaced or edited.

    Raises:
        OSError: there is no file.
    """
    stat = path.stat()
    return hashlib.sha256(f"{path}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:16]
