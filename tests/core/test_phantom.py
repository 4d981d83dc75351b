"""Phantom slides: same spec, same pixels; truth where the pixels are; artefacts that look like what they are."""

from __future__ import annotations

import csv
import functools
import itertools
import json
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.domain import ReadCategory, Size, Stain
from core.phantom import Artefact, ArtefactKind, GrowthPattern, Lesion, PhantomSpec, TissueMix, write_phantom
from core.phantom.artefacts import plant_artefacts
from core.phantom.cases import make_case
from core.phantom.cohort import DEMO_COHORT, cohort, is_current, write_cases
from core.phantom.optics import DAB_RJ, EOSIN_RJ, HAEMATOXYLIN_RJ, stain_matrix, transmit
from core.phantom.populate import make_plan
from core.phantom.render import render_strips
from core.phantom.spec import ScannerLook
from core.phantom.texture import cells, fibre_atlas, value_noise
from core.phantom.tissue_layout import STEP_UM
from core.phantom.truth import outlines
from models.registry import load_model

SMALL = PhantomSpec(seed=5, size_px=Size(1100, 900), mpp=1.0, lesions=(Lesion(330),), tissue=TissueMix(fat=0.25))


@functools.cache
def pixels(spec: PhantomSpec) -> NDArray[np.uint8]:
    """The whole slide before compression, read-only; several tests look at the same one."""
    plan = make_plan(spec)
    overlay = plant_artefacts(plan, spec)
    image = np.concatenate(list(render_strips(plan, overlay, spec)))
    image.flags.writeable = False
    return image


def mask_at_slide_scale(mask: NDArray[np.bool_], spec: PhantomSpec) -> NDArray[np.bool_]:
    """A plan mask repeated to level-0 pixels."""
    factor = round(STEP_UM / spec.mpp)
    return mask.repeat(factor, 0).repeat(factor, 1)[: spec.size_px.height, : spec.size_px.width]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhantomSpec]:
    path = tmp_path_factory.mktemp("phantom") / "SR-1.tif"
    write_phantom(SMALL, path)
    return path, SMALL


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lesion(0),
        lambda: Lesion(500, grade=4),
        lambda: Artefact(ArtefactKind.PEN, extent=0),
        lambda: Artefact(ArtefactKind.FOLD, whole_slide=True),
        lambda: TissueMix(pieces=4),
        lambda: PhantomSpec(1, Size(10, 10), stain=Stain.UNKNOWN),
        lambda: PhantomSpec(1, Size(10, 10), mpp=40),
        lambda: cohort(0, seed=1),
    ],
)
def test_impossible_specs_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()


def test_hash_follows_the_spec_and_nothing_else() -> None:
    assert SMALL.hash == replace(SMALL).hash
    assert len({SMALL.hash, replace(SMALL, seed=6).hash, replace(SMALL, lesions=()).hash}) == 3


def test_lesion_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="No room"):
        make_plan(replace(SMALL, lesions=(Lesion(5000),)))


# --- optics and texture ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [HAEMATOXYLIN_RJ, EOSIN_RJ, DAB_RJ])
def test_published_vectors_have_length_one(vector: tuple[float, float, float]) -> None:
    assert np.linalg.norm(vector) == pytest.approx(1, abs=0.01)


def test_beer_lambert_two_layers_multiply() -> None:
    matrix = stain_matrix(Stain.HE, ScannerLook("x"))
    none = np.zeros((1, 1), np.float32)
    half = np.full((1, 1), 0.2, np.float32)
    one = transmit((half, none, none), matrix=matrix, glass=(250, 250, 250))[0, 0] / 250
    two = transmit((half * 2, none, none), matrix=matrix, glass=(250, 250, 250))[0, 0] / 250
    np.testing.assert_allclose(two, one**2, atol=0.004)
    assert transmit((none, none, none), matrix=matrix, glass=(250, 249, 248))[0, 0].tolist() == [250, 249, 248]


