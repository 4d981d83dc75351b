"""The worklist page by page: order, filters and counts tell nothing that a row hides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from consult_kit import ask, department
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from store_kit import add_slide, flag_of_kind, run_of, save, set_flags

from core.domain import CaseStatus, FlagKind, ReadCategory, ReviewVerdict
from core.errors import InputError, NotAllowedError
from core.services.cases import review
from core.services.cases.worklist import CaseRow
from core.services.cases.worklist_pages import WorklistOrder, WorklistPage, WorklistQuery, worklist_names, worklist_page
from core.settings import Settings
from core.vocabulary import Blinding

LEVELS = (0.95, 0.05, 0.6, 0.3)


def add(settings: Settings, name: str, *, score: float, read: ReadCategory | None = None, by: str = "ann") -> str:
    slide_id = add_slide(settings, f"slide-{name}", case_id=name)
    department(settings)
    run = run_of(slide_id, run_id=f"run-{name}", score=score)
    save(settings, replace(run, qc={**(run.qc or {}), "carrying_artefact_fraction": 0.1}))
    if read is not None:
        review.record_diagnosis(settings, name, category=read, actor=by)
    return slide_id


def names(page: WorklistPage) -> list[str]:
    return [case.row.case_id for case in page.cases]


@pytest.fixture
def cohort(settings: Settings) -> Settings:
    """Four benign reads, best first by benefit: r0, r2, r3, r1; then u0 and u1, unread, whose scores differ."""
    for number, score in enumerate(LEVELS):
        add(settings, f"r{number}", score=score, read=ReadCategory.BENIGN)
    add(settings, "u0", score=0.2)
    add(settings, "u1", score=0.99)
    return settings


def test_by_benefit_with_its_parts(cohort: Settings) -> None:
    page = worklist_page(cohort, actor="ann")
    assert names(page) == ["r0", "r2", "r3", "u0", "u1", "r1"]
    parts = page.cases[0].benefit
    assert parts is not None
    assert (parts.severity, parts.probability, parts.quality) == pytest.approx((2.0, 0.95, 0.9))
    assert parts.value == pytest.approx(2 * 0.95 * 0.9)
    assert page.cases[3].benefit is None
    assert [case.row.revealed for case in page.cases] == [True, True, True, False, False, True]


def test_unread_cases_stand_by_waiting_until_they_are_revealed(cohort: Settings) -> None:
    review.reveal_model(cohort, "u1", actor="bob")
    assert names(worklist_page(cohort, actor="bob"))[0] == "u1"
    assert names(worklist_page(cohort, actor="ann")) == ["r0", "r2", "r3", "u0", "u1", "r1"]
    assert names(worklist_page(cohort))[0] == "u1"


@pytest.mark.parametrize("order", WorklistOrder)
def test_swapping_hidden_scores_changes_nothing_for_who_may_not_see_them(tmp_path, order) -> None:
    pages = []
    for number, scores in enumerate([(0.99, 0.02, 0.5), (0.02, 0.99, 0.99), (0.5, 0.02, 0.02)]):
        home = Settings(home=tmp_path / f"home {number}")
        for name, score in zip("abc", scores, strict=True):
            slide_id = add(home, name, score=score)
            kind = FlagKind.ABSTAINED if score == 0.5 else FlagKind.OUT_OF_DISTRIBUTION
            set_flags(home, name, flag_of_kind(kind, slide_id=slide_id))
        found = [worklist_page(home, actor="ann", order=order)]
        found += [
            worklist_page(home, actor="ann", order=order, query=WorklistQuery(kinds=(kind,))) for kind in FlagKind
        ]
        pages.append([(names(page), page.total, page.by_status, page.by_kind) for page in found])
        assert [case.row.priority for case in found[0].cases] == [1.0, 1.0, 1.0]
    assert pages[0] == pages[1] == pages[2]


@pytest.mark.parametrize("order", [WorklistOrder.BENEFIT, WorklistOrder.PRIORITY])
def test_a_blinded_case_stands_first_and_tells_nothing(cohort: Settings, order) -> None:
    ask(cohort, "cleo", case_id="r1", blinding=Blinding.FULL)
    page = worklist_page(cohort, actor="cleo", order=order)
    assert names(page)[0] == "r1"
    row, benefit = page.cases[0].row, page.cases[0].benefit
    assert (row.diagnosis, row.diagnosis_by, row.flags, row.waits_for_you, benefit) == (None, None, (), True, None)
    assert row.status is CaseStatus.SECOND_OPINION_REQUESTED
    for query in (
        WorklistQuery(diagnoses=(ReadCategory.BENIGN,)),
        WorklistQuery(kinds=(FlagKind.MODEL_HIGHER, FlagKind.AUDIT_SAMPLE, FlagKind.QC_LIMITED)),
        WorklistQuery(statuses=(CaseStatus.CONCORDANT, CaseStatus.FLAGGED)),
    ):
        assert "r1" not in names(worklist_page(cohort, actor="cleo", query=query))
    open_view = worklist_page(cohort, actor="bob", query=WorklistQuery(diagnoses=(ReadCategory.BENIGN,)))
    assert "r1" in names(open_view)


def test_who_is_blinded_but_for_the_first_read_may_filter_by_it(cohort: Settings) -> None:
    ask(cohort, "cleo", case_id="r0", blinding=Blinding.MODEL_HIDDEN)
    page = worklist_page(cohort, actor="cleo", query=WorklistQuery(diagnoses=(ReadCategory.BENIGN,)))
    assert names(page)[0] == "r0"
    assert page.by_kind[FlagKind.MODEL_HIGHER] == 1  # r2, not r0
    assert worklist_page(cohort, actor="bob").by_kind[FlagKind.MODEL_HIGHER] == 2


def test_an_assignee_is_a_name_that_blinding_may_hide(cohort: Settings) -> None:
    review.assign(cohort, "r0", assignee="ann", actor="ann")
    ask(cohort, "cleo", case_id="r0")
    assert names(worklist_page(cohort, actor="cleo", query=WorklistQuery(assigned_to="ann"))) == []
    assert "r0" in names(worklist_page(cohort, actor="cleo", query=WorklistQuery(unassigned=True)))
    assert names(worklist_page(cohort, actor="bob", query=WorklistQuery(assigned_to="ann"))) == ["r0"]
    assert "r0" not in names(worklist_page(cohort, actor="bob", query=WorklistQuery(unassigned=True)))


def test_counts_and_pages(cohort: Settings) -> None:
    whole = worklist_page(cohort, actor="ann")
    assert (whole.total, sum(whole.by_status.values())) == (6, 6)
    assert whole.by_status[CaseStatus.UNREAD] == 2
    assert whole.by_status[CaseStatus.FLAGGED] == whole.by_kind[FlagKind.MODEL_HIGHER] == 2
    parts = [names(worklist_page(cohort, actor="ann", offset=start, limit=2)) for start in (0, 2, 4, 6)]
    assert [name for part in parts for name in part] == names(whole)
    flagged = worklist_page(cohort, actor="ann", query=WorklistQuery(statuses=(CaseStatus.FLAGGED,)), limit=1)
    assert (flagged.total, names(flagged)) == (2, ["r0"])
    assert flagged.by_status == whole.by_status


@pytest.mark.parametrize(
    ("text", "expected"), [("r", {"r0", "r1", "r2", "r3"}), ("R0", {"r0"}), ("_", set()), ("%", set()), (" ", 6)]
)
def test_search_takes_letters_as_they_are(cohort: Settings, text: str, expected) -> None:
    page = worklist_page(cohort, actor="ann", query=WorklistQuery(text=text))
    assert (page.total if isinstance(expected, int) else set(names(page))) == expected


def test_a_settled_case_goes_last(cohort: Settings) -> None:
    review.record_review(cohort, "r0", verdict=ReviewVerdict.AGREE, actor="ann")
    for order in (WorklistOrder.BENEFIT, WorklistOrder.PRIORITY, WorklistOrder.WAITING):
        assert names(worklist_page(cohort, actor="ann", order=order))[-1] == "r0"
    assert names(worklist_page(cohort, actor="ann", order=WorklistOrder.CASE))[0] == "r0"


@pytest.fixture(scope="module")
def department_home(tmp_path_factory) -> Settings:
    """Cases in every state that a list shows differently, as ann, bob and cleo (blinded on four) see them."""
    home = Settings(home=tmp_path_factory.mktemp("department") / "home")
    for number, score in enumerate((0.95, 0.05, 0.6, 0.3, 0.5, 0.8)):
        add(home, f"r{number}", score=score, read=list(ReadCategory)[number % 3], by="ann" if number % 2 else "bob")
    for number, score in enumerate((0.2, 0.99, 0.7)):
        add(home, f"u{number}", score=score)
    add_slide(home, "slide-w", case_id="w")
    review.reveal_model(home, "u1", actor="ann")
    review.assign(home, "r1", assignee="ann", actor="ann")
    review.assign(home, "u2", assignee="cleo", actor="ann")
    review.record_review(home, "r3", verdict=ReviewVerdict.AGREE, actor="ann")
    ask(home, "cleo", case_id="r1", blinding=Blinding.FULL)
    ask(home, "cleo", case_id="r2", blinding=Blinding.MODEL_HIDDEN, actor="bob")
    ask(home, None, pool="consultants", case_id="r4", actor="bob")
    set_flags(home, "u0", flag_of_kind(FlagKind.NO_RESULT, slide_id="slide-u0"))
    return home


wanted = st.builds(
    WorklistQuery,
    text=st.sampled_from(("", "r", "slide-u", "benign", "ann", "1 r")),
    statuses=st.lists(st.sampled_from(CaseStatus), max_size=2).map(tuple),
    kinds=st.lists(st.sampled_from((FlagKind.MODEL_HIGHER, FlagKind.NO_RESULT)), max_size=1).map(tuple),
    diagnoses=st.lists(st.sampled_from(ReadCategory), max_size=2).map(tuple),
    assigned_to=st.sampled_from((None, None, "ann", "cleo")),
    unsettled=st.booleans(),
    awaited=st.booleans(),
)


@given(query=wanted, order=st.sampled_from(WorklistOrder), actor=st.sampled_from((None, "ann", "bob", "cleo")))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_query_is_a_filter_of_what_the_rows_show_and_keeps_their_order(department_home, query, order, actor) -> None:
    whole = worklist_page(department_home, actor=actor, order=order)
    found = worklist_page(department_home, actor=actor, order=order, query=query)
    assert names(found) == [case.row.case_id for case in whole.cases if _fits(case.row, query)]
    assert found.total == len(found.cases)
    second = worklist_page(department_home, actor=actor, order=order, query=query, offset=3, limit=3)
    assert names(second) == names(found)[3:6]
    around = worklist_page(department_home, actor=actor, query=replace(query, statuses=(), kinds=()))
    assert found.by_status == {one: sum(case.row.status is one for case in around.cases) for one in CaseStatus}
    if actor is not None:
        assert worklist_names(department_home, actor=actor, order=order, query=query) == tuple(names(found))


def _fits(row: CaseRow, query: WorklistQuery) -> bool:
    told = f"{row.case_id} slide-{row.case_id} {row.site or ''} {row.diagnosis or ''} {row.diagnosis_by or ''} "
    told += row.assigned_to or ""
    return (
        all(word in told.lower() for word in query.text.split())
        and (not query.statuses or row.status in query.statuses)
        and (not query.kinds or any(flag.kind in query.kinds for flag in row.flags))
        and (not query.diagnoses or row.diagnosis in query.diagnoses)
        and (query.assigned_to is None or row.assigned_to == query.assigned_to)
        and (not query.unsettled or row.waiting_since is not None)
        and (not query.awaited or row.waits_for_you)
    )


def test_lowest_quality_first_and_what_has_none_before_all(cohort: Settings) -> None:
    add_slide(cohort, "slide-w", case_id="w")
    slide_id = add_slide(cohort, "slide-p", case_id="p")
    poor = run_of(slide_id, run_id="run-p")
    save(cohort, replace(poor, qc={**(poor.qc or {}), "score": 0.1}))
    assert names(worklist_page(cohort, actor="ann", order=WorklistOrder.QUALITY))[:2] == ["w", "p"]


def test_who_may_look_and_what_is_no_page(cohort: Settings) -> None:
    with pytest.raises(NotAllowedError):
        worklist_page(cohort, actor="nobody at all")
    for offset, limit in ((-1, 10), (0, 0), (0, 1_001)):
        with pytest.raises(InputError):
            worklist_page(cohort, actor="ann", offset=offset, limit=limit)
