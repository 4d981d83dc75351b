from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from core.domain import Mpp, MppSource, Region, Size
from core.errors import InputError, InvalidMppError, UnreadableSlideError
from core.slides import RgbImage, find_slides, open_slide, sha256_of
from core.slides import image_reader as image_reader_module
from core.slides.image_reader import ImageReader
from core.slides.jpeg_tiles import TileCache
from core.slides.openslide_reader import OpenSlideReader
from core.slides.pixels import BLOCK_PX
from core.tiles import TileSpec, tile_grid

RED, GREEN, BLUE, YELLOW, GREY = (200, 30, 30), (30, 180, 40), (40, 40, 200), (220, 210, 20), (120, 120, 120)
CORNERS = (RED, GREEN, BLUE, YELLOW)  # top left, top right, bottom left, bottom right


def corner_image(width: int, height: int, *, mark: int) -> RgbImage:
    """Grey with a square marker of its own colour in every corner."""
    image = np.full((height, width, 3), GREY, np.uint8)
    image[:mark, :mark], image[:mark, -mark:], image[-mark:, :mark], image[-mark:, -mark:] = CORNERS
    return image


def write_tiff(path: Path, image: RgbImage, *, levels: int = 1, tile: int = 64, compression: str = "jpeg") -> Path:
    """A tiled pyramid with a side that is no multiple of the tile, lossless up to JPEG of quality 95."""
    with tifffile.TiffWriter(path) as tiff:
        for level in range(levels):
            step = 2**level
            tiff.write(
                image[: image.shape[0] // step * step : step, : image.shape[1] // step * step : step],
                photometric="rgb",
                tile=(tile, tile),
                compression=compression,
                compressionargs={"level": 95} if compression == "jpeg" else None,
                subfiletype=1 if level else 0,
                resolution=(2e4, 2e4),
                resolutionunit="CENTIMETER",
            )
    return path


@pytest.fixture
def region_svs(real_data: Path) -> Path:
    return real_data / "slides" / "CMU-1-Small-Region.svs"


# ---------------------------------------------------------------- what a slide says about itself


def test_real_aperio_slide(region_svs: Path) -> None:
    with open_slide(region_svs) as reader:
        info = reader.info
    assert (info.size, info.vendor, info.objective_power) == (Size(2220, 2967), "aperio", 20.0)
    assert info.mpp == Mpp(0.499, 0.499, MppSource.OPENSLIDE)
    assert info.warnings == ()


def test_dicom_copy_has_the_same_scale_and_grid(real_data: Path, region_svs: Path) -> None:
    folder = real_data / "slides" / "CMU-1-Small-Region-dicom"
    spec = TileSpec(112.0, mpp=0.5)
    with open_slide(folder) as dicom, open_slide(region_svs) as svs:
        assert dicom.info.path == folder
        assert dicom.info.mpp == svs.info.mpp
        assert dicom.info.mpp is not None
        grids = [tile_grid(r.info.size, dicom.info.mpp, spec=spec, mask=None) for r in (dicom, svs)]
        assert dicom.thumbnail(300).shape == svs.thumbnail(300).shape == (300, 224, 3)
    assert grids[0].xy_level0.tolist() == grids[1].xy_level0.tolist()


def test_user_scale_takes_the_place_of_the_files(region_svs: Path) -> None:
    with open_slide(region_svs, mpp=0.25) as reader:
        assert reader.info.mpp == Mpp(0.25, 0.25, MppSource.USER)
        assert "0.499" in reader.info.warnings[0]
    with pytest.raises(InvalidMppError):
        open_slide(region_svs, mpp=-1)


def test_generic_tiff_names_the_resolution_as_source(tmp_path: Path) -> None:
    with open_slide(write_tiff(tmp_path / "a.tif", corner_image(200, 100, mark=9))) as reader:
        assert reader.info.mpp == Mpp(0.5, 0.5, MppSource.TIFF_RESOLUTION)
        assert reader.info.vendor == "generic-tiff"
        assert reader.info.objective_power is None


# ---------------------------------------------------------------- pixels and where they are


@pytest.mark.parametrize("kind", ["jpeg-pyramid", "lossless-pyramid", "png"])
@pytest.mark.parametrize(("um", "mpp"), [(20.0, 0.5), (32.0, 1.0), (48.0, 2.0), (20.0, 1.25)])
def test_a_marker_in_each_corner_is_in_the_expected_tile(tmp_path: Path, kind: str, um: float, mpp: float) -> None:
    width, height, mark = 424, 312, 16
    image = corner_image(width, height, mark=mark)
    if kind == "png":
        path = tmp_path / "corners.png"
        Image.fromarray(image).save(path)
    else:
        compression = "jpeg" if kind == "jpeg-pyramid" else "deflate"
        path = write_tiff(tmp_path / "corners.tif", image, levels=3, tile=48, compression=compression)
    half = Mpp(0.5, 0.5, MppSource.USER)
    with open_slide(path, mpp=half) as reader:
        grid = tile_grid(reader.info.size, half, spec=TileSpec(um, mpp=mpp), mask=None)
        found: dict[tuple[int, int, int], set[int]] = {colour: set() for colour in CORNERS}
        for index in range(len(grid)):
            region = grid.region(index)
            tile = reader.read(region, Size(grid.size_px, grid.size_px))
            for colour, x, y in zip(CORNERS, (0, 1, 0, 1), (0, 0, 1, 1), strict=True):
                spot = (x * width + (1 - 2 * x) * mark / 2, y * height + (1 - 2 * y) * mark / 2)
                column = int((spot[0] - region.x) * grid.size_px / region.width)
                row = int((spot[1] - region.y) * grid.size_px / region.height)
                inside = 0 <= column < grid.size_px and 0 <= row < grid.size_px
                if np.abs(tile.astype(int) - colour).sum(axis=2).min() < 60:
                    found[colour].add(index)
                    assert inside
                    assert np.abs(tile[row, column].astype(int) - colour).max() < 25
            beyond = (width - region.x) * grid.size_px / region.width
            if beyond < grid.size_px - 1:
                assert (tile[:, int(np.ceil(beyond)) + 1 :] == 255).all()
    columns = -(-width // grid.size_level0.width)
    expected = [0, columns - 1, len(grid) - columns, len(grid) - 1]
    for colour, index in zip(CORNERS, expected, strict=True):
        assert index in found[colour]
        assert len(found[colour]) == 1


@pytest.mark.parametrize(
    ("region", "white"),
    [
        (Region(-50, -40, 100, 80), (slice(0, 40), slice(None))),
        (Region(2200, 2900, 64, 64), (slice(None), slice(20, None))),
        (Region(5000, 5000, 64, 64), (slice(None), slice(None))),
        (Region(-500, 100, 64, 64), (slice(None), slice(None))),
    ],
)
def test_outside_the_slide_is_white(region_svs: Path, region: Region, white: tuple[slice, slice]) -> None:
    with open_slide(region_svs) as reader:
        pixels = reader.read(region, Size(region.width, region.height))
    assert pixels.shape == (region.height, region.width, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[white] == 255).all()


# ---------------------------------------------------------------- raw JPEG tiles against OpenSlide

PLACES = [(0, 0), (1000, 1304), (480, 720), (1708, 2455), (-64, -32), (2000, 96)]


def both(path: Path, region: Region, out: Size) -> tuple[np.ndarray, np.ndarray]:
    with OpenSlideReader(path) as fast, OpenSlideReader(path, fast=False) as slow:
        assert fast.has_jpeg_tiles
        assert not slow.has_jpeg_tiles
        return fast.read(region, out).astype(int), slow.read(region, out).astype(int)


@pytest.mark.parametrize("place", PLACES)
def test_full_scale_is_bit_for_bit_what_openslide_gives(region_svs: Path, place: tuple[int, int]) -> None:
    fast, slow = both(region_svs, Region(*place, 512, 512), Size(512, 512))
    assert (fast == slow).all()
    direct = openslide.OpenSlide(str(region_svs)).read_region((1000, 1304), 0, (512, 512)).convert("RGB")
    if place == (1000, 1304):
        assert (slow == np.asarray(direct)).all()


@pytest.mark.parametrize(
    "place", [(0, 0), (1000, 1304), (480, 720), (-64, -32), (2220, 1000), (1000, 2967), (2220, 2967)]
)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_reduced_scale_agrees_with_openslide(region_svs: Path, place: tuple[int, int], scale: int) -> None:
    """On the grid of the reduced pixels, inside the slide and half beyond its right and bottom edge."""
    side = 64 * scale
    x, y = (at - side // 2 if at in (2220, 2967) else at for at in place)
    fast, slow = both(region_svs, Region(x // 8 * 8, y // 8 * 8, side, side), Size(64, 64))
    difference = np.abs(fast - slow)
    assert difference.mean() < 0.8
    assert difference.max() <= 25


@pytest.mark.parametrize("scale", [1.3, 1.98, 2.7, 3, 5, 6.4, 11, 16, 23])
def test_any_scale_agrees_without_a_shift(region_svs: Path, scale: float) -> None:
    side = round(80 * scale)
    fast, slow = both(region_svs, Region(301, 1203, side, side), Size(80, 80))
    here = np.abs(fast - slow)[1:-1, 1:-1].mean()
    shifted = [
        np.abs(np.roll(fast, step, axis)[1:-1, 1:-1] - slow[1:-1, 1:-1]).mean() for step in (1, -1) for axis in (0, 1)
    ]
    assert here < 0.5 * min(shifted)
    assert np.abs((fast - slow).mean(axis=(0, 1))).max() < 0.6  # no change of colour or brightness


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_colours_are_right_for_both_ways_to_store_them(tmp_path: Path, photometric: str) -> None:
    image = corner_image(256, 256, mark=96)
    path = tmp_path / "colours.tif"
    encoded = jpeg_tiles_of(image, 64, as_ycbcr=photometric == "ycbcr")
    tifffile.imwrite(
        path, iter(encoded), shape=image.shape, dtype=np.uint8, photometric=photometric, tile=(64, 64),
        compression="jpeg", subsampling=(1, 1), metadata=None,
    )  # fmt: skip
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages.first.tags["PhotometricInterpretation"].overwrite(2 if photometric == "rgb" else 6)
    for scale in (1, 2, 8):
        fast, slow = both(path, Region(0, 0, 256, 256), Size(256 // scale, 256 // scale))
        assert np.abs(fast - slow).mean() < 1
        for colour, corner in zip(CORNERS, (fast[0, 0], fast[0, -1], fast[-1, 0], fast[-1, -1]), strict=True):
            assert np.abs(corner - colour).max() < 12


def jpeg_tiles_of(image: RgbImage, tile: int, *, as_ycbcr: bool) -> list[bytes]:
    """JPEG streams without a colour marker, as scanners write them: the directory says what the samples are."""
    import imagecodecs

    space = imagecodecs.JPEG8.CS.YCbCr if as_ycbcr else imagecodecs.JPEG8.CS.RGB
    streams = [
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(image[y : y + tile, x : x + tile]),
            level=95,
            colorspace=imagecodecs.JPEG8.CS.RGB,
            outcolorspace=space,
            subsampling="444",
        )
        for y in range(0, image.shape[0], tile)
        for x in range(0, image.shape[1], tile)
    ]
    return [without_markers(stream) for stream in streams]


def without_markers(stream: bytes) -> bytes:
    """Drop the JFIF and Adobe segments (APP0, APP14)."""
    kept, position = [stream[:2]], 2
    while stream[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
        if stream[position + 1] not in (0xE0, 0xEE):
            kept.append(stream[position:end])
        position = end
    return b"".join([*kept, stream[position:]])


def test_coarser_level_is_used_where_it_is_fine_enough(tmp_path: Path) -> None:
    """Every level has its own colour, so the result names the level it was read from."""
    path = tmp_path / "levels.tif"
    with tifffile.TiffWriter(path) as tiff:
        for side, colour in ((512, RED), (128, GREEN), (32, BLUE)):
            tiff.write(
                np.full((side, side, 3), colour, np.uint8), photometric="rgb", tile=(32, 32), compression="jpeg",
                subfiletype=0 if side == 512 else 1,
            )  # fmt: skip
    expected = {512: RED, 400: RED, 256: RED, 135: RED, 128: GREEN, 100: GREEN, 40: GREEN, 32: BLUE, 8: BLUE}
    for fast in (True, False):
        with OpenSlideReader(path, fast=fast) as reader:
            for out, colour in expected.items():
                pixels = reader.read(Region(0, 0, 512, 512), Size(out, out)).astype(int)
                assert np.abs(pixels - colour).max() < 12, (fast, out)


def test_neighbouring_tiles_meet_exactly(region_svs: Path) -> None:
    with open_slide(region_svs) as reader:
        whole = reader.read(Region(96, 160, 960, 960), Size(480, 480))
        parts = [
            [reader.read(Region(96 + x, 160 + y, 240, 240), Size(120, 120)) for x in range(0, 960, 240)]
            for y in range(0, 960, 240)
        ]
    assert (np.block([[[part] for part in row] for row in parts]) == whole).all()


def test_many_threads_read_the_same_pixels(region_svs: Path) -> None:
    regions = [Region(x, y, 300, 300) for y in range(0, 2700, 300) for x in range(0, 2200, 300)]
    with open_slide(region_svs) as reader:
        alone = [reader.read(region, Size(150, 150)) for region in regions]
    with open_slide(region_svs) as reader, ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda region: reader.read(region, Size(150, 150)), regions * 2))
    assert all((a == b).all() for a, b in zip(alone * 2, together, strict=True))


def test_tile_cache_decodes_once_and_is_bounded() -> None:
    decoded: list[int] = []

    def decode(key: int) -> Callable[[], RgbImage]:
        def make() -> RgbImage:
            decoded.append(key)
            return np.zeros((10, 10, 3), np.uint8)

        return make

    cache = TileCache(limit_bytes=900)  # three tiles
    for key in (1, 2, 3, 1, 4, 1, 2):
        cache.get((0, 1, key), decode(key))
    assert decoded == [1, 2, 3, 4, 2]  # 1 was used lately and stayed; 2 made room for 4


# ---------------------------------------------------------------- thumbnails and memory


def test_thumbnail_is_bounded_and_never_enlarged(region_svs: Path) -> None:
    with open_slide(region_svs) as reader:
        assert reader.thumbnail(500).shape == (500, 374, 3)
        assert reader.thumbnail(10_000).shape == (2967, 2220, 3)
        assert reader.thumbnail(1).shape == (1, 1, 3)


@pytest.mark.parametrize("fast", [True, False])
def test_large_reads_are_made_in_parts(region_svs: Path, monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> None:
    assert BLOCK_PX * 3 < 100e6
    with OpenSlideReader(region_svs, fast=fast) as reader:
        whole = reader.thumbnail(700).astype(int)
        monkeypatch.setattr("core.slides.pixels.BLOCK_PX", 100_000)
        parts = reader.thumbnail(700).astype(int)
    assert whole.shape == parts.shape
    assert np.abs(whole - parts).mean() < 0.3


# ---------------------------------------------------------------- plain images


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_transparent_is_white_and_half_transparent_is_mixed(tmp_path: Path) -> None:
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[..., :3] = RED
    rgba[:, 1, 3], rgba[:, 2, 3] = 128, 255
    with open_slide(save(tmp_path / "a.png", Image.fromarray(rgba))) as reader:
        assert reader.read(Region(0, 0, 3, 1), Size(3, 1))[0].tolist() == [[255] * 3, [227, 142, 142], list(RED)]


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", ".png"), ("RGB", ".tif"), ("P", ".png"), ("CMYK", ".tif"), ("CMYK", ".jpg"), ("RGB", ".jpeg"),
     ("RGBA", ".tif"), ("YCbCr", ".tif"), ("LAB", ".tif")],
)  # fmt: skip
def test_colour_modes_give_the_same_colours(tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.fromarray(corner_image(64, 48, mark=16))
    if mode == "LAB":
        from PIL import ImageCms

        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(image, to_lab)
        assert image is not None
    else:
        image = image.quantize(16) if mode == "P" else image.convert(mode)
    with open_slide(save(tmp_path / f"a{suffix}", image)) as reader:
        pixels = reader.read(Region(0, 0, 64, 48), Size(64, 48)).astype(int)
    for colour, corner in zip(CORNERS, (pixels[4, 4], pixels[4, -4], pixels[-4, 4], pixels[-4, -4]), strict=True):
        assert np.abs(corner - colour).max() < 20


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path, suffix: str) -> None:
    grey = np.array([[0, 257 * 100, 65_535]], np.uint16)
    with open_slide(save(tmp_path / f"a{suffix}", Image.fromarray(grey))) as reader:
        assert reader.read(Region(0, 0, 3, 1), Size(3, 1))[0, :, 0].tolist() == [0, 100, 255]


def test_sixteen_bit_colour_keeps_its_range(tmp_path: Path) -> None:
    colour = np.zeros((16, 16, 3), np.uint16)
    colour[...] = np.array(RED, np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb")
    with open_slide(tmp_path / "a.tif") as reader:
        assert reader.read(Region(0, 0, 16, 16), Size(1, 1))[0, 0].tolist() == list(RED)


def test_floating_point_image_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.float32))
    with pytest.raises(UnreadableSlideError, match="floating-point"):
        open_slide(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    """A stored image and its orientation tag (EXIF 2.32, tag 274) give the upright picture."""
    upright = corner_image(64, 32, mark=16)
    undo = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    path = save(tmp_path / f"a{suffix}", stored, exif=exif, quality=95)
    with ImageReader(path) as reader:
        assert reader.info.size == Size(64, 32)
        pixels = reader.read(Region(0, 0, 64, 32), Size(64, 32)).astype(int)
    assert np.abs(pixels[[4, 4, -4, -4], [4, -4, 4, -4]] - CORNERS).max() < 15


@pytest.mark.parametrize(
    ("suffix", "options", "mpp"),
    [
        (".tif", {"resolution": 20_000, "resolution_unit": "cm"}, Mpp(0.5, 0.5, MppSource.TIFF_RESOLUTION)),
        (".tif", {"dpi": (72, 72)}, None),
        (".tif", {}, None),
        (".png", {"dpi": (50_800, 50_800)}, None),
        (".jpg", {"dpi": (96, 96)}, None),
    ],
)
def test_scale_of_plain_images(tmp_path: Path, suffix: str, options: dict[str, object], mpp: Mpp | None) -> None:
    path = save(tmp_path / f"a{suffix}", Image.fromarray(corner_image(40, 30, mark=5)), **options)
    with open_slide(path) as reader:
        assert reader.info.mpp == mpp
        assert len(reader.info.levels) == 1
        assert reader.info.vendor == {".tif": "tiff", ".png": "png", ".jpg": "jpeg"}[suffix]
    with open_slide(path, mpp=0.3) as reader:
        assert reader.info.mpp == Mpp(0.3, 0.3, MppSource.USER)


def test_too_large_plain_image_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "large.png", Image.new("1", (10_000, 9_000)))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail(f"{self} was decoded"))
    with pytest.raises(UnreadableSlideError, match="has 90 million pixels, and a plain image may have at most 80"):
        open_slide(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000_000)  # Pillow's own limit speaks first
    with pytest.raises(UnreadableSlideError, match="more than 80 million"):
        open_slide(path)


def test_largest_plain_image_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (30, 20)))
    monkeypatch.setattr(image_reader_module, "MAX_IMAGE_PX", 600)
    assert open_slide(path).info.size == Size(30, 20)
    monkeypatch.setattr(image_reader_module, "MAX_IMAGE_PX", 599)
    with pytest.raises(UnreadableSlideError, match="tiled pyramidal TIFF"):
        open_slide(path)


