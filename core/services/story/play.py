"""The second opinion of the demonstration, step by step: each is the service that a person would call at the screen.

The people are the demonstration's own; the colleague answers with what was planted, which is said on the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.domain import CaseStatus, ReadCategory
from core.errors import ConflictError
from core.roles import COMMAND_LINE_MARK, Permission, Role
from core.services.cases.worklist import case_detail
from core.services.consultations import consult, opinion, resolution, signing
from core.services.consultations.answers import Answer
from core.services.consultations.lists import CaseConsult, case_consult
from core.services.people import people
from core.services.people.authority import require_now
from core.services.story.planted import planted_cases
from core.services.story.start import is_demonstration
from core.settings import Settings
from core.store.consult_records import NewComparison, NewResolution
from core.store.records import DiagnosisRecord
from core.vocabulary import (
    ConsultationState,
    ConsultationType,
    ManagementImpact,
    ReadRole,
    ReportAction,
    ResolutionMethod,
    SignatureMeaning,
)

COLLEAGUE = "dr.second"
"""Pseudonym of the demonstration's consultant."""
_STAGE_MANAGER = f"demonstration{COMMAND_LINE_MARK}"


@dataclass(frozen=True, slots=True)
class Played:
    """One step of a second opinion, done or next."""

    title: str
    done: str
    """What happened, in a sentence."""


STEPS: tuple[Played, ...] = (
    Played("Ask", "The first reader asked a colleague, with a question and full blinding."),
    Played("Take on", "The colleague took the request on; model, first read and names are hidden from the colleague."),
    Played(
        "Give the opinion", "The colleague's opinion is locked, and only now the first read is shown to the colleague."
    ),
    Played("Compare", "The two reads are compared by the scheme: how much they differ, and whether that matters."),
    Played("Agree", "The readers talked it over and agree."),
    Played("Resolve", "It is recorded whose diagnosis stands and what became of the report."),
    Played("Sign", "The resolution is signed with a meaning and a printed name; the case is closed."),
)

_REACHED: Mapping[CaseStatus, int] = {
    CaseStatus.SECOND_OPINION_REQUESTED: 1,
    CaseStatus.OPINION_RECEIVED: 3,
    CaseStatus.AGREED: 5,
    CaseStatus.RESOLVED: 6,
    CaseStatus.SIGNED: 7,
}


def steps_done(settings: Settings, case_id: str, *, actor: str) -> int:
    """Return how many of `STEPS` the log shows as done for a case, whoever did them.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not see cases.
    """
    return _done(case_consult(settings, case_id, actor=actor))


def _done(seen: CaseConsult) -> int:
    reached = _REACHED.get(seen.status, 0)
    taken = any(one.state is ConsultationState.ACKNOWLEDGED for one in seen.requests)
    compared = bool(seen.comparisons)
    return reached + (reached == 1 and taken) + (reached == 3 and compared)


def play_next(settings: Settings, case_id: str, *, actor: str) -> Played:
    """Do the next step as the person of the demonstration whose turn it is, and return it.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not manage people: acting for others is for whoever presents.
        ConflictError: this home is no demonstration, or the case has gone another way and is to be finished by hand.
    """
    require_now(settings, actor, Permission.MANAGE_PEOPLE)
    if not is_demonstration(settings):
        raise ConflictError("Steps are played in a demonstration only; here they are for people to take.")
    # What has happened is asked in the program's own name: the presenter may be blinded on this case.
    seen = case_consult(settings, case_id, actor=None)
    done = _done(seen)
    if done == len(STEPS):
        raise ConflictError(f"Case {case_id} is signed; start the demonstration over to play it again.")
    if seen.status is CaseStatus.ADJUDICATION:
        raise ConflictError(f"Case {case_id} went to a third reader; finish it on the case page, or start over.")
    _PLAYS[done](settings, case_id, seen)
    return STEPS[done]


def _first_reader(settings: Settings, case_id: str) -> str:
    return _first_read(settings, case_id).reader


