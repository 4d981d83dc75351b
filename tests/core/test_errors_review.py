"""Errors of a model: what is listed and in which order, codes by two readers, and the export for training."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from consult_kit import BENIGN, MALIGNANT, ask
from evaluation_kit import LEFT, RIGHT, add_run, add_slide
from people_kit import CLERK, enrol
from PIL import Image

from core.domain import NOT_FOR_DIAGNOSIS
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.interop.qupath import classified_marks
from core.roles import Role
from core.services.cases import review
from core.services.catalogue import verify_log
from core.services.error_review.export import error_picture, export_errors
from core.services.error_review.reviews import code_error, error_gallery
from core.services.error_review.values import Direction, ErrorGallery, Level, Reason
from core.services.evaluation.values import EvaluationRequest, Unit
from core.settings import Settings
from models.cards import load_card

REQUEST = EvaluationRequest("idc", "truth", Unit.SLIDE)
FP, FN = Direction.FALSE_POSITIVE, Direction.FALSE_NEGATIVE


@pytest.fixture
def cohort(settings: Settings, tmp_path: Path) -> Settings:
    """A missed slide and a false alarm; on the latter the four tiles on the left are called though nothing is there."""
    enrol(settings, "ann", "bob", "dan", roles=(Role.PATHOLOGIST,))
    enrol(settings, "cleo", roles=(Role.CONSULTANT,))
    enrol(settings, "vic", roles=(Role.VIEWER,))
    enrol(settings, "quinn", roles=(Role.QC,))
    add_run(settings, add_slide(settings, tmp_path, "missed", outline="Tumor", case="MISSED", readable=True), 0.4)
    add_run(
        settings, add_slide(settings, tmp_path, "alarm", outline="Artefact: fold", case="ALARM", readable=True), 0.9
    )
    review.record_read(settings, "MISSED", MALIGNANT, actor="ann")
    review.record_read(settings, "ALARM", BENIGN, actor="ann")
    return settings


def listed(
    settings: Settings, direction: Direction = FP, level: Level = Level.TILE, *, actor: str = "ann"
) -> ErrorGallery:
    return error_gallery(settings, REQUEST, direction=direction, level=level, actor=actor)


def test_errors_are_listed_the_worst_first(cohort: Settings) -> None:
    card = load_card("idc")
    assert RIGHT < card.threshold < LEFT
    tiles = listed(cohort)
    assert (tiles.total, tiles.n_units) == (4, 16)
    assert {one.slide_id for one in tiles.items} == {"alarm"}
    assert [one.region.x for one in tiles.items if one.region] == [0, 0, 200, 200]
    assert all(one.wrongness == pytest.approx(LEFT - card.threshold, abs=1e-6) for one in tiles.items)
    assert listed(cohort, FN).total == 0
    (missed,) = listed(cohort, FN, Level.SLIDE).items
    assert (missed.slide_id, missed.region, missed.score) == ("missed", None, 0.4)
    (alarm,) = listed(cohort, FP, Level.SLIDE).items
    assert alarm.slide_id == "alarm"
    page = error_gallery(cohort, REQUEST, direction=FP, level=Level.TILE, start=3, size=2, actor="ann")
    assert (len(page.items), page.total) == (1, 4)


def test_the_second_reader_codes_without_the_first_ones_code(cohort: Settings) -> None:
    item = listed(cohort).items[0]
    code_error(cohort, item, reason=Reason.LYMPHOCYTES, note="a crowd of them", actor="ann")
    order = [one.key for one in listed(cohort, actor="bob").items]
    seen = listed(cohort, actor="bob").items[0]
    assert (seen.own, seen.other, seen.coded) == (None, None, 1)
    assert listed(cohort, actor="vic").items[0].other is not None  # a viewer codes nothing, so nothing is hidden
    code_error(cohort, seen, reason=Reason.CRUSH, actor="bob")
    both = listed(cohort, actor="bob").items[0]
    assert both.own is not None
    assert both.other is not None
    assert (both.own.reason, both.own.role, both.other.reason, both.other.role) == (
        "crush",
        "second",
        "lymphocytes",
        "first",
    )
    assert [one.key for one in listed(cohort, actor="bob").items] == order
    with pytest.raises(ConflictError, match="Two readers"):
        code_error(cohort, item, reason=Reason.OTHER, actor="dan")
    again = code_error(cohort, both, reason=Reason.LYMPHOCYTES, actor="bob")
    assert (again.role, again.supersedes) == ("second", both.own.error_id)
    agreement = listed(cohort).agreement
    assert agreement.n == 1
    assert agreement.estimates["po"].value == 1
    assert listed(cohort, actor="bob").codes[Reason.LYMPHOCYTES] == 1
    assert verify_log(cohort).ok


def test_who_may_not_see_or_mark_codes_nothing(cohort: Settings) -> None:
    item = listed(cohort).items[0]
    before = verify_log(cohort).rows
    for actor in ("vic", "quinn", "nobody"):
        with pytest.raises(NotAllowedError):
            code_error(cohort, item, reason=Reason.OTHER, actor=actor)
    with pytest.raises(InputError, match="500"):
        code_error(cohort, item, reason=Reason.OTHER, note="x" * 501, actor="ann")
    assert verify_log(cohort).rows == before
    ask(cohort, "cleo", case_id="ALARM")
    assert listed(cohort, actor="cleo").total == 0
    assert listed(cohort, actor="cleo").hidden == 1
    with pytest.raises(ConflictError, match="hidden"):
        code_error(cohort, item, reason=Reason.OTHER, actor="cleo")
    with pytest.raises(NotFoundError, match="hidden"):
        error_picture(cohort, "alarm", item.region, px=32, actor="cleo")


def test_coding_an_error_shows_the_result_so_a_later_read_is_after_the_model(cohort: Settings) -> None:
    code_error(cohort, listed(cohort, actor="bob").items[0], reason=Reason.ARTEFACT, actor="bob")
    assert review.record_read(cohort, "ALARM", BENIGN, actor="bob").stage.value == "after_model"


def test_the_agreement_of_two_readers_by_hand(cohort: Settings) -> None:
    codes = (("keratin", "keratin"), ("keratin", "calcium"), ("dcis", "dcis"), ("dcis", "dcis"))
    for item, (first, second) in zip(listed(cohort).items, codes, strict=True):
        code_error(cohort, item, reason=Reason(first), actor="ann")
        code_error(cohort, item, reason=Reason(second), actor="bob")
    found = listed(cohort).agreement
    assert found.n == 4
    assert found.estimates["po"].value == pytest.approx(3 / 4)
    chance = (2 * 1 + 2 * 2) / 16  # keratin 2 x 1, dcis 2 x 2, calcium 0 x 1
    assert found.estimates["kappa"].value == pytest.approx((3 / 4 - chance) / (1 - chance))


def test_export_holds_patches_outlines_and_reasons_of_what_the_reader_may_know(cohort: Settings) -> None:
    with pytest.raises(InputError, match="No error"):
        export_errors(cohort, model="idc", actor="ann")
    first, second, third, _ = listed(cohort).items
    code_error(cohort, first, reason=Reason.LYMPHOCYTES, note="crowd", actor="ann")
    code_error(cohort, first, reason=Reason.CRUSH, actor="bob")
    code_error(cohort, second, reason=Reason.KERATIN, actor="ann")
    code_error(cohort, third, reason=Reason.DCIS, actor="bob")
    (missed,) = listed(cohort, FN, Level.SLIDE).items
    code_error(cohort, missed, reason=Reason.LABEL_WRONG, actor="ann")
    with zipfile.ZipFile(io.BytesIO(export_errors(cohort, model="idc", actor="ann"))) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("errors.csv").decode())))
        assert {(row["first_reason"], row["second_reason"]) for row in rows} == {
            ("lymphocytes", "crush"),
            ("keratin", ""),
            ("label_wrong", ""),
        }  # bob's code of the third is not shown to ann, who has not coded it
        patches = [row["patch"] for row in rows if row["patch"]]
        assert len(patches) == 2
        with Image.open(io.BytesIO(archive.read(patches[0]))) as image:
            assert image.size == (load_card("idc").tile_px,) * 2
        marks = classified_marks(json.loads(archive.read("outlines/alarm.geojson")))
        assert len(marks) == 2
        assert any("Lymphocytes / Crush" in name for name, _ in marks)
        assert NOT_FOR_DIAGNOSIS in archive.read("NOTICE.txt").decode()
        assert {row["target"] for row in rows if row["slide_id"] == "missed"} == {"1"}
    with zipfile.ZipFile(io.BytesIO(export_errors(cohort, model="idc", actor="quinn"))) as archive:
        assert len(archive.read("errors.csv").decode().splitlines()) == 5  # quality control codes nothing: all of it
    with pytest.raises(NotAllowedError):
        export_errors(cohort, model="idc", actor="vic")
    with pytest.raises(InputError):
        export_errors(cohort, model="idc_resnet18", actor="ann")


def test_a_picture_shows_the_place_with_its_surroundings(cohort: Settings) -> None:
    region = listed(cohort).items[0].region
    assert error_picture(cohort, "alarm", region, px=60, around=3.0, actor="ann").shape == (60, 60, 3)
    assert max(error_picture(cohort, "alarm", None, px=100, actor="ann").shape[:2]) <= 100


def test_imported_systems_have_no_errors_to_look_at(cohort: Settings) -> None:
    with pytest.raises(NotFoundError):
        error_gallery(
            cohort, replace(REQUEST, model="system:Other", unit=None), direction=FP, level=Level.TILE, actor=CLERK
        )
