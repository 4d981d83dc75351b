"""From level-0 regions to the pixels of a level, and from a slide to its thumbnail."""

from __future__ import annotations

from core.domain import Region, Size
from core.slides.pixels import Box


def level_box(region: Region, *, full: Size, level: Size) -> Box:
    """Convert a level-0 region to the pixels of a level; x and y by their own ratio, so that edges meet edges."""
    x, y = level.width / full.width, level.height / full.height
    return Box(region.x * x, region.y * y, region.right * x, region.bottom * y)


def thumbnail_geometry(size: Size, *, max_px: int) -> tuple[Region, Size]:
    """Return the whole slide as a region, and the size of its thumbnail with a longer side of at most `max_px`."""
    shrink = min(1.0, max_px / max(size.width, size.height))
    out = Size(max(1, round(size.width * shrink)), max(1, round(size.height * shrink)))
    return Region(0, 0, size.width, size.height), out
