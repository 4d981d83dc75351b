"""The table of moves: every way from the first read to the signature, and none beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from consult_kit import BENIGN, MAJOR, ask, flagged_case, give, settled, status, third_reader
from hypothesis import given
from hypothesis import strategies as st
from store_kit import add_slide, flag_of_kind, run_of, save, set_flags

from core.domain import CaseStatus, FlagKind, ReadCategory
from core.errors import ConflictError
from core.services.cases import review
from core.services.consultations import consult, resolution
from core.settings import Settings
from core.states import BASE, TRANSITIONS, Step, advance, in_words, possible, refusal, step_between
from core.store.case_states import changes_of_case
from core.store.connection import open_log, reading
from core.vocabulary import ResolutionMethod

S = CaseStatus

WAY = [
    (S.UNREAD, Step.LOCK_READ, S.READ),
    (S.READ, Step.FLAG, S.FLAGGED),
    (S.FLAGGED, Step.REQUEST, S.SECOND_OPINION_REQUESTED),
    (S.SECOND_OPINION_REQUESTED, Step.RECEIVE, S.OPINION_RECEIVED),
    (S.OPINION_RECEIVED, Step.COMPARE_OPINION, S.OPINION_RECEIVED),
    (S.OPINION_RECEIVED, Step.ADJUDICATE, S.ADJUDICATION),
    (S.ADJUDICATION, Step.REQUEST_ADJUDICATOR, S.ADJUDICATION),
    (S.ADJUDICATION, Step.RECEIVE, S.ADJUDICATION),
    (S.ADJUDICATION, Step.RESOLVE, S.RESOLVED),
    (S.RESOLVED, Step.SIGN, S.SIGNED),
    (S.SIGNED, Step.REOPEN, S.READ),
]


@pytest.mark.parametrize(("before", "step", "after"), WAY)
def test_the_way_of_the_field(before: CaseStatus, step: Step, after: CaseStatus) -> None:
    assert advance(before, step) is after


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (S.UNREAD, {"lock_read", "compare", "clear", "flag", "answer"}),
        (S.FLAGGED, {"lock_read", "compare", "clear", "flag", "answer", "request"}),
        (S.SECOND_OPINION_REQUESTED, {"lock_read", "answer", "request", "receive_one", "receive", "cancel"}),
        (S.OPINION_RECEIVED, {"lock_read", "answer", "request", "compare_opinion", "agree", "adjudicate"}),
        (S.AGREED, {"lock_read", "answer", "resolve"}),
        (S.RESOLVED, {"sign", "reopen"}),
        (S.SIGNED, {"sign", "reopen"}),
    ],
)
def test_what_is_possible_and_nothing_else(state: CaseStatus, steps: set[str]) -> None:
    assert {step.value for step in possible(state)} == steps


@given(st.sampled_from(CaseStatus), st.sampled_from(Step))
def test_what_is_not_in_the_table_is_refused_in_words(state: CaseStatus, step: Step) -> None:
    if (state, step) in TRANSITIONS:
        assert advance(state, step) in CaseStatus
    else:
        with pytest.raises(ConflictError) as err:
            advance(state, step)
        assert str(err.value) == refusal(state, step)
        assert in_words(state) in str(err.value)


def test_no_resolution_without_an_opinion_and_no_signature_without_a_resolution() -> None:
    """From unread, every path to signed goes through an opinion and a resolution."""

    def reachable(without: Step) -> set[CaseStatus]:
        found, fresh = {S.UNREAD}, [S.UNREAD]
        while fresh:
            state = fresh.pop()
            for (before, step), after in TRANSITIONS.items():
                if before is state and step is not without and after not in found:
                    found.add(after)
                    fresh.append(after)
        return found

    assert reachable(Step.REOPEN) == set(CaseStatus)
    assert S.SIGNED not in reachable(Step.RECEIVE)
    assert S.SIGNED not in reachable(Step.RESOLVE)
    assert S.SIGNED not in reachable(Step.REQUEST)


def test_only_a_reopening_leads_back_from_what_is_resolved() -> None:
    for (before, step), after in TRANSITIONS.items():
        if before in (S.RESOLVED, S.SIGNED) and after not in (S.RESOLVED, S.SIGNED):
            assert step is Step.REOPEN
        if before not in BASE and after in BASE:
            assert step in (Step.REOPEN, Step.CANCEL)


@given(st.sampled_from(BASE), st.sampled_from(BASE))
def test_what_arrives_moves_a_case_between_all_states_before_a_request(before: CaseStatus, after: CaseStatus) -> None:
    if after is S.UNREAD and before is not S.REVIEWED:
        with pytest.raises(ConflictError):
            step_between(before, after)
    else:
        assert advance(before, step_between(before, after)) is after


# -- in the log -------------------------------------------------------------------------------------------------------


def moves(settings: Settings) -> list[tuple[str, str, str]]:
    with open_log(settings) as database, reading(database):
        found = changes_of_case(database, "C1")
    return [(one.step, one.from_state.value, one.to_state.value) for one in found]


def test_compared_while_other_slides_wait(settings: Settings) -> None:
    save(settings, run_of(add_slide(settings, "a", case_id="C1"), score=0.05))
    add_slide(settings, "b", case_id="C1")
    review.record_diagnosis(settings, "C1", category=ReadCategory.BENIGN, actor="ann")
    assert status(settings) is S.COMPARED
    save(settings, run_of("b", run_id="r2", score=0.05))
    assert status(settings) is S.CONCORDANT
    assert moves(settings) == [
        ("lock_read", "unread", "first_read_locked"),
        ("compare", "first_read_locked", "compared"),
    ]


def test_moves_form_one_unbroken_line_in_the_table(settings: Settings) -> None:
    flagged_case(settings)
    settled(settings)
    resolution.reopen(settings, "C1", reason="New levels were cut", actor="ann")
    opinion = give(settings, ask(settings, "bob"), BENIGN, actor="bob")
    resolution.compare(settings, opinion.opinion_id, MAJOR, actor="ann")
    resolution.agree(settings, "C1", actor="ann")
    new = replace(third_reader(opinion.read.diagnosis_id), method=ResolutionMethod.SECOND_ADOPTED)
    resolution.resolve(settings, "C1", new, actor="ann")
    found = moves(settings)
    assert [before for _, before, _ in found] == ["unread", *(after for *_, after in found[:-1])]
    for step, before, after in found:
        assert TRANSITIONS[CaseStatus(before), Step(step)] is CaseStatus(after)
    assert status(settings) is S.RESOLVED


def test_a_flag_that_comes_during_a_consultation_moves_nothing(settings: Settings) -> None:
    slide_id = flagged_case(settings)
    asked = ask(settings)
    set_flags(settings, "C1", flag_of_kind(FlagKind.QC_LIMITED, slide_id=slide_id))
    assert status(settings) is S.SECOND_OPINION_REQUESTED
    assert consult.withdraw(settings, asked.consultation_id, reason="x", actor="ann") is S.FLAGGED
    set_flags(settings, "C1")
    assert status(settings) is S.CONCORDANT


def test_a_log_from_before_the_states_goes_on(settings: Settings) -> None:
    """Rows without any recorded move, as an upgraded log has them."""
    slide_id = add_slide(settings, "a", case_id="C1")
    save(settings, run_of(slide_id, score=0.95))
    review.record_diagnosis(settings, "C1", category=ReadCategory.BENIGN, actor="ann")
    with open_log(settings) as database:
        database.conn.execute("DROP TRIGGER case_states_no_delete")
        database.conn.execute("DELETE FROM case_states")
    assert moves(settings) == []
    assert status(settings) is S.FLAGGED
    ask(settings)
    assert moves(settings) == [
        ("flag", "unread", "flagged"),
        ("request", "flagged", "second_opinion_requested"),
    ]
