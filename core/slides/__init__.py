"""Slides: open one, find them below a folder, identify one by its hash.

A slide is read as RGB over white, by region and at any scale, through one protocol, whatever the file behind it.
Label and macro images are never offered: they carry identifiers.
"""

from core.slides.discovery import find_slides
from core.slides.hashing import sha256_of
from core.slides.opening import open_slide
from core.slides.protocol import Level, RgbImage, SlideInfo, SlideReader

__all__ = ["Level", "RgbImage", "SlideInfo", "SlideReader", "find_slides", "open_slide", "sha256_of"]
