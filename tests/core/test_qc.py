"""Quality control: literal tiles, areas in mm2, blur that lowers focus, and real slides that must pass."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pyramid
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from core.domain import Mpp, MppSource, Region, Size
from core.qc import (
    QC_COLUMNS,
    QC_VERSION,
    Artefact,
    Origin,
    QcReport,
    artefact_of,
    focus_probe,
    qc_report,
    tile_focus,
    tile_qc,
    unusable,
)
from core.qc.pen import ink_over_tissue
from core.settings import TissueSettings
from core.slides import open_slide
from core.tiles import TileGrid, TileSpec, tile_grid
from core.tissue import TissueMask, find_tissue

IDC_TILES = TileSpec(200.0, 4.0)
FINE_TILES = TileSpec(112.0, 0.5)
MPP = Mpp(0.5, 0.5, MppSource.USER)
GOOD = {"focus": 0.9, "brightness": 0.6, "contrast": 0.1, "pen_fraction": 0.0, "tissue_fraction": 0.9}


def row(**changed: float) -> list[float]:
    return [{**GOOD, **changed}[name] for name in QC_COLUMNS]


def table(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("changed", "artefact", "is_unusable"),
    [
        ({}, Artefact.NONE, False),
        ({"focus": 0.2}, Artefact.OUT_OF_FOCUS, True),
        ({"focus": float("nan")}, Artefact.NONE, False),
        ({"pen_fraction": 0.4}, Artefact.PEN, True),
        ({"pen_fraction": 0.4, "focus": 0.1}, Artefact.PEN, True),
        ({"tissue_fraction": 0.01, "brightness": float("nan"), "contrast": float("nan")}, Artefact.TISSUE_LOSS, True),
        ({"brightness": 0.05}, Artefact.TOO_DARK, True),
        ({"brightness": 0.93}, Artefact.TOO_BRIGHT, False),
        ({"contrast": 0.004}, Artefact.LOW_CONTRAST, True),
    ],
)
def test_class_of_literal_rows(changed: dict[str, float], artefact: Artefact, is_unusable: bool) -> None:
    qc = table(row(**changed))
    assert artefact_of(qc).tolist() == [artefact]
    assert artefact_of(qc).dtype == np.int8
    assert unusable(qc).tolist() == [is_unusable]


def four_tiles(mask: NDArray[np.bool_], ink: NDArray[np.bool_] | None = None) -> tuple[TileGrid, TissueMask]:
    """Four tiles of 1 mm side by side; mask pixels of 100 um."""
    grid = TileGrid(
        xy_level0=np.array([[0, 0], [2000, 0], [4000, 0], [6000, 0]], np.int32),
        size_level0=Size(2000, 2000),
        spec=TileSpec(1000.0, 4.0),
        size_px=250,
        total=4,
        dropped={},
    )
    return grid, TissueMask(mask, downsample=(200.0, 200.0), area_mm2=float(mask.sum()) * 0.01, ink=ink)


def test_areas_are_of_tissue_not_of_tiles() -> None:
    mask = np.ones((10, 40), np.bool_)
    mask[:, 10:15] = False  # half of the second tile is glass
    grid, tissue = four_tiles(mask)
    qc = table(row(), row(focus=0.1), row(brightness=0.95), row(contrast=0.001))
    report = qc_report(qc, grid, tissue, MPP)
    areas = {part.name: part.area_mm2 for part in report.parts}
    assert report.tissue_mm2 == pytest.approx(3.5)
    assert areas["out_of_focus"] == pytest.approx(0.5)
    assert areas["too_bright"] == pytest.approx(1.0)
    assert areas["low_contrast"] == pytest.approx(1.0)
    assert areas["pen"] == areas["tissue_loss"] == areas["too_dark"] == 0
    assert report.usable_mm2 == pytest.approx(2.0)
    assert report.usable_fraction == pytest.approx(2 / 3.5)
    assert report.score == pytest.approx(1 - 1.5 / 3.5 - 0.5 * 1.0 / 3.5)
    assert sum(part.fraction_of_tissue for part in report.parts) + report.usable_fraction == pytest.approx(1 + 1 / 3.5)


def test_tissue_under_pen_counts_and_pen_beside_tissue_does_not() -> None:
    mask = np.zeros((10, 40), np.bool_)
    mask[:, :20] = True
    over = np.zeros_like(mask)
    over[:, 8:10] = True
    beside = np.zeros_like(mask)
    beside[:, 30:33] = True
    grid, tissue = four_tiles(mask & ~over, over | beside)
    assert (ink_over_tissue(tissue, um_per_px=100.0) == over).all()
    report = qc_report(table(*[row()] * 4), grid, tissue, MPP)
    assert report.tissue_mm2 == pytest.approx(2.0)
    assert {part.name: part.area_mm2 for part in report.parts}["pen"] == pytest.approx(0.2)
    assert report.usable_fraction == pytest.approx(0.9)


def test_report_survives_json_and_names_the_origin() -> None:
    grid, tissue = four_tiles(np.ones((10, 40), np.bool_))
    report = qc_report(table(row(focus=float("nan")), row(focus=0.1), row(), row()), grid, tissue, MPP)
    assert report.version == QC_VERSION == "qc-1"
    assert "1 of 4 tiles" in report.warnings[0]
    stored = json.loads(json.dumps({**report.to_dict(), "added_by_another": 1}))
    assert QcReport.from_dict(stored) == report
    origins = {part.name: (part.origin, part.reason) for part in report.parts}
    assert origins["out_of_focus"] == (Origin.ACQUISITION, "out_of_focus")
    assert origins["pen"] == (Origin.PREPARATION, "pen")


def test_no_tissue_has_no_score_and_says_so() -> None:
    grid, tissue = four_tiles(np.zeros((10, 40), np.bool_))
    empty = TileGrid(grid.xy_level0[:0], grid.size_level0, grid.spec, grid.size_px, total=4, dropped={"background": 4})
    report = qc_report(np.empty((0, len(QC_COLUMNS)), np.float32), empty, tissue, MPP)
    assert (report.score, report.tissue_mm2, report.usable_mm2, report.usable_fraction) == (0, 0, 0, 0)
    assert any("No tissue" in warning for warning in report.warnings)


def test_tile_measures_of_literal_tiles() -> None:
    glass = np.full((50, 50, 3), 243, np.uint8)
    half = glass.copy()
    half[:, :25] = (200, 120, 170)
    green = half.copy()
    green[:20] = (20, 120, 90)
    qc = tile_qc(np.stack([glass, half, green]), um_per_px=4.0)
    assert qc.shape == (3, len(QC_COLUMNS))
    assert qc.dtype == np.float32
    value = {name: qc[:, i] for i, name in enumerate(QC_COLUMNS)}
    assert value["tissue_fraction"] == pytest.approx([0.0, 0.5, 0.3])
    assert value["pen_fraction"] == pytest.approx([0.0, 0.0, 0.4])
    assert np.isnan(value["brightness"][0])
    assert value["brightness"][1] == pytest.approx((201 * 121 * 171 / 244**3) ** (1 / 3), rel=1e-3)
    assert value["contrast"][1] == pytest.approx(0.0, abs=1e-4)
    assert np.isnan(value["focus"]).all()


def test_measures_do_not_depend_on_the_tiles_scale(real_data: Path) -> None:
    with open_slide(real_data / "slides/CMU-1-Small-Region.svs") as slide:
        region = Region(700, 1600, 401, 401)  # 200 um
        coarse = tile_qc(slide.read(region, Size(50, 50))[None], um_per_px=4.0)
        fine = tile_qc(slide.read(region, Size(400, 400))[None], um_per_px=0.5)
    assert fine[0, 1:] == pytest.approx(coarse[0, 1:], abs=0.03)


@pytest.mark.parametrize("ink", [(214, 30, 48), (20, 140, 90), (30, 70, 190), (25, 25, 28)])
def test_ink_on_real_tissue_is_pen(ink: tuple[int, int, int], real_data: Path) -> None:
    with open_slide(real_data / "slides/CMU-1-Small-Region.svs") as slide:
        tile = slide.read(Region(700, 1600, 401, 401), Size(50, 50))
    assert artefact_of(tile_qc(tile[None], um_per_px=4.0)).tolist() == [Artefact.NONE]
    painted = (tile.astype(np.float64) * np.asarray(ink) / 243).astype(np.uint8)
    assert artefact_of(tile_qc(painted[None], um_per_px=4.0)).tolist() == [Artefact.PEN]


def test_real_patches_are_hardly_condemned(real_data: Path) -> None:
    patches = [np.asarray(Image.open(p).convert("RGB")) for p in sorted((real_data / "idc").glob("*/1/*.png"))[::4]]
    tumour = np.stack([patch for patch in patches if patch.shape == (50, 50, 3)])
    assert unusable(tile_qc(tumour, um_per_px=4.0)).mean() < 0.01
    paths = sorted((real_data / "lung").glob("*/*/*"))[::60]
    lung = np.stack([np.asarray(Image.open(p).convert("RGB")) for p in paths])
    assert unusable(tile_qc(lung, um_per_px=0.5)).mean() == 0
    assert np.mean([tile_focus(tile, um_per_px=0.5) < 0.5 for tile in lung]) < 0.02


def test_brown_immunostain_is_no_pen() -> None:
    rng = np.random.default_rng(0)
    amount = rng.uniform(0.05, 1.3, (8, 50, 50, 1)) * np.array([0.27, 0.57, 0.78])
    counterstain = rng.uniform(0.0, 0.4, (8, 50, 50, 1)) * np.array([0.65, 0.70, 0.29])
    tiles = (243 * 10 ** -(amount + counterstain)).astype(np.uint8)
    assert tile_qc(tiles, um_per_px=4.0)[:, QC_COLUMNS.index("pen_fraction")].max() < 0.02


@pytest.fixture(scope="module")
def real_region(real_data: Path) -> NDArray[np.uint8]:
    with open_slide(real_data / "slides/CMU-1-Small-Region.svs") as slide:
        return slide.read(Region(0, 0, 2220, 2967), Size(2220, 2967))


def blurred(image: NDArray[np.uint8], sigma_um: float) -> NDArray[np.uint8]:
    return ndimage.gaussian_filter(image, (sigma_um / 0.499, sigma_um / 0.499, 0))


def measured(path: Path, spec: TileSpec) -> tuple[NDArray[np.float32], QcReport]:
    """Both steps of quality control, as the analysis calls them."""
    with open_slide(path) as slide:
        mpp = slide.info.mpp
        assert mpp is not None
        mask = find_tissue(slide, TissueSettings())
        grid = tile_grid(slide.info.size, mpp, spec, mask)
        tiles = np.stack([slide.read(grid.region(i), Size(grid.size_px, grid.size_px)) for i in range(len(grid))])
        qc = tile_qc(tiles, um_per_px=spec.mpp, glass=mask.glass)
        qc[:, QC_COLUMNS.index("focus")] = focus_probe(slide, grid, mask)
    return qc, qc_report(qc, grid, mask, mpp)


@pytest.mark.parametrize("spec", [IDC_TILES, FINE_TILES])
def test_clean_real_slide_is_usable(spec: TileSpec, real_data: Path) -> None:
    qc, report = measured(real_data / "slides/CMU-1-Small-Region.svs", spec)
    assert report.usable_fraction >= 0.95
    assert report.score >= 0.95
    assert np.median(qc[:, 0]) > 0.9


def test_blurred_copies_lose_focus_step_by_step(real_region: NDArray[np.uint8], tmp_path: Path) -> None:
    focus: dict[float, NDArray[np.float32]] = {}
    usable: dict[float, float] = {}
    for sigma_um in (0.0, 1.0, 2.0, 8.0):
        image = blurred(real_region, sigma_um) if sigma_um else real_region
        qc, report = measured(write_pyramid(tmp_path / f"{sigma_um}.tif", image, mpp=0.499, levels=1), IDC_TILES)
        focus[sigma_um], usable[sigma_um] = qc[:, 0], report.usable_fraction
    medians = [float(np.median(values)) for values in focus.values()]
    assert medians == sorted(medians, reverse=True)
    for sigma_um in (1.0, 2.0, 8.0):
        values = np.concatenate([focus[0.0], focus[sigma_um]])
        truth = np.repeat([1, 0], [len(focus[0.0]), len(focus[sigma_um])])
        assert roc_auc_score(truth, values) > 0.98
    assert usable[0.0] > 0.95
    assert usable[2.0] < 0.05
    assert usable[8.0] == 0


def test_half_a_blurred_slide_is_half_usable(real_region: NDArray[np.uint8], tmp_path: Path) -> None:
    image = real_region.copy()
    image[1500:] = blurred(real_region, 4.0)[1500:]
    path = write_pyramid(tmp_path / "half.tif", image, mpp=0.499, levels=1)
    qc, report = measured(path, FINE_TILES)
    with open_slide(path) as slide:
        mask = find_tissue(slide, TissueSettings())
    below = float(mask.mask[round(1500 / mask.downsample[1]) :].mean() * (2967 - 1500) / 2967 / mask.mask.mean())
    lost = {part.name: part.fraction_of_tissue for part in report.parts}["out_of_focus"]
    assert lost == pytest.approx(below, abs=0.1)
    assert 0 < (artefact_of(qc) == Artefact.OUT_OF_FOCUS).mean() < 1


def test_focus_is_told_of_tissue_not_of_glass(real_region: NDArray[np.uint8]) -> None:
    glass = np.full((128, 128, 3), 243, np.uint8)
    assert np.isnan(tile_focus(glass, um_per_px=0.5))
    window = real_region[1700:1828, 800:928]
    half = window.copy()
    half[:, 64:] = 243
    soft = blurred(half, 4.0)
    assert tile_focus(half, um_per_px=0.499) > 0.9
    assert tile_focus(soft, um_per_px=0.499) < 0.5


def test_few_probes_reach_every_tile_by_the_nearest(synthetic_slide: Path) -> None:
    with open_slide(synthetic_slide) as slide:
        mpp = slide.info.mpp
        assert mpp is not None
        mask = find_tissue(slide, TissueSettings())
        grid = tile_grid(slide.info.size, mpp, TileSpec(50.0, 0.5), mask)
        some = focus_probe(slide, grid, mask, max_probes=9, seed=3)
        again = focus_probe(slide, grid, mask, max_probes=9, seed=3)
    assert len(grid) > 50
    assert np.isfinite(some).all()
    assert (some == again).all()
    assert len(np.unique(some)) <= 9