def test_dyes_have_their_colours() -> None:
    none, much = np.zeros((1, 1), np.float32), np.full((1, 1), 0.6, np.float32)
    he, ihc = (stain_matrix(stain, ScannerLook("x")) for stain in (Stain.HE, Stain.IHC))
    red, green, blue = transmit((much, none, none), matrix=he, glass=(243, 243, 243))[0, 0].astype(int)
    assert blue > red > green  # haematoxylin: blue-violet
    red, green, blue = transmit((none, much, none), matrix=he, glass=(243, 243, 243))[0, 0].astype(int)
    assert red > blue > green  # eosin: pink
    red, green, blue = transmit((none, none, much), matrix=ihc, glass=(243, 243, 243))[0, 0].astype(int)
    assert red > green > blue  # DAB: brown


def test_noise_is_smooth_and_of_unit_deviation() -> None:
    noise = value_noise(np.random.default_rng(1), (400, 300), cell_px=20, octaves=2)
    assert noise.shape == (400, 300)
    assert 0.75 < noise.std() < 1.25
    assert np.abs(np.diff(noise, axis=0)).mean() < 0.2


def test_fibre_atlas_wraps_without_a_seam() -> None:
    streak, gap = (image.astype(float) for image in fibre_atlas())
    for image in (streak, gap):
        seam = np.abs(image[0] - image[-1]).mean()
        inside = np.abs(np.diff(image, axis=0)).mean()
        assert seam < 2 * inside


def test_cells_know_their_nearest_centre() -> None:
    nearest, second, index, centres = cells(np.random.default_rng(2), (60, 80), spacing_px=12)
    y, x = np.mgrid[0:60, 0:80]
    distance = np.hypot(x[..., None] - centres[:, 0], y[..., None] - centres[:, 1])
    exact = distance.min(-1)
    assert (np.abs(nearest - exact) < 1e-3).mean() > 0.98  # the search looks at nine neighbours only
    assert np.all(second >= nearest)
    np.testing.assert_allclose(np.take_along_axis(distance, index[..., None], -1)[..., 0], nearest, atol=1e-3)


# --- pixels ---------------------------------------------------------------------------------------------------------


def test_same_spec_same_bytes(written: tuple[Path, PhantomSpec], tmp_path: Path) -> None:
    path, spec = written
    write_phantom(spec, tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / path.name).with_suffix(".geojson").read_text() == path.with_suffix(".geojson").read_text()


def test_another_seed_is_another_slide() -> None:
    assert not np.array_equal(pixels(SMALL), pixels(replace(SMALL, seed=6)))


def test_blocks_join_without_a_seam() -> None:
    spec = replace(SMALL, size_px=Size(1300, 700))
    whole = pixels(spec).astype(int)
    for axis, border in ((1, 1024), (0, 512)):  # where the renderer's blocks meet
        steps = np.abs(np.diff(whole, axis=axis)).mean(axis=(1 - axis, 2))
        near = np.delete(steps[border - 40 : border + 40], 39)
        assert steps[border - 1] < near.mean() + 5 * near.std()


def test_openslide_reads_scale_levels_and_colours(written: tuple[Path, PhantomSpec]) -> None:
    path, spec = written
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions == (1100, 900)
        assert [round(step) for step in slide.level_downsamples] == [1, 4, 16]
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(1.0, rel=1e-4)
        read = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB")).astype(int)
        quarter = np.asarray(slide.read_region((0, 0), 1, (275, 225)).convert("RGB")).astype(int)
    rendered = pixels(spec).astype(int)
    # A file whose colour space is mislabelled is off by far more than the compression.
    assert np.abs(read - rendered).mean() < 6
    assert np.abs(read.mean(axis=(0, 1)) - rendered.mean(axis=(0, 1))).max() < 1.5
    reduced = rendered[:900, :1100].reshape(225, 4, 275, 4, 3).mean(axis=(1, 3))
    assert np.abs(quarter - reduced).mean() < 6
    assert np.abs(read[:8, :8].mean(axis=(0, 1)) - spec.scanner.glass).max() < 3


def test_scale_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "no-scale.tif"
    write_phantom(replace(SMALL, write_mpp=False, lesions=()), path)
    with openslide.OpenSlide(path) as slide:
        assert "openslide.mpp-x" not in slide.properties


