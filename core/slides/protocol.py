"""What every slide reader offers, whatever the file behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from core.domain import Mpp, Region, Size

RgbImage = NDArray[np.uint8]
"""Array (H, W, 3), sRGB, over white."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a slide's pyramid."""

    size: Size
    """Pixels of this level."""
    downsample: float
    """Level-0 pixels per pixel of this level (1.0 for level 0)."""


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """What a slide file says about itself. Holds no label, macro or description: they carry identifiers."""

    path: Path
    size: Size
    """Level-0 pixels."""
    levels: tuple[Level, ...]
    """From level 0 down; downsamples ascend."""
    vendor: str
    """OpenSlide's vendor name, or the image format for plain images."""
    mpp: Mpp | None
    """Scale at level 0, or None if the file states none and the user gave none."""
    objective_power: float | None
    """Magnification as stated by the scanner. It is not a scale and is never used as one."""
    warnings: tuple[str, ...] = ()


class SlideReader(Protocol):
    """An open slide. Safe to read from several threads at once. Close it, or use it as a context manager."""

    @property
    def info(self) -> SlideInfo:
        """The slide's metadata."""
        ...

    def read(self, region: Region, out: Size) -> RgbImage:
        """Read a level-0 region scaled to `out` pixels.

        Reads from the level (or reduced-scale decoding) that is best for the wanted scale: never one that is coarser
        than `out` unless level 0 itself is. Area outside the slide and transparent pixels are white.

        Args:
            region: Level-0 pixels; may reach beyond the slide.
            out: (width, height) of the returned image.

        Returns:
            uint8 array (out.height, out.width, 3), RGB.

        Raises:
            UnreadableSlideError: the file broke while being read.
        """
        ...

    def thumbnail(self, max_px: int) -> RgbImage:
        """Return the whole slide scaled so that its longer side has at most `max_px` pixels.

        Never larger than level 0.
        """
        ...

    def close(self) -> None:
        """Release the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...
