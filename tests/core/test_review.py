"""The reveal gate: a diagnosis is locked before the model is shown, and every step is in the log."""

from __future__ import annotations

import pytest
from store_kit import add_slide, flag_of_kind, run_of, save, set_flags

from core.domain import CaseStatus, FlagKind, ReadCategory, ReviewVerdict, SlideStatus
from core.errors import ConflictError, InputError, NotFoundError
from core.services.cases import review
from core.services.cases.worklist import case_detail
from core.settings import Settings
from core.store.records import ReadStage


@pytest.fixture
def case(settings: Settings) -> Settings:
    """A case C1 with one analysed slide."""
    save(settings, run_of(add_slide(settings, "a", case_id="C1"), score=0.05))
    return settings


def told(settings: Settings) -> list[tuple[str, str]]:
    kinds = ("diagnosis.recorded", "model.revealed", "review.recorded", "case.assigned")
    return [(event.actor, event.action) for event in review.case_history(settings, "C1") if event.action in kinds]


def diagnose(settings: Settings, reader: str, category: ReadCategory = ReadCategory.BENIGN) -> ReadStage:
    return review.record_diagnosis(settings, "C1", category=category, actor=reader).stage


def test_hidden_until_a_diagnosis_is_recorded(case: Settings) -> None:
    assert not review.open_case(case, "C1", actor="ann")
    assert diagnose(case, "ann") is ReadStage.BEFORE_MODEL
    assert review.open_case(case, "C1", actor="ann")
    assert told(case) == [("ann", "diagnosis.recorded"), ("ann", "model.revealed")]


def test_whoever_opens_a_read_case_sees_the_result_and_the_log_says_so_once(case: Settings) -> None:
    diagnose(case, "ann")
    assert review.open_case(case, "C1", actor="bob")
    assert review.open_case(case, "C1", actor="bob")
    assert told(case)[2:] == [("bob", "model.revealed")]
    assert diagnose(case, "bob") is ReadStage.AFTER_MODEL


def test_after_a_reveal_the_first_diagnosis_is_marked_so(case: Settings) -> None:
    review.reveal_model(case, "C1", actor="ann")
    review.reveal_model(case, "C1", actor="ann")
    assert diagnose(case, "ann") is ReadStage.AFTER_MODEL
    assert diagnose(case, "bob") is ReadStage.BEFORE_MODEL
    assert told(case) == [
        ("ann", "model.revealed"),
        ("ann", "diagnosis.recorded"),
        ("bob", "diagnosis.recorded"),
        ("bob", "model.revealed"),
    ]
    assert [event.payload["because"] for event in case_detail(case, "C1").reveals] == [
        "chosen by the reader",
        "diagnosis recorded",
    ]


def test_a_second_diagnosis_supersedes_and_both_stay(case: Settings) -> None:
    diagnose(case, "ann", ReadCategory.BENIGN)
    diagnose(case, "bob", ReadCategory.INDETERMINATE)
    assert diagnose(case, "ann", ReadCategory.MALIGNANT) is ReadStage.AFTER_MODEL
    detail = case_detail(case, "C1")
    assert [(one.reader, one.category.value, one.supersedes) for one in detail.diagnoses] == [
        ("ann", "benign", None),
        ("bob", "indeterminate", None),
        ("ann", "malignant", 1),
    ]
    assert (detail.case.diagnosis, detail.case.diagnosis_by) == (ReadCategory.MALIGNANT, "ann")


def test_a_diagnosis_brings_the_flags_up_to_date(case: Settings) -> None:
    diagnose(case, "ann", ReadCategory.MALIGNANT)
    assert [flag.kind for flag in case_detail(case, "C1").flags] == [FlagKind.MODEL_LOWER]
    diagnose(case, "ann", ReadCategory.BENIGN)
    assert case_detail(case, "C1").flags == ()


def test_no_answer_to_what_was_not_shown(case: Settings) -> None:
    with pytest.raises(ConflictError, match="not shown to you"):
        review.record_review(case, "C1", verdict=ReviewVerdict.AGREE, actor="ann")
    diagnose(case, "bob")
    with pytest.raises(ConflictError, match="not shown to you"):
        review.record_review(case, "C1", verdict=ReviewVerdict.AGREE, actor="ann")
    assert case_detail(case, "C1").reviews == ()


