"""What one person does next on one case, so that a page has one primary button and an inbox one line for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain import CaseStatus
from core.roles import Permission
from core.services.cases.visibility import involved
from core.services.consultations.eligibility import NEEDED
from core.services.consultations.lists import CaseConsult
from core.services.consultations.request_rows import RequestRow
from core.services.consultations.rounds import comparison_of, opinions_of_round
from core.services.people.authority import permissions_of_actor, require
from core.settings import Settings
from core.states import Step
from core.store.connection import Log, open_log, reading
from core.store.people import name_key
from core.vocabulary import ConsultationRole, ConsultationState, ReadRole


class Turn(StrEnum):
    """What there is to do for whoever looks."""

    NOTHING = "nothing"
    ASK = "ask"
    """A second opinion may be asked for."""
    TAKE_ON = "take_on"
    GIVE = "give"
    WAIT = "wait"
    """Somebody else gives an opinion."""
    ASK_OTHER = "ask_other"
    """The request was declined."""
    COMPARE = "compare"
    DECIDE = "decide"
    """Everything is compared: agree, or have a third reader decide."""
    ASK_THIRD = "ask_third"
    RESOLVE = "resolve"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class NextStep:
    """A person's next step on a case."""

    turn: Turn
    request: RequestRow | None = None
    """What it answers, or whom it waits for."""
    opinion_id: int | None = None
    """What is to be compared."""


def next_step(settings: Settings, case_id: str, consult: CaseConsult, *, actor: str) -> NextStep:
    """Return what an actor does next on a case.

    Args:
        settings: Names the home folder.
        case_id: The case.
        consult: What the actor may see of its second opinions, from `case_consult`.
        actor: Who looks.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        may = permissions_of_actor(database, actor)
        own = _asked_of(database, case_id, consult, actor=actor, may=may)
        if own is not None:
            taken = own.state is ConsultationState.ACKNOWLEDGED
            return NextStep(Turn.GIVE if taken else Turn.TAKE_ON, own)
        if consult.visibility.is_blinded:
            return NextStep(Turn.NOTHING)
        found = _of_case(database, case_id, consult)
    needed = _PERMISSIONS.get(found.turn)
    return found if needed is None or needed in may else NextStep(Turn.NOTHING, found.request)


_PERMISSIONS = {
    Turn.ASK: Permission.REQUEST_OPINION,
    Turn.ASK_OTHER: Permission.REQUEST_OPINION,
    Turn.ASK_THIRD: Permission.REQUEST_OPINION,
    Turn.COMPARE: Permission.RESOLVE,
    Turn.DECIDE: Permission.RESOLVE,
    Turn.RESOLVE: Permission.RESOLVE,
    Turn.SIGN: Permission.SIGN,
}


def _asked_of(
    database: Log, case_id: str, consult: CaseConsult, *, actor: str, may: frozenset[Permission]
) -> RequestRow | None:
    """Return the request that waits for the actor, or for a group that the actor may answer for."""
    awaited = [
        one for one in consult.requests if one.state in (ConsultationState.REQUESTED, ConsultationState.ACKNOWLEDGED)
    ]
    for one in awaited:
        if one.consultant is not None and name_key(one.consultant) == name_key(actor):
            return one
    seen = consult.visibility
    for one in awaited:
        if one.pool is None or one.state is not ConsultationState.REQUESTED:
            continue
        if one.consultation_id == seen.consultation_id:
            return one
        able = NEEDED[one.role or ConsultationRole.SECOND] in may
        free = one.blinding.value == "open" and name_key(actor) not in involved(database, case_id)
        if able and free and not seen.is_blinded:
            return one
    return None


def _of_case(database: Log, case_id: str, consult: CaseConsult) -> NextStep:
    """Return what the case waits for, whoever does it."""
    awaited = [one for one in consult.requests if one.state in _AWAITED]
    declined = next((one for one in consult.requests if one.state is ConsultationState.DECLINED), None)
    waiting = _waiting(awaited, declined)
    given = opinions_of_round(database, case_id)
    if consult.status is CaseStatus.SECOND_OPINION_REQUESTED:
        return waiting or NextStep(Turn.NOTHING)
    if consult.status is CaseStatus.OPINION_RECEIVED:
        open_ones = [one for one in given if comparison_of(database, case_id, one.opinion_id) is None]
        return NextStep(Turn.COMPARE, opinion_id=open_ones[0].opinion_id) if open_ones else NextStep(Turn.DECIDE)
    if consult.status is CaseStatus.ADJUDICATION:
        third = any(one.read.role is ReadRole.ADJUDICATOR for one in given)
        return waiting or NextStep(Turn.RESOLVE if third else Turn.ASK_THIRD)
    if consult.status is CaseStatus.AGREED:
        return NextStep(Turn.RESOLVE)
    if consult.status is CaseStatus.RESOLVED:
        return NextStep(Turn.SIGN)
    return NextStep(Turn.ASK if Step.REQUEST in consult.steps else Turn.NOTHING)


_AWAITED = (ConsultationState.REQUESTED, ConsultationState.ACKNOWLEDGED)


def _waiting(awaited: list[RequestRow], declined: RequestRow | None) -> NextStep | None:
    if awaited:
        return NextStep(Turn.WAIT, awaited[0])
    return None if declined is None else NextStep(Turn.ASK_OTHER, declined)