# ---------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize("name", ["broken.svs", "small_dicom.dcm", "small_vectra.qptiff"])
def test_refused_real_files(real_data: Path, name: str) -> None:
    with pytest.raises(UnreadableSlideError, match=name):
        open_slide(real_data / "slides" / "unreadable" / name)


def test_refusals_are_sentences(tmp_path: Path, region_svs: Path) -> None:
    (tmp_path / "empty.svs").touch()
    (tmp_path / "text.svs").write_text("no slide")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "a.dcm").write_bytes(b"no dicom")
    (tmp_path / "cut.svs").write_bytes(region_svs.read_bytes()[:500_000])
    whole = save(tmp_path / "whole.png", Image.fromarray(corner_image(300, 300, mark=40))).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    expected = {
        "missing.svs": "does not exist", "empty.svs": "empty", "text.svs": "not in a slide format",
        "text.png": "not an image", "folder": "without a DICOM slide", "dicom": "none of them is a slide",
        "cut.svs": "cut.svs", "cut.png": "damaged or cut short",
    }  # fmt: skip
    for name, words in expected.items():
        with pytest.raises(UnreadableSlideError, match=words) as caught:
            open_slide(tmp_path / name)
        assert str(caught.value).endswith(".")
        assert "Traceback" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (4, 4)))
    path.chmod(0)
    with pytest.raises(UnreadableSlideError, match="rights"):
        open_slide(path)


