"""Training patches from annotated slides: scale, labels, strides, groups, and everything that is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pyramid

from core.domain import Region, Size
from core.errors import InputError, MissingMppError, UnreadableSlideError
from core.interop.raster import mask_shape, paint, polygons_of
from core.services.training.patch_cutting import cut_slides, patches_of
from core.settings import Settings
from core.slides import open_slide
from models.data.cutting import NO_CLASS, Cutting, draw, label_tiles
from models.training.config import CardTexts, TrainingConfig, read_config
from models.training.run import train

CLASSES = ("benign", "tumour")
TEXTS = CardTexts("t", "t", "t", "benign", "breast", ("he",), "t", "t", "t", ("t",))
SQUARE = [[256, 256], [512, 256], [512, 512], [256, 512], [256, 256]]
"""Sixteen tiles of 64 level-0 px."""
PINK, VIOLET = (210, 140, 185), (110, 60, 150)


def slide(path: Path, *, mpp: float | None = 4.0) -> Path:
    """Glass with pink tissue from (128, 128) to (896, 640), violet in the square."""
    random = np.random.default_rng(0)
    image = np.full((768, 1024, 3), 243, np.uint8)
    image[128:640, 128:896] = (np.array(PINK) + random.normal(0, 6, (512, 768, 3))).clip(0, 255)
    image[256:512, 256:512] = (np.array(VIOLET) + random.normal(0, 6, (256, 256, 3))).clip(0, 255)
    return write_pyramid(path, image, mpp=mpp, levels=2)


def annotate(folder: Path, name: str, *areas: tuple[str, list[list[list[float]]]]) -> None:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": {"objectType": "annotation", "name": "Region 7", "classification": {"name": label}},
        }
        for label, rings in areas
    ]
    content = {"type": "FeatureCollection", "features": features}
    (folder / f"{name}.geojson").write_text(json.dumps(content))


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    """One slide of 4 um/px, one annotated square, 32 px patches at 8 um/px."""
    slide(tmp_path / "s1.tif")
    annotate(tmp_path, "s1", ("Tumour", [SQUARE]))
    (tmp_path / "manifest.csv").write_text("path,case\ns1.tif,\n")
    return TrainingConfig(
        name="cut",
        data=tmp_path / "manifest.csv",
        split=tmp_path / "split.csv",
        output=tmp_path / "run",
        classes=CLASSES,
        mpp=8.0,
        tile_px=32,
        input_px=32,
        card=TEXTS,
        layout="slides",
        cutting=Cutting(annotations=tmp_path),
    )


def with_cutting(config: TrainingConfig, **changes: object) -> TrainingConfig:
    assert config.cutting is not None
    return dataclasses.replace(config, cutting=dataclasses.replace(config.cutting, **changes))


def test_an_annotated_square_gives_the_tiles_in_it_at_the_scale_of_the_model(
    config: TrainingConfig, settings: Settings
) -> None:
    found = cut_slides(settings, config)
    assert found.images.shape == (16, 32, 32, 3)
    assert found.labels.tolist() == [1] * 16
    np.testing.assert_allclose(found.images.mean(axis=(0, 1, 2)), VIOLET, atol=3)
    assert found.images[..., 0].max() < 150  # nothing of the pink around it
    assert set(found.groups) == {"s1"}
    assert found.warnings == ()


def test_a_smaller_stride_gives_a_rare_class_more_patches(config: TrainingConfig, settings: Settings) -> None:
    denser = with_cutting(config, stride={"tumour": 0.5}, elsewhere="benign")
    counts = np.bincount(cut_slides(settings, denser).labels)
    # Along each axis seven tiles lie inside and two are half outside; two halves are a quarter, which is too little.
    assert counts[1] == 7 * 7 + 4 * 7
    plain = np.bincount(cut_slides(settings, with_cutting(config, elsewhere="benign")).labels)
    assert plain[1] == 16
    assert counts[0] == plain[0]  # the frequent class keeps its stride


def test_elsewhere_is_tissue_that_no_annotation_touches(config: TrainingConfig, settings: Settings) -> None:
    found = cut_slides(settings, with_cutting(config, elsewhere="benign"))
    benign = found.images[found.labels == 0]
    assert len(benign) >= 8 * 12 - 16 - 4  # tissue of 12 x 8 tiles; its mask may lose a corner
    assert benign[..., 0].min() > 150  # no violet
    assert benign.mean(axis=(1, 2, 3)).max() < 225  # no bare glass


def test_a_hole_in_an_annotation_is_not_learnt(config: TrainingConfig, settings: Settings, tmp_path: Path) -> None:
    hole = [[320, 320], [320, 448], [448, 448], [448, 320], [320, 320]]
    annotate(tmp_path, "s1", ("tumour", [SQUARE, hole]))
    assert len(cut_slides(settings, config)) == 16 - 4


def test_classes_have_their_names_in_qupath(config: TrainingConfig, settings: Settings, tmp_path: Path) -> None:
    other = [[[x + 256, y] for x, y in SQUARE]]
    annotate(tmp_path, "s1", ("Ca. invasive", [SQUARE]), ("Stroma", other), ("Necrosis", [[[0, 0], [64, 0], [64, 64]]]))
    named = with_cutting(config, names={"tumour": ("ca. invasive", "DCIS"), "benign": ("stroma",)})
    found = cut_slides(settings, named)
    assert np.bincount(found.labels).tolist() == [16, 16]
    assert found.warnings == ("s1: annotations Necrosis mean no class; their area is not learnt from.",)


def test_what_means_no_class_is_not_taken_for_elsewhere(
    config: TrainingConfig, settings: Settings, tmp_path: Path
) -> None:
    annotate(tmp_path, "s1", ("Unsure", [SQUARE]))
    found = cut_slides(settings, with_cutting(config, elsewhere="benign"))
    assert set(found.labels) == {0}
    assert found.images[..., 0].min() > 150


def test_a_slide_gives_at_most_so_many_patches_a_class(config: TrainingConfig, settings: Settings) -> None:
    few = with_cutting(config, most_per_slide=5, elsewhere="benign")
    found = cut_slides(settings, few)
    assert np.bincount(found.labels).tolist() == [5, 5]
    assert cut_slides(settings, few).sha256 == found.sha256
    assert cut_slides(settings, dataclasses.replace(few, seed=1)).sha256 != found.sha256


def test_slides_of_one_case_are_one_group(config: TrainingConfig, settings: Settings, tmp_path: Path) -> None:
    for name in ("s2", "s3"):
        slide(tmp_path / f"{name}.tif")
        annotate(tmp_path, name, ("tumour", [SQUARE]))
    config.data.write_text("path,case\ns1.tif,A\ns2.tif,A\ns3.tif,\n")
    told: list[tuple[str, int, int]] = []
    found = cut_slides(settings, config, progress=lambda *news: told.append(news))
    assert found.groups == ("A",) * 32 + ("s3",) * 16
    assert told[2:4] == [("Slides looked through", 3, 3), ("Slides cut", 1, 3)]


def test_the_hash_changes_with_a_pixel_and_with_a_label(
    config: TrainingConfig, settings: Settings, tmp_path: Path
) -> None:
    first = cut_slides(settings, config).sha256
    annotate(tmp_path, "s1", ("benign", [SQUARE]))
    second = cut_slides(settings, config).sha256
    slide(tmp_path / "s1.tif", mpp=4.1)
    assert len({first, second, cut_slides(settings, config).sha256}) == 3


def test_patches_of_a_real_slide_are_what_a_reader_reads_there(
    real_data: Path, config: TrainingConfig, settings: Settings, tmp_path: Path
) -> None:
    path = real_data / "slides" / "CMU-1-Small-Region.svs"
    config.data.write_text(f"path\n{path}\n")
    corner = [[600, 600], [1200, 600], [1200, 1200], [600, 1200], [600, 600]]
    annotate(tmp_path, path.stem, ("tumour", [corner]))
    everywhere = with_cutting(config, min_tissue=0.0)
    found = cut_slides(settings, dataclasses.replace(everywhere, mpp=0.998, tile_px=64))  # 128 level-0 px at 0.499
    assert found.labels.tolist() == [1] * 16  # those at 512 and 1152 lie inside by less than half
    with open_slide(path) as reader:
        expected = reader.read(Region(640, 640, 128, 128), Size(64, 64))
    np.testing.assert_array_equal(found.images[0], expected)


@pytest.mark.parametrize(
    ("break_it", "error", "said"),
    [
        (lambda folder: (folder / "s1.geojson").unlink(), InputError, "s1 has no annotations"),
        (lambda folder: (folder / "s1.geojson").write_text("<xml>"), InputError, "not GeoJSON"),
        (lambda folder: annotate(folder, "s1", ("tumour", [[[0, 0], ["a", 1]]])), InputError, "not two numbers"),
        (lambda folder: annotate(folder, "s1", ("tumour", [[[0, 0], [1, 1]]])), InputError, "fewer than three"),
        (lambda folder: annotate(folder, "s1"), InputError, "No tile of any slide"),
        (lambda folder: slide(folder / "s1.tif", mpp=None), MissingMppError, "s1.tif"),
        (lambda folder: slide(folder / "s1.tif", mpp=16.0), InputError, "cannot be cut"),
        (lambda folder: (folder / "s1.tif").write_bytes(b"torn"), UnreadableSlideError, "s1.tif"),
        (lambda folder: (folder / "manifest.csv").write_text("path\ns1.tif\nx/s1.tif\n"), InputError, "Two slides"),
        (lambda folder: (folder / "manifest.csv").unlink(), InputError, "manifest"),
    ],
)
def test_what_cannot_be_cut_is_refused(
    config: TrainingConfig, settings: Settings, tmp_path: Path, break_it, error: type[Exception], said: str
) -> None:
    break_it(tmp_path)
    with pytest.raises(error, match=said):
        cut_slides(settings, config)


def test_a_slide_without_patches_is_named(config: TrainingConfig, settings: Settings, tmp_path: Path) -> None:
    slide(tmp_path / "s2.tif")
    annotate(tmp_path, "s2")
    config.data.write_text("path\ns1.tif\ns2.tif\n")
    assert cut_slides(settings, config).warnings == ("s2: no patch belongs to any class.",)


def test_more_patches_than_memory_holds_are_refused_before_they_are_read(
    config: TrainingConfig, settings: Settings
) -> None:
    needed = 16 * 32 * 32 * 3
    assert len(cut_slides(settings, config, most_bytes=needed)) == 16
    with pytest.raises(InputError, match=r"16 patches of 32 px.*most_per_slide"):
        cut_slides(settings, config, most_bytes=needed - 1)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('annotations = "."\nmin_overlap = 0', "min_overlap"),
        ('annotations = "."\nelsewhere = "stroma"', "stroma"),
        ('annotations = "."\nmost_per_slide = -1', "most_per_slide"),
        ('annotations = "."\nstride = {tumour = 0}', "stride of tumour"),
        ('annotations = "."\nstride = {tumour = "small"}', "wrong kind"),
        ('annotations = "."\nstep = 3', "unknown key step"),
        ("min_overlap = 0.5", "annotations"),
    ],
)
def test_a_cutting_table_with_a_mistake_is_refused(tmp_path: Path, table: str, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG.replace('annotations = "."', table))
    with pytest.raises(InputError, match=said):
        read_config(path)


CONFIG = """
name = "cut"
data = "manifest.csv"
split = "split.csv"
output = "run"
layout = "slides"
classes = ["benign", "tumour"]
mpp = 8.0
tile_px = 32
input_px = 32
architecture = "mobilenet_v3_small"
epochs = 1
bootstrap_draws = 5