def test_no_answer_where_there_is_no_result(settings: Settings) -> None:
    add_slide(settings, "a", case_id="C1")
    review.reveal_model(settings, "C1", actor="ann")
    with pytest.raises(ConflictError, match="No slide of case C1 was analysed"):
        review.record_review(settings, "C1", verdict=ReviewVerdict.AGREE, actor="ann")


def test_a_second_answer_supersedes_and_both_stay(case: Settings) -> None:
    diagnose(case, "ann")
    review.record_review(case, "C1", verdict=ReviewVerdict.UNSURE, note=" look again ", actor="ann")
    review.record_review(case, "C1", verdict=ReviewVerdict.AGREE, actor="ann")
    assert [(one.verdict.value, one.note, one.supersedes) for one in case_detail(case, "C1").reviews] == [
        ("unsure", "look again", None),
        ("agree", "", 1),
    ]


def test_status_follows_the_rows(settings: Settings) -> None:
    slide_id = add_slide(settings, "a", case_id="C1")

    def status() -> CaseStatus:
        return case_detail(settings, "C1").case.status

    assert status() is CaseStatus.UNREAD
    diagnose(settings, "ann")
    assert status() is CaseStatus.READ
    save(settings, run_of(slide_id, score=0.1))
    assert status() is CaseStatus.CONCORDANT
    set_flags(settings, "C1", flag_of_kind(FlagKind.MODEL_HIGHER, slide_id=slide_id))
    assert status() is CaseStatus.FLAGGED
    review.record_review(settings, "C1", verdict=ReviewVerdict.DISAGREE, actor="ann")
    assert status() is CaseStatus.REVIEWED
    assert case_detail(settings, "C1").case.waiting_since is None
    set_flags(settings, "C1", flag_of_kind(FlagKind.MODEL_HIGHER, slide_id=slide_id))
    assert status() is CaseStatus.REVIEWED
    set_flags(settings, "C1", flag_of_kind(FlagKind.QC_LIMITED, slide_id=slide_id))
    assert status() is CaseStatus.FLAGGED
    assert case_detail(settings, "C1").case.waiting_since is not None


def test_a_case_with_a_slide_without_result_is_not_concordant(case: Settings) -> None:
    save(case, run_of(add_slide(case, "b", case_id="C1"), run_id="r2", status=SlideStatus.UNREADABLE))
    diagnose(case, "ann")
    detail = case_detail(case, "C1").case
    assert detail.status is CaseStatus.FLAGGED
    assert detail.slides_failed == (("b", "It broke."),)


def test_assigning_is_logged_once(case: Settings) -> None:
    review.assign(case, "C1", assignee="bob", actor="ann")
    review.assign(case, "C1", assignee="bob", actor="ann")
    assert case_detail(case, "C1").case.assigned_to == "bob"
    review.assign(case, "C1", assignee=None, actor="bob")
    assert case_detail(case, "C1").case.assigned_to is None
    assert told(case) == [("ann", "case.assigned"), ("bob", "case.assigned")]


def test_history_tells_of_the_case_and_its_slides_in_order(case: Settings) -> None:
    save(case, run_of(add_slide(case, "other", case_id="C2"), run_id="r2"))
    events = review.case_history(case, "C1")
    assert [event.action for event in events] == ["case.added", "slide.added", "run.saved"]
    assert [event.seq for event in events] == sorted(event.seq for event in events)


def test_wrong_input_is_refused_before_anything_is_written(case: Settings) -> None:
    for confidence in (0, 6):
        with pytest.raises(InputError, match="between 1"):
            review.record_diagnosis(case, "C1", category=ReadCategory.BENIGN, confidence=confidence, actor="ann")
    with pytest.raises(InputError, match="must be named"):
        review.record_diagnosis(case, "C1", category=ReadCategory.BENIGN, actor=" ")
    for unknown in (
        lambda: review.record_diagnosis(case, "C9", category=ReadCategory.BENIGN, actor="ann"),
        lambda: review.reveal_model(case, "C9", actor="ann"),
        lambda: review.assign(case, "C9", assignee="x", actor="ann"),
        lambda: review.case_history(case, "C9"),
    ):
        with pytest.raises(NotFoundError, match="no case 'C9'"):
            unknown()
    assert told(case) == []
