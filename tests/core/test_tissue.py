"""Tissue, ink and glass: literal masks, painted slides, and real pictures with their measured shares."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.domain import Mpp, MppSource, Region, Size
from core.errors import MissingMppError
from core.ink import find_ink
from core.optics import glass_colour, optical_density
from core.settings import TissueSettings
from core.slides import SlideInfo, open_slide
from core.slides.protocol import Level
from core.tissue import TissueMask, close_gaps, find_tissue, remove_specks_and_holes, segment_tissue

SETTINGS = TissueSettings()
UM_PER_PX = 16.0
HAEMATOXYLIN, EOSIN, DAB = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)
PENS = {"red": (214, 30, 48), "green": (20, 140, 90), "blue": (30, 70, 190), "black": (25, 25, 28)}


def rgb_of(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def mask_of(path: Path) -> NDArray[np.bool_]:
    return np.asarray(Image.open(path).convert("L")) > 0


def stained(
    vector: tuple[float, float, float],
    amount: float,
    *,
    glass: tuple[int, int, int] = (243, 243, 243),
    size: int = 120,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """A square of tissue in one stain over the middle half of a slide, by Beer-Lambert, with its texture and noise."""
    rng = np.random.default_rng(seed)
    density = np.zeros((size, size))
    density[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = amount
    density *= rng.uniform(0.6, 1.4, density.shape)
    light = np.asarray(glass) * 10 ** (-density[..., None] * np.asarray(vector))
    return (light + rng.normal(0, 1.0, light.shape)).clip(0, 255).astype(np.uint8)


def middle(size: int = 120) -> NDArray[np.bool_]:
    inside = np.zeros((size, size), np.bool_)
    inside[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = True
    return inside


def overlap(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice coefficient."""
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


class PictureReader:
    """A slide that is one picture in memory, scaled by nearest neighbour; notes what it was asked for."""

    def __init__(self, picture: NDArray[np.uint8], *, mpp: float | None) -> None:
        self.picture = picture
        self.asked: list[tuple[Region, Size]] = []
        size = Size(picture.shape[1], picture.shape[0])
        scale = None if mpp is None else Mpp(mpp, mpp, MppSource.USER)
        self.info = SlideInfo(Path("picture.png"), size, (Level(size, 1.0),), "picture", scale, None)

    def read(self, region: Region, out: Size) -> NDArray[np.uint8]:
        self.asked.append((region, out))
        rows = region.y + (np.arange(out.height) * region.height) // out.height
        columns = region.x + (np.arange(out.width) * region.width) // out.width
        return self.picture[np.ix_(rows, columns)]

    def thumbnail(self, max_px: int) -> NDArray[np.uint8]:
        return self.picture[:max_px, :max_px]

    def close(self) -> None:
        pass

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


LITERAL = np.array(
    [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1],
    ],
    np.bool_,
)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 60, 60), 8 / 36),
        ((0, 0, 20, 20), 1.0),
        ((10, 10, 20, 20), 0.25),
        ((15, 0, 10, 10), 0.5),
        ((20, 20, 20, 20), 0.0),
        ((50, 50, 20, 20), 0.25),  # a quarter of the tile lies on the slide, all of that is tissue
        ((-20, -20, 20, 20), 0.0),
    ],
)
def test_fraction_of_literal_boxes(box: tuple[int, int, int, int], expected: float) -> None:
    mask = TissueMask(LITERAL, downsample=(10.0, 10.0), area_mm2=0.0)
    x, y, width, height = (np.array([value]) for value in box)
    assert mask.fraction(x, y, width, height) == pytest.approx([expected])


def test_fraction_keeps_x_and_y_apart() -> None:
    left_column = np.zeros((2, 4), np.bool_)
    left_column[:, 0] = True
    mask = TissueMask(left_column, downsample=(5.0, 50.0), area_mm2=0.0)
    x, y, side = np.array([0, 5, 0]), np.array([0, 0, 50]), np.array(5)
    assert mask.fraction(x, y, side, side) == pytest.approx([1.0, 0.0, 1.0])


def test_specks_and_holes_go_by_area() -> None:
    settings = TissueSettings(min_speck_um2=300.0, max_hole_um2=150.0)
    mask = np.zeros((40, 40), np.bool_)
    mask[5:25, 5:25] = True
    mask[8, 8] = False  # 1 px of 100 um2: a hole to close
    mask[35, 35:37] = True  # 200 um2: dust
    mask[30:32, 30:32] = True  # 400 um2: tissue
    cleaned = remove_specks_and_holes(mask, um_per_px=10.0, settings=settings)
    assert cleaned[8, 8]
    assert not cleaned[35, 35:37].any()
    assert cleaned[30:32, 30:32].all()
    assert cleaned[mask & (np.arange(40) < 30)].all()


def test_a_large_hole_stays_open() -> None:
    mask = np.ones((60, 60), np.bool_)
    mask[20:40, 20:40] = False  # 320 um across, 102,400 um2
    mask[5:8, 5:8] = False  # 48 um across
    cleaned = remove_specks_and_holes(mask, um_per_px=16.0, settings=SETTINGS)
    assert cleaned[5:8, 5:8].all()
    assert not cleaned[24:36, 24:36].any()


