"""Plain PNG, JPEG and TIFF images as slides with a single level, held in memory up to a stated size."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Self

from PIL import Image, ImageOps, UnidentifiedImageError

from core.domain import Mpp, Region, Size
from core.errors import UnreadableSlideError
from core.slides.geometry import level_box, thumbnail_geometry
from core.slides.mpp import FoundMpp, mpp_from_resolution, with_user_mpp
from core.slides.pixels import read_scaled, rgb_over_white
from core.slides.protocol import Level, RgbImage, SlideInfo

MAX_IMAGE_PX = 80_000_000
"""Largest plain image, about 8,900 x 8,900 px: 240 MB as RGB and about twice that while it is being decoded."""

_ORIENTATION_TAG = 274
_UNIT_TAG, _X_TAG, _Y_TAG = 296, 282, 283
_UNITS = {2: "inch", 3: "centimeter"}
_FORMATS = ("PNG", "JPEG", "TIFF")
_MULTI_PICTURE_JPEG = "MPO"


class ImageReader:
    """A plain image. Its pixels are decoded once, at opening, and turned upright."""

    def __init__(self, path: Path, *, mpp: Mpp | float | None = None) -> None:
        """Open and decode the image.

        Raises:
            UnreadableSlideError: not an image, damaged, too large, or of a kind without defined colours.
            InvalidMppError: `mpp` cannot be a scale.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is stricter
                opened = Image.open(path, formats=_FORMATS)
            with opened:
                _check_size(path, opened)
                found = with_user_mpp(_stated_mpp(opened), mpp)
                vendor = "jpeg" if opened.format == _MULTI_PICTURE_JPEG else (opened.format or "image").lower()
                self._pixels = rgb_over_white(ImageOps.exif_transpose(opened))
        except UnreadableSlideError:
            raise
        except Image.DecompressionBombError as err:
            raise UnreadableSlideError(_too_large(path, f"more than {MAX_IMAGE_PX / 1e6:.0f} million")) from err
        except UnidentifiedImageError as err:
            raise UnreadableSlideError(f"{path.name} is not an image that can be read, or it is damaged.") from err
        except (OSError, SyntaxError, ValueError, EOFError) as err:  # Pillow's own ways to say that a file is broken
            raise UnreadableSlideError(f"{path.name} cannot be decoded: it is damaged or cut short ({err}).") from err
        self._info = _info(path, self._pixels, found, vendor=vendor)

    @property
    def info(self) -> SlideInfo:
        """The image's metadata."""
        return self._info

    def read(self, region: Region, out: Size) -> RgbImage:
        """Read a region scaled to `out` pixels, white outside the image; see `SlideReader.read`."""

        def fetch(x: int, y: int, width: int, height: int) -> RgbImage:
            return self._pixels[y : y + height, x : x + width].copy()

        size = self._info.size
        return read_scaled(fetch, level_box(region, full=size, level=size), source=size, out=out)

    def thumbnail(self, max_px: int) -> RgbImage:
        """Return the whole image with its longer side at most `max_px` pixels; see `SlideReader.thumbnail`."""
        return self.read(*thumbnail_geometry(self._info.size, max_px=max_px))

    def close(self) -> None:
        """Nothing stays open: the file was closed after decoding."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _check_size(path: Path, image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > MAX_IMAGE_PX:
        raise UnreadableSlideError(_too_large(path, f"{pixels / 1e6:.0f} million"))


def _too_large(path: Path, pixels: str) -> str:
    return (
        f"{path.name} has {pixels} pixels, and a plain image may have at most {MAX_IMAGE_PX // 1_000_000} million. "
        "Convert it to a tiled pyramidal TIFF, which is read in parts."
    )


def _stated_mpp(image: Image.Image) -> FoundMpp:
    """Scale from TIFF tags. Dots per inch of PNG and JPEG files are a screen's and are not looked at."""
    if image.format != "TIFF":
        return FoundMpp(None)
    tags = image.getexif()
    try:
        x, y = float(tags[_X_TAG]), float(tags[_Y_TAG])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return FoundMpp(None)
    if tags.get(_ORIENTATION_TAG, 1) >= 5:  # lying on its side: rows become columns
        x, y = y, x
    return mpp_from_resolution(x, y, unit=_UNITS.get(tags.get(_UNIT_TAG, 2), "none"))


def _info(path: Path, pixels: RgbImage, found: FoundMpp, *, vendor: str) -> SlideInfo:
    size = Size(pixels.shape[1], pixels.shape[0])
    return SlideInfo(
        path=path,
        size=size,
        levels=(Level(size, 1.0),),
        vendor=vendor,
        mpp=found.mpp,
        objective_power=None,
        warnings=found.warnings + (found.mpp.warnings if found.mpp else ()),
    )
