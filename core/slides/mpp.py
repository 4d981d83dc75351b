"""Micrometres per pixel: read from what the file states, in a fixed order, with its source. Never from the objective.

Order: `openslide.mpp-x/y`, the vendors' own keys, TIFF resolution with its unit, and above all of them what the user
gives. Property names are those of https://openslide.org/formats/ and of TIFF 6.0 (tags 282, 283, 296).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.domain import Mpp, MppSource
from core.errors import InvalidMppError

TIFF_RESOLUTION_MPP = (0.05, 20.0)
"""um/px that a TIFF resolution may mean. Below 1,270 dots per inch it is a screen's or a printer's (72, 96, 300, 600,
1200 dpi), which image programs write unasked and which says nothing about the tissue."""

USER_DIFFERENCE = 0.05
"""Relative difference between the user's scale and the file's above which the user is told."""

_UM_PER_UNIT = {"inch": 25_400.0, "centimeter": 10_000.0}
_VENDOR_KEYS = (
    ("aperio.MPP", "aperio.MPP"),
    (
        "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_X",
        "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_Y",
    ),
)


@dataclass(frozen=True, slots=True)
class FoundMpp:
    """A scale, or none, and sentences about values that were passed over."""

    mpp: Mpp | None
    warnings: tuple[str, ...] = ()


def mpp_from_properties(properties: Mapping[str, str], *, width_px: int, height_px: int) -> FoundMpp:
    """Find the scale among OpenSlide's properties.

    For a generic TIFF OpenSlide computes its mpp from the TIFF resolution, so there the resolution is named as the
    source and checked as one.

    Args:
        properties: OpenSlide's properties.
        width_px: Level-0 width; Hamamatsu VMS states the physical size of the whole image.
        height_px: Level-0 height.
    """
    found: list[str] = []
    candidates: list[tuple[float, float, MppSource]] = []
    if properties.get("openslide.vendor") != "generic-tiff":
        candidates += _pair(properties, "openslide.mpp-x", "openslide.mpp-y", source=MppSource.OPENSLIDE)
    for key_x, key_y in _VENDOR_KEYS:
        candidates += _pair(properties, key_x, key_y, source=MppSource.VENDOR)
    candidates += [
        (x / 1000 / width_px, y / 1000 / height_px, source)  # stated in nm
        for x, y, source in _pair(
            properties, "hamamatsu.PhysicalWidth", "hamamatsu.PhysicalHeight", source=MppSource.VENDOR
        )
    ]
    for x, y, source in candidates:
        try:
            return FoundMpp(Mpp(x, y, source), tuple(found))
        except InvalidMppError:
            found.append(f"The scale stated by the file ({source.value}: {x:g} um/px) is impossible and was not used.")
    by_tiff = _from_tiff_properties(properties)
    return FoundMpp(by_tiff.mpp, (*found, *by_tiff.warnings))


def mpp_from_resolution(x_per_unit: float, y_per_unit: float, *, unit: str) -> FoundMpp:
    """Convert a TIFF resolution to a scale.

    Args:
        x_per_unit: Pixels per unit along x (tag XResolution).
        y_per_unit: Pixels per unit along y (tag YResolution).
        unit: "inch" or "centimeter"; anything else ("none") states no length.

    Returns:
        The scale, or none with a sentence if the resolution is a screen's or a printer's.
    """
    um = _UM_PER_UNIT.get(unit)
    if um is None or not (_usable(x_per_unit) and _usable(y_per_unit)):
        return FoundMpp(None)
    x, y = um / x_per_unit, um / y_per_unit
    low, high = TIFF_RESOLUTION_MPP
    if not (low <= x <= high and low <= y <= high):
        return FoundMpp(
            None, (f"The TIFF resolution ({x:.4g} um/px) is that of a screen or a printer and was not used as scale.",)
        )
    return FoundMpp(Mpp(x, y, MppSource.TIFF_RESOLUTION))


def with_user_mpp(found: FoundMpp, user: Mpp | float | None) -> FoundMpp:
    """Let the user's scale, if there is one, take the place of the file's; a difference above 5 % becomes a warning.

    Raises:
        InvalidMppError: the user's value cannot be a scale.
    """
    if user is None:
        return found
    given = Mpp(user.x, user.y, MppSource.USER) if isinstance(user, Mpp) else Mpp(user, user, MppSource.USER)
    stated = found.mpp
    if stated is None or abs(given.mean - stated.mean) / stated.mean <= USER_DIFFERENCE:
        return FoundMpp(given, found.warnings)
    sentence = (
        f"The scale given ({given.mean:.4g} um/px) differs from the {stated.mean:.4g} um/px stated by the file "
        f"({stated.source.value}); the given one is used."
    )
    return FoundMpp(given, (*found.warnings, sentence))


def _from_tiff_properties(properties: Mapping[str, str]) -> FoundMpp:
    pairs = _pair(properties, "tiff.XResolution", "tiff.YResolution", source=MppSource.TIFF_RESOLUTION)
    if not pairs:
        return FoundMpp(None)
    x, y, _ = pairs[0]
    return mpp_from_resolution(x, y, unit=properties.get("tiff.ResolutionUnit", "none"))


def _pair(
    properties: Mapping[str, str], key_x: str, key_y: str, *, source: MppSource
) -> list[tuple[float, float, MppSource]]:
    """Return one candidate if both keys are there and are numbers; a list, so that absent ones simply add nothing."""
    try:
        return [(float(properties[key_x]), float(properties[key_y]), source)]
    except (KeyError, ValueError):
        return []


def _usable(value: float) -> bool:
    return math.isfinite(value) and value > 0