def _first_read(settings: Settings, case_id: str) -> DiagnosisRecord:
    found = [read for read in case_detail(settings, case_id).diagnoses if read.role is ReadRole.PRIMARY]
    if not found:
        raise ConflictError(f"Nobody has read case {case_id} yet, so there is nothing to give a second opinion on.")
    return found[-1]


def _colleague(settings: Settings) -> str:
    person = people.ensure_demonstration(settings, COLLEAGUE, roles={Role.CONSULTANT}, actor=_STAGE_MANAGER)
    return person.log_name


def _ask(settings: Settings, case_id: str, seen: CaseConsult) -> None:  # noqa: ARG001 - one of several plays
    consult.request(
        settings,
        case_id,
        consultant=_colleague(settings),
        type=ConsultationType.MODEL_DISCORDANCE,
        question="Is there invasive tumour?",
        actor=_first_reader(settings, case_id),
    )


def _take_on(settings: Settings, case_id: str, seen: CaseConsult) -> None:
    opinion.acknowledge(settings, _asked(case_id, seen), actor=_colleague(settings))


def _give(settings: Settings, case_id: str, seen: CaseConsult) -> None:
    category = _answer(planted_cases(settings).get(case_id))
    answer = Answer(category=category, text="Read for the demonstration, by what was planted.", confidence=4)
    opinion.submit_opinion(settings, _asked(case_id, seen), answer, actor=_colleague(settings))


def _answer(planted: bool | None) -> ReadCategory:  # noqa: FBT001 - a fact, not a mode
    if planted is None:
        return ReadCategory.INDETERMINATE
    return ReadCategory.MALIGNANT if planted else ReadCategory.BENIGN


def _asked(case_id: str, seen: CaseConsult) -> int:
    for one in seen.requests:
        if one.state in (ConsultationState.REQUESTED, ConsultationState.ACKNOWLEDGED):
            if one.consultant is None or not one.consultant.startswith(COLLEAGUE):
                raise ConflictError(f"The request on {case_id} is somebody else's to answer; finish it by hand.")
            return one.consultation_id
    raise ConflictError(f"No request on case {case_id} is open any more; ask again on the case page, or start over.")


def _compare(settings: Settings, case_id: str, seen: CaseConsult) -> None:
    reader, given = _first_reader(settings, case_id), seen.opinions[-1]
    proposed = resolution.proposal(settings, given.opinion_id, actor=reader)
    new = NewComparison(
        discordance=proposed.discordance,
        basis=proposed.basis,
        management_impact=ManagementImpact.UNKNOWN,
        error_type=None,
        note="",
    )
    resolution.compare(settings, given.opinion_id, new, actor=reader)


def _agree(settings: Settings, case_id: str, seen: CaseConsult) -> None:  # noqa: ARG001 - one of several plays
    resolution.agree(settings, case_id, actor=_first_reader(settings, case_id))


def _resolve(settings: Settings, case_id: str, seen: CaseConsult) -> None:
    second, first = seen.opinions[-1].read, _first_read(settings, case_id)
    upheld = second.category is first.category
    new = NewResolution(
        method=ResolutionMethod.FIRST_UPHELD if upheld else ResolutionMethod.SECOND_ADOPTED,
        diagnosis_id=first.diagnosis_id if upheld else second.diagnosis_id,
        report_action=ReportAction.NONE if upheld else ReportAction.AMENDED,
        communicated_to="",
        communicated_at=None,
        learning_note="Played in the demonstration.",
    )
    resolution.resolve(settings, case_id, new, actor=first.reader)


def _sign(settings: Settings, case_id: str, seen: CaseConsult) -> None:  # noqa: ARG001 - one of several plays
    reader = _first_reader(settings, case_id)
    name = signing.printed_name_of(reader)
    signing.sign_resolution(settings, case_id, meaning=SignatureMeaning.RESPONSIBILITY, printed_name=name, actor=reader)


_PLAYS: tuple[Callable[[Settings, str, CaseConsult], None], ...] = (
    *(_ask, _take_on, _give, _compare, _agree, _resolve, _sign),
)
