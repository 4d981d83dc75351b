from __future__ import annotations

import pytest

from core.domain import Mpp, MppSource
from core.errors import InvalidMppError
from core.slides.mpp import FoundMpp, mpp_from_properties, mpp_from_resolution, with_user_mpp

OPENSLIDE, VENDOR, TIFF = MppSource.OPENSLIDE, MppSource.VENDOR, MppSource.TIFF_RESOLUTION
TIFF_HALF = {"tiff.XResolution": "20000", "tiff.YResolution": "20000", "tiff.ResolutionUnit": "centimeter"}
MIRAX_X = "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_X"
MIRAX_Y = "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_Y"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.26"}, (0.25, 0.26, OPENSLIDE)),
        ({"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25", "aperio.MPP": "0.5"}, (0.25, 0.25, OPENSLIDE)),
        ({"openslide.mpp-x": "0.25", "aperio.MPP": "0.5"}, (0.5, 0.5, VENDOR)),
        ({"aperio.MPP": "0.499", **TIFF_HALF}, (0.499, 0.499, VENDOR)),
        ({MIRAX_X: "0.23", MIRAX_Y: "0.24"}, (0.23, 0.24, VENDOR)),
        ({"hamamatsu.PhysicalWidth": "230000", "hamamatsu.PhysicalHeight": "480000"}, (0.23, 0.24, VENDOR)),
        (TIFF_HALF, (0.5, 0.5, TIFF)),
        # OpenSlide derives a generic TIFF's mpp from the resolution: that is the source, and 72 dpi is none.
        (
            {"openslide.vendor": "generic-tiff", "openslide.mpp-x": "0.5", "openslide.mpp-y": "0.5", **TIFF_HALF},
            (0.5, 0.5, TIFF),
        ),
        ({"openslide.vendor": "generic-tiff", "openslide.mpp-x": "352.8", "openslide.mpp-y": "352.8"}, None),
        ({**TIFF_HALF, "tiff.ResolutionUnit": "none"}, None),
        ({"tiff.XResolution": "72", "tiff.YResolution": "72", "tiff.ResolutionUnit": "inch"}, None),
        ({"openslide.objective-power": "40", "aperio.AppMag": "40"}, None),
        ({"aperio.MPP": "unknown"}, None),
        ({"aperio.MPP": "0"}, None),
        ({"openslide.mpp-x": "nan", "openslide.mpp-y": "nan", "aperio.MPP": "0.5"}, (0.5, 0.5, VENDOR)),
        ({}, None),
    ],
)
def test_first_usable_source_wins(properties: dict[str, str], expected: tuple[float, float, MppSource] | None) -> None:
    found = mpp_from_properties(properties, width_px=1000, height_px=2000).mpp
    assert (found and (found.x, found.y, found.source)) == expected


def test_impossible_value_is_passed_over_with_a_sentence() -> None:
    found = mpp_from_properties({"aperio.MPP": "0"}, width_px=10, height_px=10)
    assert len(found.warnings) == 1
    assert "impossible" in found.warnings[0]


@pytest.mark.parametrize("dpi", [1, 72, 96, 150, 300, 600, 1200])
def test_screen_and_printer_resolutions_are_no_scale(dpi: float) -> None:
    found = mpp_from_resolution(dpi, dpi, unit="inch")
    assert found.mpp is None
    assert "screen or a printer" in found.warnings[0]


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_meaningless_resolution_is_no_scale(value: float) -> None:
    assert mpp_from_resolution(value, 20_000, unit="centimeter") == FoundMpp(None)


@pytest.mark.parametrize(
    ("per_unit", "unit", "um"), [((101_600, 50_800), "inch", (0.25, 0.5)), ((10_000, 5_000), "centimeter", (1, 2))]
)
def test_resolution_keeps_x_and_y(per_unit: tuple[float, float], unit: str, um: tuple[float, float]) -> None:
    assert mpp_from_resolution(*per_unit, unit=unit).mpp == Mpp(*um, TIFF)


def test_user_replaces_the_file_and_is_told_of_a_difference() -> None:
    stated = FoundMpp(Mpp(0.5, 0.5, OPENSLIDE))
    near, far = with_user_mpp(stated, 0.52), with_user_mpp(stated, 0.25)
    assert near == FoundMpp(Mpp(0.52, 0.52, MppSource.USER))
    assert far.mpp == Mpp(0.25, 0.25, MppSource.USER)
    assert "0.5 um/px stated by the file" in far.warnings[0]
    assert with_user_mpp(stated, Mpp(0.5, 0.51, TIFF)).mpp == Mpp(0.5, 0.51, MppSource.USER)
    assert with_user_mpp(stated, None) == stated


@pytest.mark.parametrize("value", [0.0, -0.25, 1e9, float("nan")])
def test_impossible_user_value_is_refused(value: float) -> None:
    with pytest.raises(InvalidMppError, match="micrometres per pixel"):
        with_user_mpp(FoundMpp(None), value)