def test_closing_joins_fat_cells_and_leaves_the_outline() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[10:30, 10:24] = mask[10:30, 28:50] = True
    closed = close_gaps(mask, radius_px=3.0)
    assert closed[15:25, 24:28].all()
    outside = np.ones_like(mask)
    outside[10:30, 10:50] = False
    assert not (closed & outside).any()


def test_area_is_that_of_a_square_millimetre() -> None:
    picture = np.full((400, 400, 3), 243, np.uint8)
    rng = np.random.default_rng(1)
    picture[100:225, 100:225] = np.array([200, 130, 180]) + rng.integers(-20, 20, (125, 125, 3))
    mask = find_tissue(PictureReader(picture, mpp=8.0), SETTINGS)  # 125 px of 8 um: 1 mm
    assert mask.mask.shape == (200, 200)
    assert mask.downsample == (2.0, 2.0)
    assert mask.area_mm2 == pytest.approx(1.0, abs=0.1)
    assert mask.area_mm2 == pytest.approx(mask.mask.sum() * 256e-6)


def test_overview_is_read_in_strips_that_cover_the_slide_once() -> None:
    reader = PictureReader(stained(EOSIN, 0.5, size=701), mpp=16.0)
    mask = find_tissue(reader, SETTINGS)
    regions = [region for region, _ in reader.asked]
    assert len(regions) > 5
    assert regions[0].y == 0
    assert regions[-1].bottom == 701
    assert all(above.bottom == below.y for above, below in pairwise(regions))
    assert overlap(mask.mask, middle(701)) > 0.97


def test_no_scale_is_refused_with_the_way_out() -> None:
    with pytest.raises(MissingMppError, match="--mpp"):
        find_tissue(PictureReader(stained(EOSIN, 0.5), mpp=None), SETTINGS)


@pytest.mark.parametrize(
    ("vector", "amount"),
    [(HAEMATOXYLIN, 0.4), (HAEMATOXYLIN, 0.1), (EOSIN, 0.3), (EOSIN, 0.08), (DAB, 0.5), (DAB, 1.2), (DAB, 0.12)],
)
@pytest.mark.parametrize("glass", [(243, 243, 243), (228, 228, 226), (240, 215, 228), (255, 255, 255)])
def test_tissue_of_any_stain_on_any_glass(
    vector: tuple[float, float, float], amount: float, glass: tuple[int, int, int]
) -> None:
    picture = stained(vector, amount, glass=glass)
    assert overlap(segment_tissue(picture, um_per_px=UM_PER_PX, settings=SETTINGS), middle()) > 0.95
    density = optical_density(picture, glass=glass_colour(picture))
    assert not find_ink(density, um_per_px=UM_PER_PX).any()


@pytest.mark.parametrize("level", [(243, 243, 243), (255, 255, 255), (0, 0, 0), (128, 128, 128), (240, 215, 228)])
def test_blank_slide_has_no_tissue(level: tuple[int, int, int]) -> None:
    picture = np.broadcast_to(np.array(level, np.uint8), (90, 120, 3))
    assert not segment_tissue(picture, um_per_px=UM_PER_PX, settings=SETTINGS).any()


