"""Evaluation from the log: references, units, what is hidden from whom, other systems, tables of labels, overlap."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from consult_kit import BENIGN, MALIGNANT, ask
from evaluation_kit import LEFT, add_run, add_slide
from people_kit import CLERK, enrol

from core.domain import SlideStatus
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Role
from core.services.cases import review
from core.services.cases.visibility import visibility
from core.services.catalogue import verify_log
from core.services.evaluation.choices import evaluation_choices, import_labels
from core.services.evaluation.compare import compare_models
from core.services.evaluation.figures import evaluate, prepare
from core.services.evaluation.lesion_overlap import lesion_slides, overlap_picture, overlap_row, score_overlap
from core.services.evaluation.values import Cohort, EvaluationRequest, Unit
from core.services.evaluation.view import tradeoff, view_at
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.imports import NewPrediction, insert_prediction

TRUTH = EvaluationRequest("idc", "truth")


@pytest.fixture
def cohort(settings: Settings, tmp_path: Path) -> Settings:
    """Five cases: a hit of two slides, a miss, a clear one, a false alarm, and one without a result."""
    enrol(settings, "ann", "bob", roles=(Role.PATHOLOGIST,))
    enrol(settings, "cleo", roles=(Role.CONSULTANT,))
    enrol(settings, "Eve", roles=(Role.LEAD,))
    enrol(settings, "vic", roles=(Role.VIEWER,))
    for name, case, outline, score, site in (
        ("hit", "HIT", "Tumor", 0.95, "North"),
        ("hit-2", "HIT", "Artefact: fold", 0.2, "North"),
        ("missed", "MISSED", "Tumor", 0.4, "North"),
        ("clear", "CLEAR", "Artefact: fold", 0.3, "South"),
        ("alarm", "ALARM", "Artefact: fold", 0.85, "South"),
    ):
        add_run(settings, add_slide(settings, tmp_path, name, outline=outline, case=case, site=site), score)
    empty = add_slide(settings, tmp_path, "empty", outline="Tumor", case="EMPTY", site="South")
    add_run(settings, empty, 0, status=SlideStatus.NO_TISSUE)
    for case, answer in (("HIT", MALIGNANT), ("MISSED", BENIGN), ("CLEAR", BENIGN), ("ALARM", BENIGN)):
        review.record_read(settings, case, answer, actor="ann")
    return settings


def test_slides_against_the_truth_by_hand(cohort: Settings) -> None:
    found = evaluate(cohort, TRUTH, actor=CLERK)
    assert (found.unit, len(found.units), found.n_slides, found.n_cases) == (Unit.SLIDE, 5, 5, 4)
    assert (found.n_positive, found.n_tiles) == (2, 40)
    # truth: hit .95, missed .4; without: hit-2 .2, clear .3, alarm .85 -> .95 above 3, .4 above 2 of 3
    assert found.auc.estimate.value == pytest.approx(5 / 6)
    assert found.threshold == pytest.approx(0.7795)
    assert found.at.table.matrix == ((2, 1), (1, 1))
    assert found.at.called == 2
    assert found.left_out.without_result == {"empty": "There is no tissue."}
    assert {one.name: one.n for one in found.at.subgroups if one.by == "site"} == {"North": 3, "South": 2}
    assert {one.name for one in found.at.subgroups if one.by == "quality"} == {
        "good (0.9 or more)",
        "poor (below 0.75)",
    }
    never, dark = found.baselines
    assert never.table.matrix == ((3, 0), (2, 0))
    assert never.table.accuracy == 3 / 5
    assert dark.auc.value == pytest.approx(5 / 6)  # darkness follows the score in these slides
    assert {row.name for row in found.rules} == {"top_k_mean", "mean"}
    assert found.tiles is not None
    assert (found.tiles.n_tiles, found.tiles.n_positive, found.tiles.n_slides, found.tiles.n_cases) == (40, 8, 5, 4)
    # 8 tumour tiles at .9 against 12 others at .9 and 20 at .2
    assert found.tiles.auc.estimate.value == pytest.approx((8 * 20 + 8 * 12 / 2) / (8 * 32))
    assert found.tiles.table.matrix == ((20, 12), (0, 8))


def test_a_case_is_as_suspicious_as_its_most_suspicious_slide(cohort: Settings) -> None:
    found = evaluate(cohort, replace(TRUTH, unit=Unit.CASE), actor=CLERK)
    assert sorted(zip(found.units.ids, found.units.score.tolist(), strict=True)) == [
        ("ALARM", 0.85),
        ("CLEAR", 0.3),
        ("HIT", 0.95),
        ("MISSED", 0.4),
    ]
    assert found.units.slide_ids[found.units.ids.index("HIT")] == "hit"
    (ann,) = found.readers
    assert (ann.reader, ann.n) == ("ann", 4)
    assert (ann.sensitivity.value, ann.specificity.value) == (0.5, 1.0)
    assert "EMPTY" in found.left_out.without_result


def test_a_threshold_moves_matrix_rate_and_cost(cohort: Settings) -> None:
    found = evaluate(cohort, TRUTH, actor=CLERK)
    assert view_at(found, 0.35).table.matrix == ((2, 1), (0, 2))
    moved = tradeoff(found.operating, 0.35, false_negative_cost=10)
    assert (moved.missed, moved.false_alarms, moved.called, moved.cost) == (0, 1, 3, 1)
    assert moved.flag_rate == 0.6
    assert moved.looks_per_hit == 1.5
    there = tradeoff(found.operating, found.threshold, false_negative_cost=10)
    assert there.cost == 11
    assert 0.3 < there.cheapest_threshold < 0.4
    assert there.cheapest_cost == 1
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(InputError):
            view_at(found, wrong)
    with pytest.raises(InputError):
        tradeoff(found.operating, 0.5, false_negative_cost=-1)


def test_a_reader_is_a_reference_by_reads_before_the_model_only(cohort: Settings) -> None:
    review.record_read(cohort, "ALARM", MALIGNANT, actor="bob")
    review.reveal_model(cohort, "CLEAR", actor="bob")
    review.record_read(cohort, "CLEAR", BENIGN, actor="bob")
    found = evaluate(cohort, EvaluationRequest("idc", "reader:bob"), actor="Eve")
    assert (found.unit, found.units.ids) == (Unit.CASE, ("ALARM",))
    assert "after the model" in found.left_out.without_label["CLEAR"]
    assert found.left_out.without_label["HIT"] == "its case was not read"
    assert any("not the truth" in sentence for sentence in found.caution)
    divided = evaluate(cohort, EvaluationRequest("idc", "reader:ann"), actor="Eve")
    assert divided.at.table.matrix == ((2, 1), (0, 1))
    with pytest.raises(NotFoundError):
        evaluate(cohort, EvaluationRequest("idc", "reader:nobody"), actor="Eve")


def test_consensus_needs_two_and_leaves_out_the_divided(cohort: Settings) -> None:
    for case, answer in (("HIT", MALIGNANT), ("ALARM", MALIGNANT)):
        review.record_read(cohort, case, answer, actor="bob")
    found = evaluate(cohort, EvaluationRequest("idc", "consensus"), actor=CLERK)
    assert dict(zip(found.units.ids, found.units.truth.tolist(), strict=True)) == {"HIT": True}
    assert found.left_out.without_label["ALARM"] == "its readers are divided"
    assert "fewer than 2" in found.left_out.without_label["CLEAR"]
    assert math.isnan(found.auc.estimate.value)
    assert any("not defined" in sentence for sentence in found.caution)


def test_names_of_readers_are_for_those_who_may_see_profiles(cohort: Settings) -> None:
    review.record_read(cohort, "HIT", MALIGNANT, actor="bob")
    by_case = replace(TRUTH, unit=Unit.CASE)
    assert {one.reader for one in evaluate(cohort, by_case, actor="Eve").readers} == {"ann", "bob"}
    shown = {one.reader for one in evaluate(cohort, by_case, actor="ann").readers}
    assert "ann" in shown
    (other,) = shown - {"ann"}
    assert other.startswith("reader ")
    named = {words for _, words in evaluation_choices(cohort, actor="ann").references}
    assert not any("bob" in words for words in named)
    found = evaluate(cohort, EvaluationRequest("idc", f"reader:{other}"), actor="ann")
    assert "bob" not in found.reference
    with pytest.raises(NotFoundError):
        evaluate(cohort, EvaluationRequest("idc", "reader:bob"), actor="ann")


def test_cases_under_a_blinded_request_and_unread_ones_are_left_out_with_a_count(
    cohort: Settings, tmp_path: Path
) -> None:
    add_run(cohort, add_slide(cohort, tmp_path, "unread", outline="Tumor", case="UNREAD"), 0.99)
    whole = evaluate(cohort, replace(TRUTH, unit=Unit.CASE), actor=CLERK)
    assert "UNREAD" in whole.units.ids
    ask(cohort, "cleo", case_id="HIT")
    assert not visibility(cohort, "HIT", actor="cleo").model
    found = evaluate(cohort, replace(TRUTH, unit=Unit.CASE), actor="cleo")
    assert set(found.units.ids) == {"MISSED", "CLEAR", "ALARM"}
    assert (found.left_out.blinded, found.left_out.unread) == (1, 2)  # EMPTY was not read either
    assert found.tiles is not None
    assert found.tiles.n_tiles == 24
    assert "HIT" not in {*found.left_out.without_label, *found.left_out.without_result}
    assert "hit" not in {slide for slide, _ in lesion_slides(cohort, "idc", actor="cleo")}
    for ask_for in (overlap_row, overlap_picture):
        with pytest.raises(NotFoundError, match="hidden"):
            ask_for(cohort, "hit", model="idc", threshold=0.5, actor="cleo")
    with pytest.raises(ConflictError, match="hidden"):
        score_overlap(cohort, "hit", run_id="any", threshold=0.5, score=3, actor="cleo")
    ann = evaluate(cohort, replace(TRUTH, unit=Unit.CASE), actor="ann")
    assert "HIT" in ann.units.ids
    assert "UNREAD" not in ann.units.ids
    review.reveal_model(cohort, "UNREAD", actor="ann")
    assert "UNREAD" in evaluate(cohort, replace(TRUTH, unit=Unit.CASE), actor="ann").units.ids


def test_the_hash_follows_what_goes_in(cohort: Settings, tmp_path: Path) -> None:
    def key(actor: str = CLERK, **changes: object) -> str:
        return prepare(cohort, replace(TRUTH, **changes), actor=actor).key  # pyright: ignore[reportArgumentType]

    first = key()
    assert first == key()
    assert len({first, key(unit=Unit.CASE), key(cohort=Cohort(sites=("North",)), actor=CLERK), key(actor="ann")}) == 4
    (tmp_path / "clear.geojson").write_text((tmp_path / "hit.geojson").read_text())
    assert key() != first
    second = key()
    add_run(cohort, "empty", 0.5, model="idc_resnet18")
    assert key() == second
    assert key(unit=Unit.CASE) == key(unit=Unit.CASE)


def test_the_cohort_can_be_cut_by_site(cohort: Settings) -> None:
    found = evaluate(cohort, replace(TRUTH, cohort=Cohort(sites=("South",))), actor=CLERK)
    assert set(found.units.ids) == {"clear", "alarm"}
    choices = evaluation_choices(cohort, actor=CLERK)
    assert choices.sites == ("North", "South")
    assert [name for name, _ in choices.models] == ["idc"]


def test_two_models_are_compared_on_what_both_have_scored(cohort: Settings) -> None:
    for slide, score in (("hit", 0.9), ("missed", 0.95), ("clear", 0.2)):
        add_run(cohort, slide, score, model="idc_resnet18")
    found = compare_models(cohort, TRUTH, "idc_resnet18", actor=CLERK)
    assert (found.paired.n, found.left_out) == (3, 2)
    assert (found.paired.only_first_right, found.paired.only_second_right) == (0, 1)
    with pytest.raises(InputError, match="another model"):
        compare_models(cohort, TRUTH, "idc", actor=CLERK)


def test_another_system_is_a_model_and_a_reference_of_cases(cohort: Settings) -> None:
    with open_log(cohort) as database, writing(database):
        for number, (case, malignant) in enumerate((("HIT", 0.8), ("MISSED", 0.7), ("CLEAR", 0.1))):
            prediction = NewPrediction(
                case_id=case,
                system="Other",
                system_version="1",
                probabilities={"malignant": malignant, "benign": 1 - malignant},
                source="other.csv",
                import_key=str(number),
            )
            insert_prediction(database, prediction, actor=CLERK)
    found = evaluate(cohort, EvaluationRequest("system:Other", "truth"), actor=CLERK)
    assert (found.unit, found.at.table.matrix, found.threshold) == (Unit.CASE, ((1, 0), (0, 2)), 0.5)
    assert found.tiles is None
    against = evaluate(cohort, EvaluationRequest("idc", "system:Other"), actor=CLERK)
    assert against.at.table.matrix == ((1, 0), (1, 1))
    with pytest.raises(InputError, match="whole cases"):
        evaluate(cohort, EvaluationRequest("system:Other", "truth", Unit.SLIDE), actor=CLERK)
    with pytest.raises(InputError, match="own reference"):
        evaluate(cohort, EvaluationRequest("system:Other", "system:Other"), actor=CLERK)


def test_a_table_of_labels_is_taken_in_checked_and_told_by_the_log(cohort: Settings) -> None:
    before = verify_log(cohort).rows
    with pytest.raises(NotAllowedError):
        import_labels(cohort, "board", b"slide_id,label\nhit,1\n", actor="vic")
    for name, content in (
        ("board", b"slide_id,label\nhit,perhaps\n"),
        ("board", b"slide_id,label\nnowhere,1\n"),
        ("../board", b"slide_id,label\nhit,1\n"),
        ("board", b"slide,label\nhit,1\n"),
    ):
        with pytest.raises(InputError):
            import_labels(cohort, name, content, actor=CLERK)
    assert verify_log(cohort).rows == before
    reference = import_labels(cohort, "board", b"slide_id,label,group\nhit,1,P1\nclear,0,P1\nalarm,0,\n", actor=CLERK)
    assert verify_log(cohort).rows == before + 1
    found = evaluate(cohort, EvaluationRequest("idc", reference), actor=CLERK)
    assert dict(zip(found.units.ids, found.units.groups.tolist(), strict=True)) == {
        "alarm": "ALARM",
        "clear": "P1",
        "hit": "P1",
    }
    assert found.left_out.without_label["missed"] == "not in the table"
    assert (reference, "Table of labels: board") in evaluation_choices(cohort, actor=CLERK).references
    with pytest.raises(NotFoundError):
        evaluate(cohort, EvaluationRequest("idc", "labels:../../log"), actor=CLERK)


def test_outlines_against_called_tiles_by_hand(cohort: Settings) -> None:
    row = overlap_row(cohort, "hit", model="idc", threshold=LEFT - 0.01, actor="ann")
    assert (row.figures.dice, row.figures.iou, row.figures.tpr, row.figures.tnr, row.figures.npv) == (1, 1, 1, 1, 1)
    assert row.ceiling == 1
    assert row.figures.both * row.figures.px_mm2 == pytest.approx(400 * 400 * 0.25 / 1e6, rel=1e-6)
    every = overlap_row(cohort, "hit", model="idc", threshold=0.1, actor="ann").figures
    assert (every.tpr, every.tnr, every.iou, every.npv) == (1, 0, 0.5, None)
    none = overlap_row(cohort, "hit", model="idc", threshold=1.0, actor="ann").figures
    assert (none.tpr, none.tnr, none.dice, none.npv) == (0, 1, 0, 0.5)
    picture = overlap_picture(cohort, "hit", model="idc", threshold=1.0, actor="ann")
    left, right = picture.picture[20, 20], picture.picture[20, 60]
    assert left.max() < 100  # annotated and missed: black
    assert (right == 230).all()  # nothing: the thumbnail shines through
    assert np.argmax(overlap_picture(cohort, "hit", model="idc", threshold=0.5, actor="ann").picture[20, 20]) == 2


def test_a_persons_score_of_the_fit_stays_in_the_log(cohort: Settings) -> None:
    run_id = overlap_row(cohort, "hit", model="idc", threshold=0.5, actor="ann").run_id
    for score in (2, 4):
        score_overlap(cohort, "hit", run_id=run_id, threshold=0.5, score=score, actor="ann")
    score_overlap(cohort, "hit", run_id=run_id, threshold=0.5, score=1, actor="bob")
    found = overlap_picture(cohort, "hit", model="idc", threshold=0.5, actor="ann").scores
    assert [(one.reader, one.score) for one in found] == [("ann", 4), ("bob", 1)]
    assert verify_log(cohort).ok
    with pytest.raises(InputError, match="0 to 5"):
        score_overlap(cohort, "hit", run_id=run_id, threshold=0.5, score=6, actor="ann")
    with pytest.raises(NotAllowedError):
        score_overlap(cohort, "hit", run_id=run_id, threshold=0.5, score=1, actor="vic")


def test_damaged_outlines_are_a_sentence_and_kept_tiles_are_read_again(cohort: Settings, tmp_path: Path) -> None:
    first = evaluate(cohort, TRUTH, actor=CLERK)
    kept = sorted((cohort.home / "cache" / "evaluation").glob("*.npz"))
    assert len(kept) == 5
    kept[0].write_bytes(b"not an archive")
    again = evaluate(cohort, TRUTH, actor=CLERK)
    assert again.tiles is not None
    assert first.tiles is not None
    assert again.tiles.auc == first.tiles.auc
    (tmp_path / "alarm.geojson").write_text("{")
    with pytest.raises(InputError, match=r"alarm.geojson is not GeoJSON"):
        evaluate(cohort, EvaluationRequest("idc", "reader:ann"), actor="Eve")