def test_slide_that_breaks_while_being_read(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", corner_image(256, 256, mark=64))
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        offset, length = page.dataoffsets[5], page.databytecounts[5]
    data = bytearray(path.read_bytes())
    data[offset : offset + length] = bytes(length)
    path.write_bytes(data)
    with open_slide(path) as reader:
        assert reader.read(Region(0, 0, 64, 64), Size(64, 64)).shape == (64, 64, 3)
        with pytest.raises(UnreadableSlideError, match="broke while being read"):
            reader.read(Region(0, 0, 256, 256), Size(256, 256))


# ---------------------------------------------------------------- finding and naming


def test_find_slides(tmp_path: Path) -> None:
    for name in (
        "b.svs",
        "a/x.TIFF",
        "a/notes.txt",
        ".hidden.svs",
        ".git/c.svs",
        "vms/s.vms",
        "vms/s-part.jpg",
        "z.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_slides(tmp_path)]
    assert found == ["a/x.TIFF", "b.svs", "vms/s.vms", "z.jpg"]
    assert find_slides(tmp_path / "b.svs") == [tmp_path / "b.svs"]
    assert find_slides(tmp_path / "a") == [tmp_path / "a" / "x.TIFF"]
    with pytest.raises(InputError, match="does not exist"):
        find_slides(tmp_path / "none")


def dicom_head(series: bytes) -> bytes:
    return bytes(128) + b"DICM" + b"\x20\x00\x0e\x00UI" + len(series).to_bytes(2, "little") + series


def test_dicom_series_is_one_slide(tmp_path: Path) -> None:
    one, two, mixed = tmp_path / "one", tmp_path / "two", tmp_path / "mixed"
    for folder, series in ((one, b"1.2.3"), (two, b"1.2.3"), (mixed, b"1.2.3")):
        folder.mkdir()
        for number in range(3):
            (folder / f"{number}.dcm").write_bytes(dicom_head(series))
    (two / "3.dcm").write_bytes(dicom_head(b"1.2.4"))
    (mixed / "other.svs").touch()
    assert find_slides(one) == [one]
    assert find_slides(two) == [two / "0.dcm", two / "3.dcm"]
    assert find_slides(mixed) == [mixed / "0.dcm", mixed / "other.svs"]
    assert find_slides(tmp_path) == [mixed / "0.dcm", mixed / "other.svs", one, two / "0.dcm", two / "3.dcm"]


def test_find_the_real_slides(real_data: Path) -> None:
    found = {path.name for path in find_slides(real_data / "slides")}
    assert found == {
        "CMU-1-Small-Region.svs", "CMU-1-Small-Region-dicom", "broken.svs", "small_dicom.dcm", "small_vectra.qptiff"
    }  # fmt: skip


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a.svs") == hashlib.sha256(b"abc").hexdigest()
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "1.dcm").write_bytes(b"one")
    (folder / "2.dcm").write_bytes(b"two")
    before = sha256_of(folder)
    (folder / "1.dcm").rename(folder / "9.dcm")
    assert sha256_of(folder) == before
    (folder / "2.dcm").write_bytes(b"changed")
    assert sha256_of(folder) != before
    with pytest.raises(UnreadableSlideError, match="cannot be read"):
        sha256_of(tmp_path / "none.svs")