@pytest.mark.parametrize("sigma", [1.0, 4.0, 12.0])
def test_noise_alone_is_no_tissue(sigma: float) -> None:
    rng = np.random.default_rng(3)
    picture = rng.normal(236, sigma, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    assert not segment_tissue(picture, um_per_px=UM_PER_PX, settings=SETTINGS).any()


def test_uniform_noise_of_full_range_is_no_tissue() -> None:
    picture = np.random.default_rng(4).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert segment_tissue(picture, um_per_px=UM_PER_PX, settings=SETTINGS).mean() < 0.01


@pytest.mark.parametrize("padding", [0, 255, 90])
def test_padding_beside_tissue_is_left_out(padding: int) -> None:
    picture = stained(EOSIN, 0.4, glass=(240, 236, 238))
    picture[:, :20] = padding
    picture[-15:] = padding
    found = segment_tissue(picture, um_per_px=UM_PER_PX, settings=SETTINGS)
    assert not found[:, :20].any()
    assert not found[-15:].any()
    assert overlap(found, middle()) > 0.93


def test_image_without_glass_is_all_tissue() -> None:
    rng = np.random.default_rng(5)
    picture = (np.array([205, 140, 185]) + rng.normal(0, 15, (60, 60, 1))).clip(0, 255).astype(np.uint8)
    assert segment_tissue(picture, um_per_px=UM_PER_PX, settings=SETTINGS).mean() > 0.98


def painted(picture: NDArray[np.uint8], box: tuple[slice, slice], ink: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Lay transparent ink over a picture: its colour multiplies what lies beneath."""
    out = picture.copy()
    out[box] = (out[box].astype(np.float64) * np.asarray(ink) / 243).clip(0, 255).astype(np.uint8)
    return out


@pytest.mark.parametrize("hue", PENS)
def test_pen_on_glass_is_no_tissue(hue: str) -> None:
    stroke = (slice(5, 22), slice(10, 110))
    picture = painted(stained(EOSIN, 0.3), stroke, PENS[hue])
    found = segment_tissue(picture, um_per_px=UM_PER_PX, settings=SETTINGS)
    assert not found[stroke].any()
    assert overlap(found, middle()) > 0.95


@pytest.mark.parametrize("hue", PENS)
def test_pen_on_real_tissue_is_found_and_left_out(hue: str, real_data: Path) -> None:
    with open_slide(real_data / "slides/CMU-1-Small-Region.svs") as slide:
        clean = slide.read(Region(0, 0, 2220, 2967), Size(278, 371))  # 4 um/px
    tissue = segment_tissue(clean, um_per_px=4.0, settings=SETTINGS)
    stroke = (slice(225, 275), slice(90, 260))
    picture = painted(clean, stroke, PENS[hue])
    found = segment_tissue(picture, um_per_px=4.0, settings=SETTINGS)
    assert found[stroke].sum() < 0.12 * tissue[stroke].sum()
    beyond = tissue.copy()
    beyond[210:290, 75:275] = False
    assert (found & beyond).sum() > 0.97 * beyond.sum()


@pytest.mark.parametrize(
    ("name", "um_per_px", "leak", "kept"),
    [
        # a slide is about 20 mm wide; what is measured today: leak 0, .08, .12 and kept .99, .997, .996
        ("pen/pen_green", 68.0, 0.02, 0.97),
        ("pen/pen_red", 40.5, 0.12, 0.98),
        ("coverslip_edge/he", 20.0, 0.13, 0.98),
    ],
)
def test_real_pen_and_coverslip_edge(name: str, um_per_px: float, leak: float, kept: float, real_data: Path) -> None:
    picture = rgb_of(real_data / f"artefacts/{name}.png")
    artefact = mask_of(real_data / f"artefacts/{name}_mask.png")
    found = segment_tissue(picture, um_per_px=um_per_px, settings=SETTINGS)
    assert (found & artefact).sum() <= leak * artefact.sum()
    saturated = (picture.max(-1).astype(int) - picture.min(-1)) > 0.12 * picture.max(-1)
    near = ndimage.binary_dilation(artefact, np.ones((3, 3)), iterations=3)
    tissue = saturated & ~near
    assert (found & tissue).sum() >= kept * tissue.sum()
    # and most of the slide's glass stays glass
    assert found.mean() < 0.55


@pytest.mark.parametrize(
    ("name", "um_per_px", "low", "high"),
    [
        # nuclei of about 7 um set the scale: 1 and 0.25 um/px; 26 and 39 um/px if they were 20 mm wide
        ("tcga-green-pen", 1.0, 0.76, 0.84),
        ("tcga-green-pen", 26.5, 0.72, 0.84),
        ("tcga-lung-clean", 0.25, 0.80, 1.0),
        ("tcga-lung-clean", 39.0, 0.75, 0.90),
    ],
)
def test_real_thumbnails(name: str, um_per_px: float, low: float, high: float, real_data: Path) -> None:
    picture = rgb_of(real_data / f"artefacts/thumbnails/{name}.png")
    found = segment_tissue(picture, um_per_px=um_per_px, settings=SETTINGS)
    assert low <= found.mean() <= high
    if "green" in name:
        red, green = picture[..., 0].astype(int), picture[..., 1].astype(int)
        assert found[(green > red + 25) & (picture.min(-1) < 120)].mean() < 0.06


def test_real_slide_and_its_wrongly_coloured_copy_agree(real_data: Path) -> None:
    with open_slide(real_data / "slides/CMU-1-Small-Region.svs") as slide:
        true = find_tissue(slide, SETTINGS)
    with open_slide(real_data / "slides/CMU-1-Small-Region-dicom") as slide:
        copy = find_tissue(slide, SETTINGS)
    assert 0.62 < true.area_mm2 < 0.76  # of 1.64 mm2
    assert copy.area_mm2 == pytest.approx(true.area_mm2, rel=0.06)
    assert overlap(true.mask, copy.mask) > 0.95
    assert true.ink is not None
    assert not true.ink.any()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_stain_templates_are_all_tissue(number: int, real_data: Path) -> None:
    picture = rgb_of(real_data / f"stain_templates/template{number}.png")
    assert segment_tissue(picture, um_per_px=0.5, settings=SETTINGS).mean() > 0.97


def test_real_patches_are_tissue(real_data: Path) -> None:
    lung = sorted((real_data / "lung").glob("*/*/*"))[::120]
    assert np.mean([segment_tissue(rgb_of(p), um_per_px=0.7, settings=SETTINGS).mean() for p in lung]) > 0.97
    idc = sorted((real_data / "idc").glob("*/1/*.png"))[::24]  # invasive carcinoma is never glass
    shares = [segment_tissue(rgb_of(p), um_per_px=4.0, settings=SETTINGS).mean() for p in idc]
    assert np.mean(shares) > 0.93
    assert np.mean(np.array(shares) < 0.25) < 0.03
