"""A file's own JPEG tiles, handed out as they lie in the file, completed so that every decoder shows the right colours.

No second lossy compression, and hardly any work: the bytes are found, and the tables and the colour marker that TIFF
keeps elsewhere are put in.
"""

from __future__ import annotations

import threading
from pathlib import Path

import tifffile

from core.domain import Size
from core.slides.deepzoom import DeepZoomSlide
from core.slides.jpeg_levels import JpegLevel, TileNotDecodableError, complete_jpeg, jpeg_level
from core.slides.opening import open_slide
from core.slides.protocol import SlideInfo

_PLAIN_VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats whose levels are whole tiled directories: no offsets, overlaps or stitching."""


class RawJpegTiles:
    """The raw tiles of one file. Safe to use from several threads; close it."""

    def __init__(self, path: Path, levels: tuple[JpegLevel, ...]) -> None:
        """Open the file.

        Args:
            path: The TIFF file.
            levels: Levels whose tiles are self-contained JPEGs of one size, the finest first.
        """
        self._levels = {level.size: level for level in reversed(levels)}
        self._tile_px = levels[0].tile
        self._lock = threading.Lock()
        self._file = path.open("rb")

    @property
    def tile_px(self) -> Size:
        """Size of every tile."""
        return self._tile_px

    def has_level(self, size: Size) -> bool:
        """Tell whether a level of exactly this many pixels has raw tiles."""
        return size in self._levels

    def jpeg(self, size: Size, column: int, row: int) -> bytes | None:
        """Return a complete JPEG of one tile, or None if the file leaves that tile out or it is no JPEG."""
        level = self._levels[size]
        index = row * level.columns + column
        if index >= len(level.lengths) or level.lengths[index] == 0:
            return None
        with self._lock:
            self._file.seek(int(level.offsets[index]))
            stream = self._file.read(int(level.lengths[index]))
        try:
            return complete_jpeg(stream, level)
        except TileNotDecodableError:
            return None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._file.close()


def open_raw_tiles(info: SlideInfo) -> RawJpegTiles | None:
    """Look for raw tiles behind the levels of an open slide; None if level 0 has none that can be handed out."""
    if info.vendor not in _PLAIN_VENDORS or not info.path.is_file():
        return None
    try:
        with tifffile.TiffFile(info.path) as tiff:
            found = [jpeg_level(page) for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError):
        return None  # OpenSlide opened it, so it can be rendered
    by_size = {level.size: level for level in reversed(found) if level is not None}
    finest = by_size.get(info.size)
    if finest is None:
        return None
    levels = (by_size.get(native.size) for native in info.levels)
    return RawJpegTiles(info.path, tuple(level for level in levels if level is not None and level.tile == finest.tile))


def open_deep_zoom(path: Path, *, mpp: float | None = None) -> DeepZoomSlide:
    """Open a slide for a zooming viewer.

    Args:
        path: Slide file or DICOM folder.
        mpp: The user's um/px, or None for what the file says.

    Raises:
        UnreadableSlideError: the file cannot be opened.
    """
    reader = open_slide(path, mpp=mpp)
    try:
        return DeepZoomSlide(reader, open_raw_tiles(reader.info))
    except BaseException:
        reader.close()
        raise
