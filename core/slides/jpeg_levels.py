"""The JPEG tiles of a TIFF directory: where they lie, and how to make each a JPEG that stands alone.

Only directories with one JPEG a tile are taken: 8-bit, three samples, RGB or YCbCr, as in Aperio SVS and generic
pyramidal TIFF. TIFF stores the tables that all tiles share once (tag 347, TIFF Technical Note 2), and whether the
samples are RGB or YCbCr stands in the directory and not in the JPEG, so both are spliced into each tile's stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tifffile
from numpy.typing import NDArray

from core.domain import Size

_JPEG, _RGB, _YCBCR = 7, 2, 6  # TIFF compression and photometric codes
_START, _SCAN, _ADOBE = b"\xff\xd8", 0xDA, b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


class TileNotDecodableError(Exception):
    """A raw tile is absent or broken: the caller reads the region in the slow way instead."""


@dataclass(frozen=True, slots=True, eq=False)
class JpegLevel:
    """One tiled directory: where its JPEG streams lie and what they lack."""

    size: Size
    """Pixels of this level; the tiles at its right and bottom edge hold padding beyond it."""
    tile: Size
    offsets: NDArray[np.int64]
    """Row-major, byte position of each tile."""
    lengths: NDArray[np.int64]
    tables: bytes
    """JPEG segments shared by all tiles, without start and end markers."""
    is_rgb: bool

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.size.width // self.tile.width)


def complete_jpeg(stream: bytes, level: JpegLevel) -> bytes:
    """Return a JPEG that any decoder reads with the right colours, from a tile's stream as TIFF stores it.

    The shared tables go first. The marker that names the colours goes last, right before the scan, so that it prevails
    over one the encoder may have left.

    Raises:
        TileNotDecodableError: the stream is no JPEG.
    """
    if not stream.startswith(_START):
        raise TileNotDecodableError
    scan = _scan_position(stream)
    transform = b"\x00" if level.is_rgb else b"\x01"
    return b"".join((_START, level.tables, stream[2:scan], _ADOBE, transform, stream[scan:]))


def _scan_position(stream: bytes) -> int:
    position = 2
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        if stream[position + 1] == _SCAN:
            return position
        position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
    raise TileNotDecodableError


def jpeg_level(page: tifffile.TiffPage) -> JpegLevel | None:
    """Describe a directory whose tiles are JPEGs that can be decoded one by one; None for any other."""
    if not (
        page.is_tiled
        and page.compression == _JPEG
        and page.photometric in (_RGB, _YCBCR)
        and page.samplesperpixel == 3
        and page.bitspersample == 8
        and page.planarconfig == 1
        and page.imagedepth == 1
    ):
        return None
    tables: bytes = page.jpegtables or b""
    return JpegLevel(
        size=Size(page.imagewidth, page.imagelength),
        tile=Size(page.tilewidth, page.tilelength),
        offsets=np.asarray(page.dataoffsets, np.int64),
        lengths=np.asarray(page.databytecounts, np.int64),
        tables=tables[2:-2],
        is_rgb=page.photometric == _RGB,
    )