def test_tumour_is_darker_than_the_rest_of_the_tissue() -> None:
    plan = make_plan(SMALL)
    image = pixels(SMALL)
    lesion = mask_at_slide_scale(plan.lesions[0], SMALL)
    solid = mask_at_slide_scale((plan.void < -2) & (plan.tissue > 0), SMALL)
    red = image[..., 0].astype(float)
    assert red[lesion & solid].mean() < red[~lesion & solid].mean() - 20


@pytest.mark.parametrize("pattern", list(GrowthPattern))
def test_every_growth_pattern_has_crowded_nuclei(pattern: GrowthPattern) -> None:
    plan = make_plan(replace(SMALL, lesions=(Lesion(330, pattern),)))
    nuclei = plan.nuclei[0]
    inside = plan.at(plan.lesions[0].astype(np.float32), nuclei.x_um, nuclei.y_um) > 0.5
    lesion_mm2 = plan.lesions[0].sum() * STEP_UM**2 / 1e6
    rest_mm2 = plan.tissue_mm2 - lesion_mm2
    assert inside.sum() / lesion_mm2 > 2 * (~inside).sum() / rest_mm2


def test_ihc_is_brown_where_he_is_violet() -> None:
    image = pixels(replace(SMALL, stain=Stain.IHC)).astype(int)
    lesion = mask_at_slide_scale(make_plan(replace(SMALL, stain=Stain.IHC)).lesions[0], SMALL)
    brown = (image[..., 1] - image[..., 2] > 15) & (image.mean(-1) < 180)  # pink and violet have less green than blue
    assert brown[lesion].mean() > 0.06
    assert brown[~lesion].mean() < 0.01
    violet = pixels(SMALL).astype(int)
    assert ((violet[..., 1] - violet[..., 2] > 15) & (violet.mean(-1) < 180))[lesion].mean() < 0.005


def test_ihc_of_the_same_seed_is_the_next_section() -> None:
    he, ihc = make_plan(SMALL), make_plan(replace(SMALL, stain=Stain.IHC))
    assert np.array_equal(he.lesions[0], ihc.lesions[0])
    assert ((he.void > 0) != (ihc.void > 0)).mean() < 0.01  # vessels are filled with red cells on H&E only


# --- artefacts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ArtefactKind))
def test_artefact_changes_the_slide_where_the_truth_says(kind: ArtefactKind) -> None:
    clean_spec = replace(SMALL, lesions=())
    spec = replace(clean_spec, artefacts=(Artefact(kind, extent=0.6),))
    plan = make_plan(spec)
    mask = mask_at_slide_scale(plant_artefacts(plan, spec).masks[0], spec)
    change = np.abs(pixels(spec).astype(int) - pixels(clean_spec)).mean(-1)
    assert mask.any()
    assert change[mask].mean() > 12
    assert change[~mask].mean() < 0.2 * change[mask].mean()


