"""Slides through OpenSlide, with raw JPEG tiles decoded at reduced scale where the file allows it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import numpy as np
import openslide

from core.domain import Mpp, Region, Size
from core.errors import UnreadableSlideError
from core.slides.geometry import level_box, thumbnail_geometry
from core.slides.jpeg_tiles import JpegPyramid, TileNotDecodableError, open_jpeg_pyramid
from core.slides.mpp import mpp_from_properties, with_user_mpp
from core.slides.pixels import read_scaled, rgb_over_white
from core.slides.protocol import Level, RgbImage, SlideInfo

SCALE_TOLERANCE = 1.02
"""A level may be this much coarser than wanted: stated downsamples such as 4.002 mean 4, and a 40x scan at
0.2525 um/px is read at half scale for 0.5 um/px, not in full."""
_FAST_VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats whose levels are plain tiled TIFF directories without offsets or overlaps."""


def is_openslide(path: Path) -> bool:
    """Whether OpenSlide knows the format of a file."""
    try:
        return openslide.OpenSlide.detect_format(str(path)) is not None
    except openslide.OpenSlideError:
        return False


class OpenSlideReader:
    """A slide that OpenSlide can open. Safe to read from several threads."""

    def __init__(
        self, path: Path, *, mpp: Mpp | float | None = None, shown_path: Path | None = None, fast: bool = True
    ) -> None:
        """Open the slide.

        Args:
            path: File that OpenSlide opens.
            mpp: The user's scale.
            shown_path: What `info.path` says, where that is another one (a DICOM folder).
            fast: Decode raw JPEG tiles where possible; off only to compare the two ways.

        Raises:
            UnreadableSlideError: OpenSlide refuses the file.
            InvalidMppError: `mpp` cannot be a scale.
        """
        self._path = path
        self._shown = shown_path or path
        try:
            self._slide = openslide.OpenSlide(str(path))
        except (openslide.OpenSlideError, OSError) as err:
            raise UnreadableSlideError(
                f"{self._shown.name} cannot be opened as a slide: it is damaged or not a whole-slide image "
                f"({self._words(err)}). Copy or export it again."
            ) from err
        try:
            self._info = _info(self._slide, self._shown, mpp=mpp)
            self._pyramid = _pyramid(path, self._info) if fast else None
        except BaseException:
            self._slide.close()
            raise

    @property
    def info(self) -> SlideInfo:
        """The slide's metadata."""
        return self._info

    @property
    def has_jpeg_tiles(self) -> bool:
        """Whether raw JPEG tiles of the file are decoded at reduced scale."""
        return self._pyramid is not None

    def read(self, region: Region, out: Size) -> RgbImage:
        """Read a level-0 region scaled to `out` pixels, white outside the slide; see `SlideReader.read`."""
        scale = min(region.width / out.width, region.height / out.height) * SCALE_TOLERANCE
        if self._pyramid is not None:
            try:
                return self._pyramid.read(region, out, max_downsample=scale)
            except TileNotDecodableError:
                pass  # OpenSlide knows how to fill missing tiles, and says what is wrong with broken ones
        index = max(i for i, level in enumerate(self._info.levels) if i == 0 or level.downsample <= scale)
        return self._read_level(index, region, out)

    def thumbnail(self, max_px: int) -> RgbImage:
        """Return the whole slide with its longer side at most `max_px` pixels; see `SlideReader.thumbnail`."""
        return self.read(*thumbnail_geometry(self._info.size, max_px=max_px))

    def _words(self, err: Exception) -> str:
        """Return OpenSlide's words without the folder: folders are named after people more often than one thinks."""
        return str(err).replace(f"{self._path.parent}{os.sep}", "")

    def close(self) -> None:
        """Release the file."""
        self._slide.close()
        if self._pyramid is not None:
            self._pyramid.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read_level(self, index: int, region: Region, out: Size) -> RgbImage:
        level, full = self._info.levels[index].size, self._info.size
        ratio_x, ratio_y = full.width / level.width, full.height / level.height

        def fetch(x: int, y: int, width: int, height: int) -> RgbImage:
            location = (round(x * ratio_x), round(y * ratio_y))
            try:
                image = self._slide.read_region(location, index, (width, height))
            except openslide.OpenSlideError as err:
                raise UnreadableSlideError(
                    f"{self._shown.name} broke while being read at level-0 pixel {location} ({self._words(err)}). "
                    "The file is damaged or was cut short: copy it again."
                ) from err
            return rgb_over_white(image)

        return read_scaled(fetch, level_box(region, full=full, level=level), source=level, out=out)


def _info(slide: openslide.OpenSlide, path: Path, *, mpp: Mpp | float | None) -> SlideInfo:
    width, height = slide.dimensions
    found = with_user_mpp(mpp_from_properties(slide.properties, width_px=width, height_px=height), mpp)
    warnings = found.warnings + (found.mpp.warnings if found.mpp else ())
    return SlideInfo(
        path=path,
        size=Size(width, height),
        levels=tuple(
            Level(Size(*size), 1.0 if i == 0 else float(downsample))
            for i, (size, downsample) in enumerate(zip(slide.level_dimensions, slide.level_downsamples, strict=True))
        ),
        vendor=slide.properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
        mpp=found.mpp,
        objective_power=_number(slide.properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)),
        warnings=warnings,
    )


def _pyramid(path: Path, info: SlideInfo) -> JpegPyramid | None:
    if info.vendor not in _FAST_VENDORS:
        return None
    return open_jpeg_pyramid(path, tuple(level.size for level in info.levels))


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and np.isfinite(value) and value > 0 else None
