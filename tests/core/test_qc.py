"""Quality control as a whole: the joined map, the report, the suggestion, and slides measured from file to report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pyramid
from numpy.typing import NDArray
from PIL import Image
from qc_kit import as_rgb, blurred, disc, on_glass, tissue_density

from core.domain import Mpp, MppSource, Size, Stain
from core.errors import CancelledError, InputError, MissingMppError, ModelError
from core.qc.artefact_map import ArtefactMap
from core.qc.classes import ARTEFACTS, CLASSES, NO_TISSUE, ArtefactClass
from core.qc.detectors.evidence import Evidence
from core.qc.detectors.stain_level import StainLevels
from core.qc.disposition import suggest
from core.qc.joining import DAMAGE_ALONE, FOLD_ALONE, NETWORK_ALONE, NETWORK_BACKS, join
from core.qc.limits import DEFAULT_LIMITS, QcLimits
from core.qc.network import NetworkField, NetworkSink
from core.qc.report import QcReport, StainFacts
from core.qc.slide_report import summarise
from core.qc.survey import BandSums, Block, Survey, SurveyScale, survey_scale
from core.services.quality.measure import QcResult, measure_slide
from core.services.quality.network import ArtefactNetwork
from core.settings import Settings
from core.slides import open_slide
from core.tiles import TileGrid, TileSpec
from core.tissue import TissueMask

ALONE = ArtefactNetwork(None, "", "")
"""Detectors without a network."""
FOLD, BLUR, PEN, STAIN = (
    ArtefactClass.FOLD,
    ArtefactClass.OUT_OF_FOCUS,
    ArtefactClass.PEN,
    ArtefactClass.STAIN,
)


class Blue:
    """An artefact network in numpy: the bluer a tile, the surer it is out of focus."""

    name = "blue"
    classes = tuple(kind.value for kind in CLASSES)
    tile_px = 32
    mpp = 2.0
    device = "numpy"
    parallel_calls = 2

    def predict(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return (N, 8) probabilities."""
        mean = tiles.astype(np.float32).mean((1, 2))
        blue = np.clip((mean[:, 2] - mean[:, 0]) / 60, 0, 1)
        found = np.zeros((len(tiles), len(CLASSES)), np.float32)
        found[:, BLUR.code], found[:, 0] = blue, 1 - blue
        return found


# ---------------------------------------------------------------------------------------------------------------- join

SCALE = SurveyScale(Size(8, 1), 1000.0, (2000.0, 2000.0), 1, 4)
TISSUE = np.array([[True] * 7 + [False]])


def evidence(sure: Mapping[ArtefactClass, list[int]], maybe: Mapping[ArtefactClass, list[int]]) -> Evidence:
    """Evidence on a row of eight pixels of 1 mm2, the last of which is glass."""

    def masks(places: Mapping[ArtefactClass, list[int]]) -> dict[ArtefactClass, NDArray[np.bool_]]:
        return {kind: np.isin(np.arange(8), places.get(kind, []))[None] for kind in ARTEFACTS}

    first = masks(sure)
    both = {kind: first[kind] | masks(maybe)[kind] for kind in ARTEFACTS}
    nowhere, focus = TISSUE & False, np.full((1, 2), 1.0, np.float32)
    return Evidence(first, both, TISSUE, StainFacts("he", "macenko"), focus, nowhere, nowhere)


