"""Build a large slide from one small real one: the region's own tissue, repeated without re-encoding a tile twice.

Levels, compression and description follow Aperio's: levels 1, 4 and 16, tiles of 256 px, JPEG of quality 80
with 4:2:0 colour. The 1,024 px square repeats exactly on every level, so a handful of encoded tiles makes a slide of
any size, with a memory need that does not grow with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import simplejpeg
import tifffile
from PIL import Image

from core.domain import Region, Size
from core.slides import RgbImage, open_slide

REGION_PX = 1024
REGION_XY = (720, 1936)
"""Where 89 % of the CMU region's 1,024 px square is tissue, the most anywhere on it: glass would decode too easily."""
TILE_PX = 256
LEVELS = (1, 4, 16)
QUALITY = 80
MPP = 0.25
"""um/px that the mosaic states. The real region was scanned at 0.499: its cells look twice as large, which changes no
speed."""


def write_mosaic(source: Path, target: Path, *, side_px: int) -> Path:
    """Write a square slide of `side_px` level-0 pixels.

    Args:
        source: The real region, CMU-1-Small-Region.svs.
        target: The pyramidal TIFF to write; an existing one is kept.
        side_px: A multiple of 1,024.

    Raises:
        ValueError: `side_px` is no multiple of 1,024.
    """
    if side_px % REGION_PX:
        raise ValueError(f"The side must be a multiple of {REGION_PX} px, got {side_px}.")
    if target.exists():
        return target
    with open_slide(source) as reader:
        region = reader.read(Region(*REGION_XY, REGION_PX, REGION_PX), Size(REGION_PX, REGION_PX))
    partial = target.with_suffix(".partial.tif")
    with tifffile.TiffWriter(partial, bigtiff=True) as tiff:
        for downsample in LEVELS:
            _write_level(tiff, region, side_px=side_px, downsample=downsample)
    partial.rename(target)
    return target


def _write_level(tiff: tifffile.TiffWriter, region: RgbImage, *, side_px: int, downsample: int) -> None:
    side = side_px // downsample
    description = (
        "Aperio Image Library v11.2.1 \r\n"
        f"{side_px}x{side_px} [0,0 {side}x{side}] ({TILE_PX}x{TILE_PX}) JPEG/RGB Q={QUALITY}"
        f"|AppMag = 40|MPP = {MPP}"
    )
    tiff.write(
        _tiles(_repeating_unit(region, downsample), side=side),
        shape=(side, side, 3),
        dtype=np.uint8,
        photometric="ycbcr",
        subsampling=(2, 2),
        compression="jpeg",
        tile=(TILE_PX, TILE_PX),
        description=description,
        metadata=None,
    )


def _repeating_unit(region: RgbImage, downsample: int) -> RgbImage:
    """Shrink the region and repeat it until it is at least one tile wide."""
    side = REGION_PX // downsample
    small = np.asarray(Image.fromarray(region).resize((side, side), Image.Resampling.BOX))
    times = max(1, TILE_PX // side)
    return np.tile(small, (times, times, 1))


def _tiles(unit: RgbImage, *, side: int) -> Iterator[bytes]:
    per_unit = unit.shape[0] // TILE_PX
    encoded = [
        [
            simplejpeg.encode_jpeg(
                np.ascontiguousarray(unit[y * TILE_PX :, x * TILE_PX :][:TILE_PX, :TILE_PX]),
                quality=QUALITY,
                colorsubsampling="420",
            )
            for x in range(per_unit)
        ]
        for y in range(per_unit)
    ]
    count = -(-side // TILE_PX)
    for row in range(count):
        for column in range(count):
            yield encoded[row % per_unit][column % per_unit]