[cutting]
annotations = "."

[card]
title = "t"
target = "t"
positive_title = "t"
normal_class = "benign"
tissue = "breast"
stain = ["he"]
mpp_note = "t"
data = "t"
licence_of_data = "t"
limits = ["t"]
"""


def test_a_model_is_trained_from_slides(tmp_path: Path, settings: Settings) -> None:
    rows = ["path,case"]
    for number in range(6):
        slide(tmp_path / f"s{number}.tif")
        annotate(tmp_path, f"s{number}", ("tumour", [SQUARE]))
        rows.append(f"s{number}.tif,case {number}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    (tmp_path / "c.toml").write_text(CONFIG.replace('annotations = "."', 'annotations = "."\nelsewhere = "benign"'))
    result = train(read_config(tmp_path / "c.toml"), read=lambda config: patches_of(settings, config))
    assert "case 0" in (tmp_path / "split.csv").read_text()
    assert any("too few for more than a try" in text for text in result.card.limits)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["patches_by_part_and_class"]["test"]["tumour"] == 16
    assert record["warnings"] == list(result.warnings)


def test_tiles_are_labelled_by_what_covers_most_of_them() -> None:
    shares = np.array([[0.6, 0.0], [0.0, 0.5], [0.4, 0.0], [0.5, 0.5], [0.5, 0.1], [0.0, 0.0], [0.0, 0.0], [0.2, 0.6]])
    other = np.array([0.0, 0.0, 0.0, 0.0, 0.6, 0.0, 0.1, 0.0])
    assert label_tiles(shares, other=other, min_overlap=0.5).tolist() == [0, 1, -1, -1, -1, -1, -1, 1]
    assert label_tiles(shares, other=other, min_overlap=0.5, elsewhere=0)[5:7].tolist() == [0, NO_CLASS]


def test_drawing_keeps_the_order_and_repeats_nothing() -> None:
    rows = np.arange(100, 200)
    drawn = draw(rows, most=10, random=np.random.default_rng(0))
    assert len(set(drawn)) == 10
    assert sorted(drawn) == list(drawn)
    assert draw(rows, most=0, random=np.random.default_rng(0)) is rows
    assert draw(rows, most=100, random=np.random.default_rng(0)) is rows


def test_a_painted_polygon_covers_its_pixels_and_not_its_holes() -> None:
    mask = np.zeros((6, 8), np.bool_)
    outer = [[10.0, 10.0], [50.0, 10.0], [50.0, 50.0], [10.0, 50.0], [10.0, 10.0]]
    inner = [[20.0, 20.0], [30.0, 20.0], [30.0, 30.0], [20.0, 30.0]]
    for polygon in polygons_of({"type": "Polygon", "coordinates": [outer, inner]}):
        paint(mask, polygon, downsample=(10.0, 10.0))
    expected = np.zeros((6, 8), np.bool_)
    expected[1:5, 1:5] = True
    expected[2, 2] = False
    np.testing.assert_array_equal(mask, expected)


def test_polygons_beyond_the_slide_are_cut_off_and_others_stay() -> None:
    mask = np.zeros((4, 4), np.bool_)
    far = {"type": "Polygon", "coordinates": [[[100, 100], [200, 100], [200, 200]]]}
    across = {"type": "MultiPolygon", "coordinates": [[[[-30, -30], [20, -30], [20, 20], [-30, 20]]]]}
    for geometry in (far, across, {"type": "Point", "coordinates": [1, 1]}):
        for polygon in polygons_of(geometry):
            paint(mask, polygon, downsample=(10.0, 10.0))
    assert mask.sum() == 4
    assert mask[:2, :2].all()


def test_a_mask_is_coarser_where_the_slide_is_large() -> None:
    assert mask_shape(Size(1000, 500), cell=Size(10, 10), most_px=10_000) == (50, 100)
    height, width = mask_shape(Size(100_000, 50_000), cell=Size(10, 10), most_px=10_000)
    assert height * width <= 10_300