def _inside(kind: ArtefactKind, **how: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tissue pixels under a planted artefact, clean and planted, as (n, 3)."""
    clean_spec = replace(SMALL, lesions=(), tissue=TissueMix(fat=0, ducts_per_mm2=0))
    spec = replace(clean_spec, artefacts=(Artefact(kind, extent=0.7, **how),))
    plan = make_plan(spec)
    mask = plant_artefacts(plan, spec).masks[0] & (plan.tissue > 20)
    under = mask_at_slide_scale(mask, spec)
    return pixels(clean_spec)[under].astype(float), pixels(spec)[under].astype(float)


def test_fold_about_doubles_optical_density() -> None:
    clean, folded = _inside(ArtefactKind.FOLD)
    density = [np.log10(243 / np.maximum(image, 1)).clip(min=0).mean() for image in (clean, folded)]
    assert 1.6 < density[1] / density[0] < 2.6


def test_pale_stain_leaves_a_third_of_the_dye() -> None:
    clean, pale = _inside(ArtefactKind.PALE)
    density = [np.log10(243 / np.maximum(image, 1)).clip(min=0).mean() for image in (clean, pale)]
    assert 0.25 < density[1] / density[0] < 0.6


def test_tear_shows_glass() -> None:
    _, torn = _inside(ArtefactKind.TEAR)
    assert (torn.min(axis=-1) > 230).mean() > 0.7


@pytest.mark.parametrize(("hue", "brightest"), [(0.0, 0), (1 / 3, 1), (2 / 3, 2)])
def test_pen_has_its_hue(hue: float, brightest: int) -> None:
    _, inked = _inside(ArtefactKind.PEN, hue=hue)
    assert inked.mean(axis=0).argmax() == brightest


def test_blur_takes_the_detail_away() -> None:
    spec = replace(SMALL, artefacts=(Artefact(ArtefactKind.BLUR, whole_slide=True),))
    sharp, blurred = (np.abs(np.diff(pixels(each).astype(float), axis=1)).mean() for each in (SMALL, spec))
    assert blurred < 0.35 * sharp


# --- truth ----------------------------------------------------------------------------------------------------------


def test_outline_of_a_ring_literally() -> None:
    mask = np.zeros((6, 6), np.bool_)
    mask[1:5, 1:5] = True
    mask[2:4, 2:4] = False
    ((outer, hole),) = outlines(mask, px_per_cell=10, smallest_cells=1)
    assert outer == ((10, 10), (50, 10), (50, 50), (10, 50), (10, 10))
    assert hole == ((20, 20), (40, 20), (40, 40), (20, 40), (20, 20))


@pytest.mark.parametrize("seed", range(8))
def test_outlines_enclose_exactly_the_mask(seed: int) -> None:
    mask = value_noise(np.random.default_rng(seed), (40, 50), cell_px=9, octaves=2) > 0.3
    area = 0.0
    for polygon in outlines(mask, px_per_cell=1, smallest_cells=1):
        for number, ring in enumerate(polygon):
            assert ring[0] == ring[-1]
            shoelace = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)) / 2
            area += abs(shoelace) * (-1 if number else 1)
    assert area == mask.sum()


def test_geojson_is_what_qupath_reads(written: tuple[Path, PhantomSpec]) -> None:
    path, spec = written
    document = json.loads(path.with_suffix(".geojson").read_text())
    assert document["type"] == "FeatureCollection"
    assert document["features"]
    for feature in document["features"]:
        uuid.UUID(feature["id"])
        assert feature["properties"]["objectType"] == "annotation"
        assert feature["properties"]["classification"] == {"name": "Tumor", "color": [200, 0, 0]}
        for ring in feature["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
            assert all(0 <= x <= spec.size_px.width + 8 and 0 <= y <= spec.size_px.height + 8 for x, y in ring)


def test_truth_area_is_the_lesions(tmp_path: Path) -> None:
    truth = write_phantom(SMALL, tmp_path / "a.tif")
    expected = np.pi * (0.330 / 2) ** 2
    assert [region.name for region in truth.regions] == ["Tumor"]
    assert truth.lesions[0].area_mm2 == pytest.approx(expected, rel=0.5)


# --- cohorts --------------------------------------------------------------------------------------------------------


def test_demonstration_tells_its_story() -> None:
    slides = [slide for case in DEMO_COHORT for slide in case.slides]
    assert (len(DEMO_COHORT), len(slides)) == (11, 15)
    reads = {(case.diagnosis, case.has_tumour) for case in DEMO_COHORT}
    assert {
        (ReadCategory.BENIGN, False),
        (ReadCategory.MALIGNANT, True),
        (ReadCategory.BENIGN, True),  # the missed focal tumour
        (ReadCategory.MALIGNANT, False),  # the over-call
        (None, True),  # not read yet
    } <= reads
    assert sum(slide.spec is None for slide in slides) == 1
    assert sum(slide.stain is Stain.IHC for slide in slides) == 1
    planted = {artefact.kind for slide in slides if slide.spec for artefact in slide.spec.artefacts}
    assert planted == set(ArtefactKind)
    assert len({slide.file_name for slide in slides}) == 15
    assert len({case.site for case in DEMO_COHORT}) == 3


def test_random_cohorts_follow_their_seed() -> None:
    assert cohort(6, seed=3) == cohort(6, seed=3)
    assert cohort(6, seed=3) != cohort(6, seed=4)
    many = cohort(60, seed=1)
    assert len(many) == 60
    assert 15 < sum(case.has_tumour for case in many) < 45
    assert {case.has_tumour == (case.diagnosis is ReadCategory.MALIGNANT) for case in many if case.diagnosis} == {
        True,
        False,
    }


def test_cohort_folder(tmp_path: Path) -> None:
    tiny = replace(SMALL, size_px=Size(700, 600), lesions=())
    cases = (
        make_case("SR-1", "North", (tiny, replace(tiny, seed=9, write_mpp=False)), (ReadCategory.BENIGN, 4, "a, b")),
        make_case("SR-2", "Valley", (None,), None),
    )
    seen: list[tuple[int, int, str]] = []
    manifest = write_cases(tmp_path, cases, progress=lambda *step: seen.append(step))
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    assert [(row["path"], row["case"], row["mpp"], row["stain"], row["site"]) for row in rows] == [
        ("SR-1-A.tif", "SR-1", "", "he", "North"),
        ("SR-1-B.tif", "SR-1", "1", "he", "North"),
        ("SR-2-A.svs", "SR-2", "", "he", "Valley"),
    ]
    assert list(csv.DictReader((tmp_path / "diagnoses.csv").read_text().splitlines())) == [
        {"case": "SR-1", "reader": "dr.first", "category": "benign", "confidence": "4", "note": "a, b"}
    ]
    assert [step[0] for step in seen] == [1, 2, 3]
    with pytest.raises(openslide.OpenSlideError):
        openslide.OpenSlide(tmp_path / "SR-2-A.svs")

    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("SR-*.tif")}
    (tmp_path / "SR-1-B.tif").write_bytes(b"cut off")
    write_cases(tmp_path, cases, processes=1)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("SR-*.tif")}
    assert after["SR-1-A.tif"] == before["SR-1-A.tif"]  # the same spec: not rendered again
    assert is_current(tmp_path / "SR-1-B.tif", cases[0].slides[1].spec)  # the damaged one is
    assert not is_current(tmp_path / "SR-1-A.tif", replace(tiny, seed=10))


# --- against real tissue --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Tissue tiles of 50 px at 4 um/px from one phantom, and the share of each that is tumour."""
    path = tmp_path_factory.mktemp("tiles") / "p.tif"
    spec = PhantomSpec(21, Size(5120, 4096), lesions=(Lesion(900),), scanner=ScannerLook("x", violet=0.9))
    truth = write_phantom(spec, path)
    with openslide.OpenSlide(path) as slide:
        level = slide.read_region((0, 0), 1, slide.level_dimensions[1]).convert("RGB")
    image = np.asarray(level.resize((640, 512), Image.Resampling.BOX))
    drawing = Image.new("L", (640, 512))
    for polygon in truth.lesions[0].polygons:
        ImageDraw.Draw(drawing).polygon([(x / 8, y / 8) for x, y in polygon[0]], fill=1)
    corners = [(top, left) for top in range(0, 463, 50) for left in range(0, 591, 50)]
    cut = np.stack([image[top : top + 50, left : left + 50] for top, left in corners])
    share = np.array([np.asarray(drawing)[top : top + 50, left : left + 50].mean() for top, left in corners])
    tissue = (cut.min(axis=-1) < 215).mean(axis=(1, 2)) > 0.25
    return cut[tissue], share[tissue]


def _auc(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    positive, negative = scores[truth][:, None], scores[~truth][None, :]
    return float((positive > negative).mean() + 0.5 * (positive == negative).mean())


@pytest.mark.parametrize(("label", "tolerance"), [("0", 22), ("1", 32)])
def test_colours_lie_near_real_patches(real_data: Path, tiles, label: str, tolerance: float) -> None:
    files = sorted((real_data / "idc").glob(f"*/{label}/*.png"))[::25]
    real = np.stack([np.asarray(Image.open(file).convert("RGB")).mean(axis=(0, 1)) for file in files])
    cut, share = tiles
    phantom = cut[share > 0.6 if label == "1" else share == 0].mean(axis=(1, 2))
    assert np.abs(phantom.mean(axis=0) - real.mean(axis=0)).max() < tolerance


def test_real_model_finds_the_planted_tumour(tiles) -> None:
    model = load_model("idc", device="cpu")
    cut, share = tiles
    side = (model.tile_px, model.tile_px)
    batch = np.stack([np.asarray(Image.fromarray(tile).resize(side, Image.Resampling.BICUBIC)) for tile in cut])
    assert _auc(model.predict(batch)[:, 1], share >= 0.5) >= 0.9
