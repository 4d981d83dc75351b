"""Figures of two masks over tissue: literal counts, what stays undefined, and the map in three colours."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from core.domain import Size
from core.errors import InputError
from core.interop.reference_masks import artefact_of_name, read_annotation, read_mask
from core.qc.classes import ARTEFACTS, NO_TISSUE, ArtefactClass
from core.qc.comparison import (
    COLOURS,
    NOT_JUDGED,
    UNSTATED,
    compare_maps,
    compare_masks,
    comparison_map,
    resample,
)

PEN, FOLD, CLEAN = ArtefactClass.PEN, ArtefactClass.FOLD, ArtefactClass.CLEAN
TISSUE = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
FOUND = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]], bool)
ANNOTATED = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 1, 0, 0]], bool)
SLIDE = Size(500, 300)
SMALL = arrays(bool, (4, 6))


def test_figures_of_a_literal_case() -> None:
    found = compare_masks(FOUND, ANNOTATED, tissue=TISSUE, px_mm2=0.5)
    assert (found.both, found.found_only, found.missed, found.neither) == (2, 1, 1, 6)
    assert found.accuracy == pytest.approx(8 / 10)
    assert found.tpr == pytest.approx(2 / 3)
    assert found.tnr == pytest.approx(6 / 7)
    assert found.npv == pytest.approx(6 / 7)
    assert found.dice == pytest.approx(4 / 6)
    assert found.iou == pytest.approx(2 / 4)
    assert found.to_dict()["missed_mm2"] == 0.5
    assert found.to_dict()["tissue_mm2"] == 5.0


@pytest.mark.parametrize(
    ("found", "annotated", "tissue", "undefined"),
    [
        (False, False, True, {"tpr", "dice", "iou"}),
        (True, True, True, {"tnr", "npv"}),
        (True, False, True, {"tpr", "npv"}),
        (False, True, True, {"tnr"}),
        (True, True, False, {"accuracy", "tpr", "tnr", "npv", "dice", "iou"}),
    ],
)
def test_what_cannot_be_divided_is_not_called_zero(
    found: bool, annotated: bool, tissue: bool, undefined: set[str]
) -> None:
    masks = (np.full((2, 2), value) for value in (found, annotated, tissue))
    compared = compare_masks(*list(masks)[:2], tissue=np.full((2, 2), tissue), px_mm2=1.0).to_dict()
    names = ("accuracy", "tpr", "tnr", "npv", "dice", "iou")
    assert {name for name in names if compared[name] is None} == undefined


@given(found=SMALL, annotated=SMALL, tissue=SMALL)
def test_the_map_shows_what_the_figures_count(found: np.ndarray, annotated: np.ndarray, tissue: np.ndarray) -> None:
    counts = compare_masks(found, annotated, tissue=tissue, px_mm2=1.0)
    picture = comparison_map(found, annotated, tissue=tissue)
    shown = [int((picture == (*colour, 200)).all(-1).sum()) for colour in COLOURS.values()]
    assert shown == [counts.both, counts.found_only, counts.missed]
    assert int((picture[..., 3] == 0).sum()) == counts.neither + int((~tissue).sum())
    swapped = compare_masks(annotated, found, tissue=tissue, px_mm2=1.0)
    assert (swapped.dice, swapped.iou, swapped.accuracy) == (counts.dice, counts.iou, counts.accuracy)
    assert counts.tissue == int(tissue.sum())


def test_colours_are_those_of_the_field() -> None:
    assert dict(COLOURS) == {
        "annotated and found": (0, 0, 255),
        "found but not annotated": (255, 0, 0),
        "annotated and missed": (0, 0, 0),
    }


def test_maps_are_compared_by_class_and_as_a_whole() -> None:
    ours = np.array([[PEN.code, FOLD.code, ArtefactClass.DAMAGED.code, CLEAN.code]], np.uint8)
    theirs = np.array([[PEN.code, PEN.code, CLEAN.code, NOT_JUDGED]], np.uint8)
    tissue = np.ones((1, 4), bool)
    found = compare_maps(ours, theirs, tissue=tissue, px_mm2=1.0, classes=(PEN, FOLD))
    assert set(found.classes) == {PEN, FOLD}
    assert (found.any_artefact.both, found.any_artefact.found_only, found.px_not_judged) == (2, 0, 1)
    assert (found.classes[PEN].both, found.classes[PEN].missed, found.classes[FOLD].found_only) == (1, 1, 1)
    whole = compare_maps(ours, np.where(theirs == PEN.code, UNSTATED, theirs), tissue=tissue, px_mm2=1.0, classes=())
    assert (whole.any_artefact.both, whole.any_artefact.found_only) == (2, 1), "damage counts where no class is named"


def test_masks_of_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="differ in size"):
        compare_masks(FOUND, ANNOTATED[:2], tissue=TISSUE, px_mm2=1.0)
    with pytest.raises(InputError, match="differ in size"):
        comparison_map(FOUND, ANNOTATED, tissue=TISSUE[:, :3])


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), factor=st.integers(1, 4))
def test_a_map_comes_back_from_a_finer_one(rows: int, columns: int, factor: int) -> None:
    labels = np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)
    finer = labels.repeat(factor, 0).repeat(factor, 1)
    assert (resample(finer, labels.shape) == labels).all()
    assert (resample(labels, finer.shape) == finer).all()


def outline(name: str, left: int, top: int, right: int, bottom: int) -> dict[str, object]:
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    properties = {"objectType": "annotation", "classification": {"name": name}}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


def geojson(path, *features: dict[str, object]):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def test_outlines_become_a_class_map(tmp_path) -> None:
    path = geojson(
        tmp_path / "a.geojson",
        outline("Pen marking", 0, 0, 100, 100),
        outline("Artefact", 200, 0, 300, 100),
        outline("Region*", 0, 0, 400, 300),
    )
    found = read_annotation(path, slide=SLIDE)
    assert found.labels.shape == (300, 500)
    assert found.told_apart == (PEN,)
    values, counts = np.unique(found.labels, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
        PEN.code: 10_000,
        UNSTATED: 10_000,
        NOT_JUDGED: 30_000,
        CLEAN.code: 100_000,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "no GeoJSON"),
        ('{"type": "FeatureCollection"}', "no GeoJSON features"),
        (json.dumps({"type": "FeatureCollection", "features": []}), "no outline on this slide"),
        (json.dumps(outline("Tumour", 0, 0, 9, 9)), "names no artefact"),
        (json.dumps(outline("Pen", 900, 900, 990, 990)), "no outline on this slide"),
        (json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0, "x"]]]}}), "two numbers"),
    ],
)
def test_files_that_are_no_reference_are_refused(tmp_path, content: str, words: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_annotation(path, slide=SLIDE)


@pytest.mark.parametrize("kind", ARTEFACTS)
def test_every_artefact_is_known_by_its_code_and_title(kind: ArtefactClass) -> None:
    assert artefact_of_name(kind.value) is artefact_of_name(kind.about.title) is kind
    assert artefact_of_name(kind.value.replace("_", " ").upper()) is kind


def saved(path, values: np.ndarray):
    Image.fromarray(values).save(path)
    return path


def test_a_mask_of_usable_tissue_is_turned_round(tmp_path) -> None:
    values = np.zeros((30, 50), np.uint8)
    values[:, :20] = 255
    path = saved(tmp_path / "mask.png", values)
    marked = read_mask(path, slide=SLIDE, artefact=PEN)
    assert (marked.labels[:, :20] == PEN.code).all()
    assert marked.told_apart == (PEN,)
    usable = read_mask(path, slide=SLIDE, artefact=None, marks_usable=True)
    assert (usable.labels[:, 20:] == UNSTATED).all()
    assert (usable.labels[:, :20] == CLEAN.code).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((30, 30), np.uint8), "does not fit the slide"),
        (np.zeros((30, 50, 3), np.uint8), "picture in colours"),
        (np.tile(np.arange(5, dtype=np.uint8), (30, 10)), "has two"),
        (np.full((30, 50), 7_000, np.uint16), "beyond 0 to 255"),
        (np.zeros((900, 1500), np.uint8), "does not fit the slide"),
    ],
)
def test_masks_that_do_not_belong_to_the_slide_are_refused(tmp_path, values: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_mask(saved(tmp_path / "mask.png", values), slide=SLIDE, artefact=None)


def test_a_file_that_is_no_image_is_refused(tmp_path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_mask(path, slide=SLIDE, artefact=None)
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_mask(tmp_path / "absent.png", slide=SLIDE, artefact=None)


def test_the_real_masks_of_pen_and_coverslip_are_read(real_data) -> None:
    folder = real_data / "artefacts"
    for name, kind in (("pen/pen_green", PEN), ("coverslip_edge/he", ArtefactClass.BUBBLE_EDGE)):
        with Image.open(folder / f"{name}.png") as picture:
            slide = Size(*picture.size)
        mask = read_mask(folder / f"{name}_mask.png", slide=slide, artefact=kind)
        assert mask.labels.shape == (slide.height, slide.width)
        assert 0.01 < (mask.labels == kind.code).mean() < 0.9


def test_no_tissue_is_no_class_of_a_reference() -> None:
    assert len({NO_TISSUE, NOT_JUDGED, UNSTATED, *(kind.code for kind in ArtefactClass)}) == 11