class Said(NetworkField):
    """A network that says something of every pixel of the row."""

    def __init__(self, said: Mapping[ArtefactClass, list[float]]) -> None:
        values = np.zeros((1, 8, len(CLASSES)), np.float32)
        for kind, row in said.items():
            values[0, :, kind.code] = row
        super().__init__(values, np.ones((1, 8), np.bool_), 1.0)

    def spread(self, kind: ArtefactClass, shape: tuple[int, int]) -> NDArray[np.float32]:
        return self.probabilities[..., kind.code].reshape(shape)

    def looked_at(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        return self.seen.reshape(shape)


def labels(found: ArtefactMap) -> list[int]:
    return found.labels[0].tolist()


def test_without_a_network_only_what_detectors_are_sure_of_counts() -> None:
    found = join(evidence({PEN: [0, 7], BLUR: [0, 1, 7]}, {FOLD: [2]}), None, SCALE)
    assert labels(found) == [PEN.code, BLUR.code, 0, 0, 0, 0, 0, PEN.code]
    assert not found.disagreement.any()
    assert found.areas_mm2()[PEN] == pytest.approx(1.0)
    assert sum(found.areas_mm2().values()) == pytest.approx(7.0)


def test_the_joining_rule_case_by_case() -> None:
    """Sure; doubt backed; doubt not backed; network alone; network not sure enough; a fold of which it sees nothing."""
    just_below = NETWORK_ALONE - 0.01
    said = Said(
        {
            BLUR: [0.0, NETWORK_BACKS, NETWORK_BACKS - 0.01, NETWORK_ALONE, just_below, 0.0, 0.0, NETWORK_ALONE],
            FOLD: [0.4, 0.4, 0.4, 0.4, 0.4, 0.0, 0.4, 0.4],
        }
    )
    found = join(evidence({BLUR: [0], FOLD: [5, 6]}, {BLUR: [1, 2]}), said, SCALE)
    assert labels(found) == [BLUR.code, BLUR.code, 0, BLUR.code, 0, FOLD.code, FOLD.code, NO_TISSUE]
    assert found.network is not None
    assert found.network[0].tolist()[3] == BLUR.code
    assert found.disagreement[0].tolist()[3]
    assert not found.disagreement[0, 7]


def test_of_folds_the_likeliest_class_counts() -> None:
    said = Said({FOLD: [FOLD_ALONE, FOLD_ALONE - 0.01, *[0.0] * 6], BLUR: [NETWORK_ALONE - 0.01] * 8})
    assert labels(join(evidence({}, {}), said, SCALE)) == [FOLD.code, 0, 0, 0, 0, 0, 0, NO_TISSUE]


@pytest.mark.parametrize(
    ("stain", "expected"), [("he", [True, False, False, True, True]), ("ihc", [True, False, False, True, False])]
)
def test_damage_needs_an_opening_or_certainty(stain: str, expected: list[bool]) -> None:
    """Likely beside an opening; less than likely there; likely in solid tissue; certain at either place."""
    said = [DAMAGE_ALONE, DAMAGE_ALONE - 0.01, NETWORK_ALONE - 0.01, NETWORK_ALONE, NETWORK_ALONE, 0.0, 0.0, 0.0]
    beside = np.array([[True, True, False, True, False, False, False, False]])
    known = replace(evidence({}, {}), stain=StainFacts(stain, "macenko"), openings=beside)
    found = join(known, Said({ArtefactClass.DAMAGED: said}), SCALE)
    assert [label == ArtefactClass.DAMAGED.code for label in labels(found)[:5]] == expected


def test_tiles_are_spoilt_by_what_covers_most_of_their_tissue() -> None:
    found = np.zeros((4, 8), np.uint8)
    found[:, :3], found[:2, 4:] = BLUR.code, STAIN.code
    tissue = np.ones((4, 8), np.bool_)
    grid = TileGrid(np.array([[0, 0], [40, 0]], np.int32), Size(40, 40), TileSpec(20.0, 0.5), 40, 2, {})
    quality = ArtefactMap(found, tissue, (10.0, 10.0), 5.0, found).of_tiles(grid)
    assert quality.usable.tolist() == pytest.approx([0.25, 1.0])
    assert quality.artefact.tolist() == [BLUR.code, 0]
    assert quality.unusable.tolist() == [True, False]


# ------------------------------------------------------------------------------------------------------------- network


def test_tiles_overlap_and_say_where_the_blue_is() -> None:
    """One block of 512 um: the right half is blue, and the border lies within half a tile of where it is."""
    scale = SurveyScale(Size(128, 128), 4.0, (8.0, 8.0), 2, 4)
    mask = TissueMask(np.ones((16, 16), np.bool_), (64.0, 64.0), 0.26)
    sink = NetworkSink(Blue(), mask, scale)
    assert sink.margin == 8
    pixels = np.full((256, 256, 3), 200, np.uint8)
    pixels[:, 128:, 0] = 90
    sink(pixels, Block(0, 0, 128, 128))
    blur = sink.field().spread(BLUR, (128, 128))
    assert blur[:, :56].max() < 0.1
    assert blur[:, 74:].min() > 0.9
    assert np.allclose(blur, blur[:1], atol=0.02)
    assert sink.field().looked_at((128, 128)).all()


def test_glass_is_not_looked_at() -> None:
    scale = SurveyScale(Size(128, 128), 4.0, (8.0, 8.0), 2, 4)
    sink = NetworkSink(Blue(), TissueMask(np.zeros((16, 16), np.bool_), (64.0, 64.0), 0.0), scale)
    sink(np.zeros((256, 256, 3), np.uint8), Block(0, 0, 128, 128))
    assert not sink.field().seen.any()
    assert not sink.field().spread(BLUR, (128, 128)).any()


def test_a_network_with_other_classes_is_refused() -> None:
    model = Blue()
    model.classes = ("clean", "blurred")
    with pytest.raises(ModelError, match="an artefact network has clean, out_of_focus"):
        NetworkSink(model, TissueMask(np.ones((1, 1), np.bool_), (1.0, 1.0), 0.0), SCALE)


@pytest.mark.parametrize(
    ("size", "mpp", "expected"),
    [
        (Size(20_000, 20_000), 0.5, (2500, 4.0, 4)),
        (Size(128, 128), 0.5, (128, 0.5, 1)),
        (Size(700, 700), 4.0, (700, 4.0, 1)),
        (Size(150_000, 100_000), 0.25, (4243, 8.84, 9)),
    ],
)
def test_the_map_is_4_um_fine_but_for_crops_and_giants(
    size: Size, mpp: float, expected: tuple[int, float, int]
) -> None:
    scale = survey_scale(size, Mpp(mpp, mpp, MppSource.USER))
    assert (scale.size.width, round(scale.um_per_px, 2), scale.fine) == expected
    assert scale.cell % 4 == 0


# -------------------------------------------------------------------------------------------------- report, suggestion


def survey_of(scale: SurveyScale) -> Survey:
    rows, columns = scale.cells
    plain = np.ones((rows, columns), np.float32)
    rgb = np.full((scale.size.height, scale.size.width, 3), 150, np.uint8)
    return Survey(scale, rgb, BandSums(np.zeros((rows, columns, 5), np.float32), 16), StainLevels(plain, plain))


def test_areas_shares_score_and_disagreements_of_a_literal_map() -> None:
    """Seven mm2 of tissue: one under pen, two blurred, one pale; pen on glass is no loss."""
    facts = evidence({PEN: [0, 7], BLUR: [1, 2], STAIN: [3]}, {})
    found = join(facts, Said({BLUR: [0.0, 0.6, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0], FOLD: [0.0] * 8}), SCALE)
    report = summarise(found, facts, survey_of(SCALE), network="blue 12", limits=QcLimits(version="strict"))
    assert (report.tissue_mm2, report.usable_mm2) == (7.0, 4.0)
    assert report.usable_fraction == pytest.approx(4 / 7, abs=1e-6)
    assert report.score == pytest.approx(1 - (1 + 2 + 0.5) / 7, abs=1e-6)
    shares = {name: area.fraction_of_tissue for name, area in report.classes.items()}
    assert list(shares) == [kind.value for kind in CLASSES]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert sum(area.mm2 for area in report.classes.values()) == pytest.approx(7)
    blur = next(one for one in report.disagreements if one.name == "out_of_focus")
    assert (blur.both_mm2, blur.network_only_mm2, blur.detector_only_mm2) == (1.0, 1.0, 1.0)
    assert (report.limits, report.network, report.sections) == ("strict", "blue 12", 1)
    assert (report.disposition, report.reason, report.origin) == ("rescan", "out_of_focus", "acquisition")
    stored = json.loads(json.dumps(report.to_dict()))
    assert QcReport.from_dict(stored | {"added by others": 1}) == report
    with pytest.raises(ValueError, match="no quality report of version qc-2"):
        QcReport.from_dict({"score": 1.0, "parts": []})


@pytest.mark.parametrize(
    ("shares", "disposition", "reason", "origin"),
    [
        ({}, "accept", None, None),
        ({PEN: 0.04}, "accept", None, None),
        ({PEN: 0.06}, "accept_with_limitation", "pen", "preparation"),
        ({STAIN: 0.3}, "accept_with_limitation", "stain", "preparation"),
        ({STAIN: 0.6}, "restain", "stain", "preparation"),
        ({BLUR: 0.4}, "rescan", "out_of_focus", "acquisition"),
        ({BLUR: 0.97}, "rescan", "out_of_focus", "acquisition"),
        ({FOLD: 0.4}, "recut", "fold", "preparation"),
        ({ArtefactClass.DAMAGED: 0.35}, "recut", "damaged", "preparation"),
        ({ArtefactClass.BUBBLE_EDGE: 0.35}, "rescan", "bubble_edge", "preparation"),
        ({FOLD: 0.45, BLUR: 0.45}, "exclude", "out_of_focus", "acquisition"),
    ],
)
def test_suggestions_by_the_default_limits(
    shares: dict[ArtefactClass, float], disposition: str, reason: str | None, origin: str | None
) -> None:
    whole = {kind: shares.get(kind, 0.0) for kind in CLASSES}
    usable = 1 - sum(share for kind, share in shares.items() if kind.about.unusable)
    made = suggest(whole, usable=usable, tissue_mm2=10.0, limits=DEFAULT_LIMITS)
    assert (made.disposition, made.reason, made.origin) == (disposition, reason, origin)
    assert made.explanation.endswith(".")


def test_a_slide_without_tissue_is_excluded() -> None:
    made = suggest(dict.fromkeys(CLASSES, 0.0), usable=0.0, tissue_mm2=0.0, limits=DEFAULT_LIMITS)
    assert (made.disposition, made.reason) == ("exclude", "other")


def test_limits_are_checked_and_come_back() -> None:
    assert QcLimits.from_dict(DEFAULT_LIMITS.to_dict()) == DEFAULT_LIMITS
    with pytest.raises(InputError, match="must ascend"):
        QcLimits(accept_usable=0.5)
    with pytest.raises(InputError, match="a share of the tissue"):
        QcLimits(mention_share=1.5)
    with pytest.raises(InputError, match="missing or odd"):
        QcLimits.from_dict({"version": "x"})


# ------------------------------------------------------------------------------------------------------ slides, images


def png(path: Path, density: NDArray[np.float32]) -> Path:
    Image.fromarray(as_rgb(density)).save(path)
    return path


def measured(path: Path, *, mpp: float | None = None, network: ArtefactNetwork = ALONE) -> QcResult:
    with open_slide(path, mpp=mpp) as reader:
        return measure_slide(Settings(home=path.parent), reader, stain=Stain.UNKNOWN, network=network)


def shares_of(result: QcResult) -> dict[str, float]:
    return {
        name: area.fraction_of_tissue for name, area in result.report.classes.items() if area.fraction_of_tissue > 0
    }


@pytest.mark.parametrize(("edge", "mpp"), [(128, 0.5), (128, 1.0), (400, 2.0), (300, 4.0)])
def test_clean_crops_of_any_size_and_scale_are_accepted(edge: int, mpp: float, tmp_path: Path) -> None:
    """Down to a tile of 64 um without a pyramid."""
    result = measured(png(tmp_path / "x.png", tissue_density(edge, edge, um_per_px=max(mpp, 1.0))), mpp=mpp)
    assert result.report.tissue_mm2 == pytest.approx((edge * mpp) ** 2 / 1e6, rel=0.1)
    assert result.report.usable_fraction >= 0.95
    assert result.report.disposition == "accept"


def test_a_pyramid_with_pen_and_blur(tmp_path: Path) -> None:
    """Planted areas come back within 10 %, in mm2 of tissue: ink beside tissue is no loss."""
    shape = (1200, 1600)
    tissue = disc(shape, 600, 700, 500)
    density = on_glass(tissue_density(*shape, um_per_px=1.0), tissue)
    soft = disc(shape, 600, 600, 350)
    density[soft] = blurred(density, 6.0)[soft]
    pen = np.zeros(shape, np.bool_)
    pen[:, 1000:1100] = True
    density = density + pen[..., None] * np.array((0.9, 0.25, 0.6), np.float32)
    path = write_pyramid(tmp_path / "s.tif", as_rgb(density), mpp=1.0)
    found = measured(path).report
    assert found.tissue_mm2 == pytest.approx(tissue.sum() / 1e6, rel=0.05)
    assert found.classes["out_of_focus"].mm2 == pytest.approx(soft.sum() / 1e6, rel=0.1)
    assert found.classes["pen"].mm2 == pytest.approx((pen & tissue).sum() / 1e6, rel=0.1)
    assert found.sections == 1


def test_the_network_takes_part(tmp_path: Path) -> None:
    """Violet-blue tissue, which only this network minds."""
    density = tissue_density(512, 512, um_per_px=1.0)
    density[:, 256:] = tissue_density(512, 256, um_per_px=1.0, ground=(0.28, 0.26, 0.06), nuclei=(0.2, 0.2, 0.1))
    result = measured(png(tmp_path / "x.png", density), mpp=1.0, network=ArtefactNetwork(Blue(), "0" * 64, ""))
    assert result.report.network == "blue 000000000000"
    # The border lies where the network is sure, up to half a tile of 64 um inside.
    assert 0.42 < shares_of(result)["out_of_focus"] <= 0.5
    assert result.map.disagreement.mean() > 0.4


def test_an_image_too_coarse_for_focus_says_so_and_accuses_nobody(tmp_path: Path) -> None:
    result = measured(
        png(tmp_path / "x.png", tissue_density(300, 300)), mpp=8.0, network=ArtefactNetwork(Blue(), "0" * 64, "")
    )
    assert "out_of_focus" not in shares_of(result)
    assert any("coarser than" in warning for warning in result.report.warnings)
    assert result.map.network is None


def test_empty_glass_has_no_tissue(tmp_path: Path) -> None:
    Image.fromarray(np.full((300, 300, 3), 243, np.uint8)).save(tmp_path / "glass.png")
    report = measured(tmp_path / "glass.png", mpp=1.0).report
    assert (report.tissue_mm2, report.score, report.usable_fraction, report.sections) == (0.0, 0.0, 0.0, 0)
    assert report.disposition == "exclude"


def test_no_scale_and_cancelling(tmp_path: Path) -> None:
    path = png(tmp_path / "x.png", tissue_density(200, 200))
    with pytest.raises(MissingMppError, match="--mpp"):
        measured(path)
    with open_slide(path, mpp=1.0) as reader, pytest.raises(CancelledError):
        measure_slide(Settings(home=tmp_path), reader, network=ALONE, cancelled=lambda: True)


def test_the_real_slide_is_not_condemned(real_data: Path) -> None:
    report = measured(real_data / "slides" / "CMU-1-Small-Region.svs").report
    assert report.usable_fraction >= 0.85, "the detectors alone"
    assert (report.stain.kind, report.stain.method) == ("he", "macenko")


@pytest.mark.parametrize("name", ["pen_green", "pen_red"])
@pytest.mark.parametrize("mpp", [4.0, 16.0])
def test_pen_on_real_slides_is_marked_at_any_assumed_scale(name: str, mpp: float, real_data: Path) -> None:
    """The crops state no scale; which pixels are ink does not depend much on what is assumed."""
    folder = real_data / "artefacts" / "pen"
    result = measured(folder / f"{name}.png", mpp=mpp)
    with Image.open(folder / f"{name}_mask.png") as image:
        size = (result.map.labels.shape[1], result.map.labels.shape[0])
        truth = np.asarray(image.convert("1").resize(size, Image.Resampling.NEAREST))
    found = result.map.labels == PEN.code
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.6
