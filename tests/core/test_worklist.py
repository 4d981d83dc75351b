"""The worklist: possible missed disease first, no slide missing, and no word of a hidden result."""

from __future__ import annotations

import random

import pytest
from store_kit import add_slide, flag_of_kind, listed, run_of, save, set_flags

from core.domain import BANDS, CaseStatus, FlagKind, ReadCategory, ReviewVerdict, SlideStatus
from core.errors import NotFoundError
from core.services.cases import review
from core.services.cases.worklist import case_detail
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.overview import overview


def add_case(
    settings: Settings, name: str, *, score: float | None = 0.1, flag: FlagKind | None = None, flag_score: float = 0.5
) -> None:
    slide_id = add_slide(settings, f"slide-{name}", case_id=name)
    if score is not None:
        save(settings, run_of(slide_id, run_id=f"run-{name}", score=score))
    set_flags(settings, name, *([] if flag is None else [flag_of_kind(flag, score=flag_score, slide_id=slide_id)]))


def test_likely_missed_disease_comes_first(settings: Settings) -> None:
    wanted = [
        ("missed for sure", {"flag": FlagKind.MODEL_HIGHER, "flag_score": 0.9}),
        ("missed perhaps", {"flag": FlagKind.MODEL_HIGHER, "flag_score": 0.1}),
        ("over-call", {"flag": FlagKind.MODEL_LOWER, "flag_score": 1.0}),
        ("no call", {"flag": FlagKind.ABSTAINED}),
        ("artefact", {"flag": FlagKind.QC_LIMITED}),
        ("no result", {"flag": FlagKind.NO_RESULT, "score": None}),
        ("unread, high", {"score": 0.95}),
        ("unread, at the threshold", {"score": 0.5}),
        ("unread, below", {"score": 0.45}),
        ("unread, low", {"score": 0.05}),
        ("waiting for analysis", {"score": None}),
    ]
    shuffled = wanted[:]
    random.Random(1).shuffle(shuffled)  # noqa: S311
    for name, what in shuffled:
        add_case(settings, name, **what)
    assert [row.case_id for row in listed(settings)] == [name for name, _ in wanted]


def test_a_reviewed_case_goes_last_and_waits_no_more(settings: Settings) -> None:
    add_case(settings, "reviewed", flag=FlagKind.MODEL_HIGHER)
    add_case(settings, "dull", score=None)
    review.reveal_model(settings, "reviewed", actor="ann")
    review.record_review(settings, "reviewed", verdict=ReviewVerdict.AGREE, actor="ann")
    rows = listed(settings)
    assert [(row.case_id, row.status, row.waiting_since is None) for row in rows] == [
        ("dull", CaseStatus.UNREAD, False),
        ("reviewed", CaseStatus.REVIEWED, True),
    ]


def test_ties_go_to_whoever_waits_longest(settings: Settings) -> None:
    for name in ("z", "a", "m"):
        add_case(settings, name, score=0.2)
    assert [row.case_id for row in listed(settings)] == ["z", "a", "m"]


def test_a_row_tells_of_every_slide(settings: Settings) -> None:
    for name in ("s1", "s2", "s3", "s4"):
        add_slide(settings, name, case_id="C1")
    save(settings, run_of("s1", run_id="1", score=0.3))
    save(settings, run_of("s2", run_id="2", score=0.8))
    save(settings, run_of("s3", run_id="3", status=SlideStatus.NO_MPP))
    (row,) = listed(settings)
    assert (row.slides, row.slides_pending, row.slides_failed) == (4, 1, (("s3", "It broke."),))
    assert (row.model_label, row.model_score, row.qc_score) == ("idc", 0.8, 0.8)
    assert row.thumbnail_path == settings.home / "results" / "s2" / "2" / "thumbnail.jpg"
    assert row.carried_by == (
        "s2 carries the case: its score of 0.80 lies furthest above its threshold 0.50, of 2 slides with a result. "
        "Without a result, and so neither negative nor positive: s3 (no mpp), s4 (not analysed yet)."
    )
    assert row.without_result in row.carried_by
    save(settings, run_of("s2", run_id="4", score=0.2))
    assert listed(settings)[0].model_score == 0.3


def test_only_the_flags_of_the_latest_evaluation_count(settings: Settings) -> None:
    add_case(settings, "C1", flag=FlagKind.MODEL_HIGHER)
    set_flags(settings, "C1", flag_of_kind(FlagKind.QC_LIMITED), flag_of_kind(FlagKind.ABSTAINED))
    assert [flag.kind for flag in listed(settings)[0].flags] == [FlagKind.ABSTAINED, FlagKind.QC_LIMITED]
    set_flags(settings, "C1")
    assert listed(settings)[0].flags == ()


def test_the_list_does_not_tell_what_the_case_page_hides(settings: Settings) -> None:
    add_case(settings, "C1", score=0.9, flag=FlagKind.ABSTAINED)
    slide = "slide-C1"
    set_flags(
        settings, "C1", flag_of_kind(FlagKind.ABSTAINED, slide_id=slide), flag_of_kind(FlagKind.QC_LIMITED, score=0.3)
    )
    (hidden,) = listed(settings, actor="ann")
    assert (hidden.revealed, hidden.model_label, hidden.model_score) == (False, None, None)
    assert hidden.carried_by == ""
    assert [flag.kind for flag in hidden.flags] == [FlagKind.QC_LIMITED]
    assert hidden.priority == BANDS[FlagKind.QC_LIMITED], "nor does its place"
    assert case_detail(settings, "C1", actor="ann").case.priority == BANDS[FlagKind.QC_LIMITED]
    review.reveal_model(settings, "C1", actor="ann")
    (shown,) = listed(settings, actor="ann")
    assert (shown.revealed, shown.model_label, shown.model_score, len(shown.flags)) == (True, "idc", 0.9, 2)
    assert not listed(settings, actor="bob")[0].revealed
    review.record_diagnosis(settings, "C1", category=ReadCategory.BENIGN, actor="cleo")
    assert listed(settings, actor="bob")[0].revealed


def test_detail_and_row_agree(settings: Settings) -> None:
    for number in range(5):
        add_case(settings, f"C{number}", score=number / 5, flag=list(FlagKind)[number])
    for row in listed(settings):
        detail = case_detail(settings, row.case_id)
        assert detail.case == row
        assert detail.flags == row.flags
        (slide,) = detail.slides
        assert detail.runs[slide.slide_id].decision_score == row.model_score
        assert detail.qc[slide.slide_id]["score"] == row.qc_score
    with pytest.raises(NotFoundError, match="no case 'C9'"):
        case_detail(settings, "C9")


def test_the_number_of_queries_does_not_grow_with_the_cases(settings: Settings) -> None:
    def queries() -> int:
        seen: list[str] = []
        with open_log(settings) as database, reading(database):
            database.conn.set_trace_callback(seen.append)
            overview(database)
        return sum(statement.lstrip().startswith("SELECT") for statement in seen)

    add_case(settings, "first", flag=FlagKind.MODEL_HIGHER)
    few = queries()
    for number in range(15):
        add_case(settings, f"C{number}", flag=FlagKind.MODEL_LOWER)
    assert queries() == few == 5
