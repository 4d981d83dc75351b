"""Second opinions from the request to the signature: in order, by whom, once; anything else is refused and kept out."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from consult_kit import BENIGN, MAJOR, MALIGNANT, ask, department, flagged_case, give, settled, status, third_reader
from store_kit import add_slide, run_of, save

from core.domain import CaseStatus, ReadCategory, ReviewVerdict
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.services.cases import review
from core.services.cases.worklist import case_detail
from core.services.consultations import consult, opinion, resolution, signing
from core.services.consultations import lists as consult_lists
from core.services.consultations.answers import Answer
from core.services.consultations.eligibility import eligible_people
from core.services.consultations.lists import Waits
from core.settings import Settings
from core.store.connection import open_log
from core.store.verification import verify
from core.vocabulary import (
    AdditionalWork,
    Blinding,
    ConsultationRole,
    ConsultationState,
    ConsultationType,
    Discordance,
    ReadRole,
    ReportAction,
    ResolutionMethod,
    SignatureMeaning,
    Urgency,
)


@pytest.fixture
def case(settings: Settings) -> Settings:
    """Case C1: benign by ann, malignant by the model."""
    flagged_case(settings)
    return settings


def rows(settings: Settings) -> int:
    """Everything there is in the log: what is refused must leave it as it was."""
    with open_log(settings) as database:
        return sum(database[name].count for name in database.table_names() if not name.startswith("sqlite"))


def refused(settings: Settings, action: Callable[[], object], kind: type[Exception], words: str) -> None:
    before = rows(settings)
    with pytest.raises(kind, match=words):
        action()
    assert rows(settings) == before


def test_the_whole_way_in_the_vocabulary_of_the_field(case: Settings) -> None:
    assert status(case) is CaseStatus.FLAGGED
    settled(case)
    told = consult_lists.case_consult(case, "C1", actor="Eve")
    assert [change.to_state.value for change in told.changes] == [
        "first_read_locked",
        "flagged",
        "second_opinion_requested",
        "opinion_received",
        "adjudication",
        "resolved",
        "signed",
    ]
    assert [change.from_state for change in told.changes[1:]] == [change.to_state for change in told.changes[:-1]]
    assert [(read.reader, read.role, read.category) for read in (one.read for one in told.opinions)] == [
        ("cleo", ReadRole.SECOND, ReadCategory.MALIGNANT),
        ("dan", ReadRole.ADJUDICATOR, ReadCategory.MALIGNANT),
    ]
    assert [one.proposed for one in told.comparisons] == [Discordance.MAJOR]
    assert told.resolutions[0].report_action is ReportAction.AMENDED
    events = [event.action for event in review.case_history(case, "C1")]
    for wanted in ("consultation.requested", "opinion.recorded", "opinion.compared", "resolution.recorded"):
        assert wanted in events
    assert events.count("case.state_changed") == len(told.changes)
    assert verify(case).ok


def test_agreement_needs_no_third_reader(case: Settings) -> None:
    given = give(case, ask(case), BENIGN, actor="cleo")
    resolution.compare(case, given.opinion_id, replace(MAJOR, discordance=Discordance.AGREEMENT), actor="ann")
    assert resolution.agree(case, "C1", actor="ann") is CaseStatus.AGREED
    new = replace(
        third_reader(1), method=ResolutionMethod.FIRST_UPHELD, report_action=ReportAction.NONE, communicated_to=""
    )
    resolution.resolve(case, "C1", new, actor="bob")
    assert status(case) is CaseStatus.RESOLVED


def test_a_second_opinion_never_becomes_the_diagnosis_by_itself(case: Settings) -> None:
    give(case, ask(case), actor="cleo")
    detail = case_detail(case, "C1")
    assert (detail.case.diagnosis, detail.case.diagnosis_by) == (ReadCategory.BENIGN, "ann")
    assert [flag.kind.value for flag in detail.flags] == ["model_higher", "reader_disagreement"]


def test_an_opinion_keeps_what_was_hidden_and_how_long_it_took(case: Settings) -> None:
    given = give(case, ask(case), actor="cleo")
    assert (given.read.blinded_to_model, given.read.blinded_to_first, given.read.seconds_on_case) == (True, True, 94.5)
    assert given.read.stage.value == "before_model"
    assert given.additional_work == (AdditionalWork.NONE,)
    other = flagged_case(case, "C2")
    assert other
    shown = give(case, ask(case, case_id="C2", blinding=Blinding.OPEN), actor="cleo")
    assert (shown.read.blinded_to_model, shown.read.blinded_to_first) == (False, False)
    assert shown.read.stage.value == "after_model"


# -- who ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ann", "ANN", " Ann "])
def test_nobody_reviews_a_read_of_their_own(case: Settings, name: str) -> None:
    refused(case, lambda: ask(case, name, actor="bob"), ConflictError, "has read the case")
    refused(case, lambda: ask(case, name, actor="ann"), ConflictError, "of their own")


def test_nor_an_earlier_reviewer_nor_who_asked_nor_who_answered_the_model(case: Settings) -> None:
    give(case, ask(case), actor="cleo")
    refused(case, lambda: ask(case, "cleo"), ConflictError, "has given an opinion")
    refused(case, lambda: ask(case, "ann", actor="Eve"), ConflictError, "has read the case")
    review.open_case(case, "C1", actor="bob")
    review.record_review(case, "C1", verdict=ReviewVerdict.AGREE, actor="bob")
    refused(case, lambda: ask(case, "bob", blinding=Blinding.OPEN), ConflictError, "has reviewed the model")
    ask(case, "dan", actor="Eve")
    refused(case, lambda: ask(case, "Eve", blinding=Blinding.OPEN), ConflictError, "has asked for an opinion")


def test_the_adjudicator_is_neither_of_the_two(case: Settings) -> None:
    given = give(case, ask(case), actor="cleo")
    resolution.compare(case, given.opinion_id, MAJOR, actor="ann")
    resolution.adjudicate(case, "C1", actor="ann")
    for name in ("ann", "cleo"):
        refused(
            case,
            lambda name=name: ask(case, name, role=ConsultationRole.ADJUDICATOR, actor="bob"),
            ConflictError,
            "neither the author nor an earlier reviewer",
        )
    able = {person.log_name for person in _eligible(case, ConsultationRole.ADJUDICATOR)}
    assert {"bob", "dan", "Eve"} <= able
    assert not able & {"ann", "cleo", "vic", "quinn"}


def _eligible(settings: Settings, role: ConsultationRole, blinding: Blinding = Blinding.FULL) -> tuple:
    return eligible_people(settings, "C1", role=role, blinding=blinding, actor="ann")


def test_the_form_offers_only_those_who_may_be_asked(case: Settings) -> None:
    def names(blinding: Blinding = Blinding.FULL) -> set[str]:
        return {one.log_name for one in _eligible(case, ConsultationRole.SECOND, blinding)} & {
            "ann",
            "bob",
            "cleo",
            "dan",
            "Eve",
            "vic",
            "quinn",
        }

    assert names() == {"bob", "cleo", "dan", "Eve"}
    review.open_case(case, "C1", actor="bob")
    assert names() == {"cleo", "dan", "Eve"}
    assert names(Blinding.OPEN) == {"bob", "cleo", "dan", "Eve"}
    ask(case, "cleo")
    assert names() == {"dan", "Eve"}


def test_who_has_seen_the_result_cannot_be_blinded_any_more(case: Settings) -> None:
    review.open_case(case, "C1", actor="cleo")
    refused(case, lambda: ask(case, "cleo"), ConflictError, "has seen the model's result")
    assert ask(case, "cleo", blinding=Blinding.OPEN).consultant == "cleo"


def test_roles_are_checked_everywhere(case: Settings) -> None:
    for actor in ("vic", "quinn", "nobody", "system", "root (command line)"):
        refused(case, lambda actor=actor: ask(case, actor=actor), NotAllowedError, "may not do this")
    refused(case, lambda: ask(case, "vic"), NotAllowedError, "may not do this")
    refused(case, lambda: ask(case, "nobody"), NotFoundError, "Nobody is named")
    asked = ask(case)
    number = asked.consultation_id
    refused(case, lambda: opinion.acknowledge(case, number, actor="vic"), NotAllowedError, "may not")
    refused(case, lambda: opinion.acknowledge(case, number, actor="dan"), NotAllowedError, "somebody else")
    refused(case, lambda: opinion.decline(case, number, reason="x", actor="dan"), NotAllowedError, "somebody else")
    refused(case, lambda: consult.withdraw(case, number, reason="x", actor="bob"), NotAllowedError, "may not")
    refused(
        case,
        lambda: consult.reassign(case, number, consultant="dan", reason="x", actor="bob"),
        NotAllowedError,
        "may not",
    )
    opinion.acknowledge(case, number, actor="cleo")
    refused(case, lambda: opinion.submit_opinion(case, number, MALIGNANT, actor="dan"), NotAllowedError, "else")
    given = opinion.submit_opinion(case, number, MALIGNANT, actor="cleo")
    refused(case, lambda: resolution.compare(case, given.opinion_id, MAJOR, actor="vic"), NotAllowedError, "may not")
    refused(case, lambda: resolution.adjudicate(case, "C1", actor="quinn"), NotAllowedError, "may not")
    refused(case, lambda: consult_lists.inbox(case, actor="nobody"), NotAllowedError, "may not")


# -- order, twice, two tabs -----------------------------------------------------------------------------------------


def test_out_of_order_is_refused_and_changes_nothing(case: Settings) -> None:
    refused(case, lambda: resolution.agree(case, "C1", actor="ann"), ConflictError, "the case is flagged")
    refused(case, lambda: resolution.resolve(case, "C1", third_reader(1), actor="ann"), ConflictError, "is flagged")
    refused(case, lambda: resolution.reopen(case, "C1", reason="x", actor="ann"), ConflictError, "is flagged")
    refused(case, lambda: ask(case, role=ConsultationRole.ADJUDICATOR), ConflictError, "Asking a third reader")
    refused(case, lambda: sign(case), ConflictError, "Signing the resolution")
    number = ask(case).consultation_id
    refused(case, lambda: opinion.submit_opinion(case, number, MALIGNANT, actor="cleo"), ConflictError, "on first")
    opinion.acknowledge(case, number, actor="cleo")
    given = opinion.submit_opinion(case, number, MALIGNANT, actor="cleo")
    refused(case, lambda: resolution.adjudicate(case, "C1", actor="ann"), ConflictError, "not compared")
    resolution.compare(case, given.opinion_id, MAJOR, actor="ann")
    resolution.adjudicate(case, "C1", actor="ann")
    third = third_reader(given.read.diagnosis_id)
    refused(case, lambda: resolution.resolve(case, "C1", third, actor="ann"), InputError, "No third reader")
    asked = ask(case, "dan", role=ConsultationRole.ADJUDICATOR)
    other = replace(third, method=ResolutionMethod.SECOND_ADOPTED)
    refused(case, lambda: resolution.resolve(case, "C1", other, actor="ann"), ConflictError, "still asked for")
    decided = give(case, asked, actor="dan")
    wrong = third_reader(1)
    refused(case, lambda: resolution.resolve(case, "C1", wrong, actor="ann"), InputError, "an opinion of this round")
    resolution.resolve(case, "C1", third_reader(decided.read.diagnosis_id), actor="ann")
    refused(case, lambda: ask(case, "bob"), ConflictError, "Reopen it first")
    refused(case, lambda: review.record_read(case, "C1", BENIGN, actor="ann"), ConflictError, "Reopen it first")
    assert verify(case).ok


def sign(settings: Settings, *, name: str = "ann", actor: str = "ann") -> object:
    return signing.sign_resolution(
        settings, "C1", meaning=SignatureMeaning.RESPONSIBILITY, printed_name=name, actor=actor
    )


def test_twice_is_refused(case: Settings) -> None:
    number = ask(case).consultation_id
    refused(case, lambda: ask(case), ConflictError, "awaited already")
    opinion.acknowledge(case, number, actor="cleo")
    refused(case, lambda: opinion.acknowledge(case, number, actor="cleo"), ConflictError, "acknowledged already")
    opinion.submit_opinion(case, number, MALIGNANT, actor="cleo")
    refused(case, lambda: opinion.submit_opinion(case, number, BENIGN, actor="cleo"), ConflictError, "answered")
    refused(case, lambda: opinion.decline(case, number, reason="x", actor="cleo"), ConflictError, "answered")
    refused(case, lambda: consult.withdraw(case, number, reason="x", actor="ann"), ConflictError, "answered")


def test_a_form_sent_twice_is_taken_in_once(case: Settings) -> None:
    def send(question: str = "Is it?") -> int:
        made = consult.request(
            case,
            "C1",
            consultant="cleo",
            type=ConsultationType.DOUBLE_REPORT,
            question=question,
            key="form-1",
            actor="ann",
        )
        return made.consultation_id

    number = send()
    before = rows(case)
    assert send() == number
    assert rows(case) == before
    refused(case, lambda: send("Something else?"), ConflictError, "with other content")
    opinion.acknowledge(case, number, actor="cleo")
    first = opinion.submit_opinion(case, number, MALIGNANT, key="form-2", actor="cleo")
    before = rows(case)
    assert opinion.submit_opinion(case, number, MALIGNANT, key="form-2", actor="cleo") == first
    assert rows(case) == before
    refused(
        case,
        lambda: opinion.submit_opinion(case, number, BENIGN, key="form-2", actor="cleo"),
        ConflictError,
        "with other content",
    )


def test_a_page_that_shows_an_older_state_decides_nothing(case: Settings) -> None:
    give(case, ask(case), actor="cleo")
    refused(
        case,
        lambda: consult.request(
            case,
            "C1",
            consultant="dan",
            type=ConsultationType.EXTERNAL,
            question="And you?",
            expected=CaseStatus.FLAGGED,
            actor="ann",
        ),
        ConflictError,
        "by now; the page still showed it as flagged",
    )


def _race(home: str, number: int, category: str, barrier, outcomes) -> None:
    answer = Answer(category=ReadCategory(category), text=category)
    barrier.wait(60)
    try:
        opinion.submit_opinion(Settings(home=Path(home)), number, answer, actor="cleo")
        outcomes.put(category)
    except ConflictError as err:
        outcomes.put(f"refused: {err}")


def test_of_two_processes_that_answer_at_once_one_wins(case: Settings) -> None:
    number = ask(case).consultation_id
    opinion.acknowledge(case, number, actor="cleo")
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(2), context.Queue()
    tabs = [
        context.Process(target=_race, args=(str(case.home), number, word, barrier, outcomes))
        for word in ("benign", "malignant")
    ]
    for tab in tabs:
        tab.start()
    told = sorted(outcomes.get(timeout=120) for _ in tabs)
    for tab in tabs:
        tab.join(60)
    assert told[1] == "refused: The request is answered already; nothing was changed. Reload the page."
    (given,) = consult_lists.case_consult(case, "C1", actor="Eve").opinions
    assert given.read.text == told[0]
    assert status(case) is CaseStatus.OPINION_RECEIVED
    assert verify(case).ok


# -- decline, reassign, withdraw, pools -----------------------------------------------------------------------------


def test_declined_then_asked_of_somebody_else(case: Settings) -> None:
    number = ask(case).consultation_id
    refused(case, lambda: opinion.decline(case, number, reason="  ", actor="cleo"), InputError, "reason is needed")
    declined = opinion.decline(case, number, reason="On leave", actor="cleo")
    assert (declined.state, declined.declined_reason) == (ConsultationState.DECLINED, "On leave")
    assert status(case) is CaseStatus.SECOND_OPINION_REQUESTED
    assert [one.waits for one in consult_lists.waiting(case, actor="ann")] == [Waits.OTHER_CONSULTANT]
    refused(case, lambda: opinion.submit_opinion(case, number, BENIGN, actor="cleo"), ConflictError, "declined")
    moved = consult.reassign(case, number, consultant="dan", reason="cleo is away", actor="ann")
    assert (moved.consultant, moved.state, len(moved.steps)) == ("dan", ConsultationState.REQUESTED, 3)
    refused(case, lambda: opinion.acknowledge(case, number, actor="cleo"), NotAllowedError, "somebody else")
    give(case, moved, actor="dan")
    assert status(case) is CaseStatus.OPINION_RECEIVED


def test_a_lead_moves_and_withdraws_requests_of_others(case: Settings) -> None:
    number = ask(case).consultation_id
    consult.reassign(case, number, consultant="dan", reason="load", actor="Eve")
    assert consult.withdraw(case, number, reason="not needed", actor="Eve") is CaseStatus.FLAGGED
    refused(case, lambda: consult.withdraw(case, number, reason="x", actor="Eve"), ConflictError, "withdrawn")
    assert [change.step for change in consult_lists.case_consult(case, "C1", actor="Eve").changes] == [
        "lock_read",
        "flag",
        "request",
        "cancel",
        "flag",
    ]


def test_withdrawing_the_last_of_several_goes_on_with_the_opinion_there_is(case: Settings) -> None:
    first, second = ask(case, "cleo"), ask(case, "dan")
    give(case, first, actor="cleo")
    assert status(case) is CaseStatus.SECOND_OPINION_REQUESTED
    assert consult.withdraw(case, second.consultation_id, reason="enough", actor="ann") is CaseStatus.OPINION_RECEIVED


def test_a_pool_is_answered_by_whoever_takes_it(case: Settings) -> None:
    number = ask(case, None, pool="breast").consultation_id
    assert [row.consultation_id for row in consult_lists.inbox(case, actor="dan")] == [number]
    assert consult_lists.inbox(case, actor="ann") == ()
    refused(case, lambda: opinion.acknowledge(case, number, actor="ann"), ConflictError, "has read the case")
    review.reveal_model(case, "C1", actor="bob")
    refused(case, lambda: opinion.acknowledge(case, number, actor="bob"), ConflictError, "has seen the model")
    taken = opinion.acknowledge(case, number, actor="dan")
    assert (taken.consultant, taken.pool) == ("dan", None)
    assert consult_lists.inbox(case, actor="cleo") == ()
    refused(case, lambda: opinion.acknowledge(case, number, actor="cleo"), ConflictError, "acknowledged already")


def test_a_request_goes_to_one_person_or_one_pool(case: Settings) -> None:
    refused(case, lambda: ask(case, None), InputError, "either one person or a pool")
    refused(case, lambda: ask(case, "cleo", pool="breast"), InputError, "either one person or a pool")


def test_a_case_nobody_has_read_has_no_second_opinion(settings: Settings) -> None:
    save(settings, run_of(add_slide(settings, "a", case_id="C1")))
    department(settings)
    refused(settings, lambda: ask(settings), ConflictError, "Nobody has read")


def test_an_asked_person_answers_there_and_nowhere_else(case: Settings) -> None:
    for blinding in Blinding:
        case_id = f"case-{blinding.value}"
        flagged_case(case, case_id)
        ask(case, case_id=case_id, blinding=blinding)
        refused(
            case,
            lambda case_id=case_id: review.record_read(case, case_id, MALIGNANT, actor="cleo"),
            ConflictError,
            "give it there",
        )


# -- comparison, resolution, lists ----------------------------------------------------------------------------------


def test_a_correction_after_the_opinion_does_not_hide_the_difference(case: Settings) -> None:
    given = give(case, ask(case), actor="cleo")
    review.record_read(case, "C1", MALIGNANT, actor="ann")
    assert status(case) is CaseStatus.OPINION_RECEIVED
    assert resolution.proposal(case, given.opinion_id, actor="ann").discordance is Discordance.MAJOR
    made = resolution.compare(case, given.opinion_id, MAJOR, actor="ann")
    assert (made.first_id, made.proposed) == (1, Discordance.MAJOR)
    again = resolution.compare(case, given.opinion_id, replace(MAJOR, note="thought again"), actor="ann")
    assert again.supersedes == made.comparison_id


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": ResolutionMethod.UNRESOLVED}, "name none"),
        ({"diagnosis_id": None}, "Name the read"),
        ({"diagnosis_id": 99}, "not one of case"),
        ({"communicated_to": "", "communicated_at": datetime(2020, 1, 1, tzinfo=UTC)}, "to whom"),
        ({"communicated_at": datetime(2020, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"communicated_at": datetime(2999, 1, 1, tzinfo=UTC)}, "to come"),
    ],
)
def test_a_resolution_that_does_not_fit_is_refused(case: Settings, change: dict[str, object], words: str) -> None:
    given = give(case, ask(case), actor="cleo")
    resolution.compare(case, given.opinion_id, MAJOR, actor="ann")
    resolution.agree(case, "C1", actor="ann")
    new = replace(third_reader(given.read.diagnosis_id), method=ResolutionMethod.SECOND_ADOPTED)
    refused(case, lambda: resolution.resolve(case, "C1", replace(new, **change), actor="ann"), InputError, words)


def test_reopened_only_with_a_reason_and_the_next_round_begins_anew(case: Settings) -> None:
    settled(case)
    refused(case, lambda: resolution.reopen(case, "C1", reason=" ", actor="ann"), InputError, "reason is needed")
    assert resolution.reopen(case, "C1", reason="New slides", actor="ann") is CaseStatus.FLAGGED
    told = consult_lists.case_consult(case, "C1", actor="Eve")
    assert [(one.step, one.reason) for one in told.changes[-2:]] == [("reopen", "New slides"), ("flag", "")]
    for name in ("cleo", "dan"):
        refused(case, lambda name=name: ask(case, name), ConflictError, "has given an opinion")
    given = give(case, ask(case, "bob"), BENIGN, actor="bob")
    old = told.opinions[0].opinion_id
    refused(case, lambda: resolution.compare(case, old, MAJOR, actor="ann"), ConflictError, "earlier round")
    resolution.compare(case, given.opinion_id, MAJOR, actor="ann")
    assert len(consult_lists.case_consult(case, "C1", actor="Eve").resolutions) == 1
    assert verify(case).ok


def test_lists_tell_what_is_late_and_what_waits(case: Settings) -> None:
    now = datetime.now(UTC)
    soon = now + timedelta(days=2)
    for number, (case_id, urgency, due) in enumerate(
        [("C1", Urgency.ROUTINE, soon), ("C2", Urgency.STAT, None), ("C3", Urgency.ROUTINE, now + timedelta(days=1))]
    ):
        if number:
            flagged_case(case, case_id)
        consult.request(
            case,
            case_id,
            consultant="cleo",
            type=ConsultationType.POLICY_MANDATED,
            question="Please.",
            urgency=urgency,
            due_at=due,
            view={"slide_id": f"slide-{case_id}", "x": 120, "y": 80.5, "z": 0.5},
            actor="ann",
        )
    assert [row.case_id for row in consult_lists.inbox(case, actor="cleo")] == ["C2", "C3", "C1"]
    assert consult_lists.overdue(case, actor="ann") == ()
    later = now + timedelta(days=3)
    for actor in ("ann", "cleo", "Eve"):
        assert [row.case_id for row in consult_lists.overdue(case, actor=actor, now=later)] == ["C3", "C1"]
    assert consult_lists.overdue(case, actor="bob", now=later) == ()
    assert [row.case_id for row in consult_lists.sent(case, actor="ann")] == ["C3", "C2", "C1"]
    assert consult_lists.inbox(case, actor="cleo")[0].link == "?case=C2&slide=slide-C2&x=120&y=80.5&z=0.5"
    assert [(one.case_id, one.waits, one.is_mine) for one in consult_lists.waiting(case, actor="ann")] == [
        ("C1", Waits.OPINION, True),
        ("C2", Waits.OPINION, True),
        ("C3", Waits.OPINION, True),
    ]
    assert consult_lists.waiting(case, actor="cleo") == ()


def test_a_time_that_is_past_or_has_no_zone_is_no_due_time(case: Settings) -> None:
    for due, words in ((datetime(2020, 1, 1, tzinfo=UTC), "past"), (datetime(2999, 1, 1), "no time zone")):  # noqa: DTZ001
        refused(
            case,
            lambda due=due: consult.request(
                case,
                "C1",
                consultant="cleo",
                type=ConsultationType.EXTERNAL,
                question="x",
                due_at=due,
                actor="ann",
            ),
            InputError,
            words,
        )
