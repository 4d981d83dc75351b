"""Everything about second opinions that one person has to do or waits for, as one list of lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.services.cases.deep_link import View, link_of
from core.services.cases.visibility import HIDDEN
from core.services.consultations.lists import WaitingCase, Waits, inbox, overdue, sent, waiting
from core.services.consultations.request_rows import RequestRow
from core.settings import Settings
from core.vocabulary import ConsultationRole, ConsultationState, Urgency


class Task(StrEnum):
    """What there is to do about a line, in the order of the page."""

    ANSWER = "answer"
    """Taken on; the opinion is owed."""
    ADJUDICATE = "adjudicate"
    """As answer, by a third reader who may know that."""
    ACKNOWLEDGE = "acknowledge"
    ASK_OTHER = "ask_other"
    COMPARE = "compare"
    ASK_THIRD = "ask_third"
    RESOLVE = "resolve"
    SIGN = "sign"
    TAKE = "take"
    """Asked of a group; whoever is free takes it."""
    WAIT = "wait"
    """Somebody else's turn."""
    DONE = "done"


MINE = frozenset(
    {
        *(Task.ANSWER, Task.ADJUDICATE, Task.ACKNOWLEDGE, Task.ASK_OTHER),
        *(Task.COMPARE, Task.ASK_THIRD, Task.RESOLVE, Task.SIGN),
    }
)
"""Tasks that are a person's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One request or case, and what the person who looks does about it."""

    task: Task
    case_id: str
    link: str
    """Query of the case page's address."""
    since: datetime
    question: str = ""
    urgency: Urgency = Urgency.ROUTINE
    due_at: datetime | None = None
    is_overdue: bool = False
    asked_by: str | None = None
    """None where it may not be shown."""
    asked_of: str = ""
    state: ConsultationState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """All lines of one person."""

    to_do: tuple[Line, ...]
    """Own tasks: opinions owed first, most urgent first, then what is to be compared, resolved and signed."""
    to_take: tuple[Line, ...]
    """Requests of groups that the person may answer for."""
    asked: tuple[Line, ...]
    """What the person asked for, latest first."""
    late: tuple[Line, ...]
    """Open requests past their time: everybody's for who manages requests, else those that touch the person."""
    department: tuple[Line, ...]
    """Every case between a request and a signature, whoever waits longest first."""


def count_to_do(settings: Settings, *, actor: str) -> int:
    """Return how many opinions are asked of a person, for the badge beside the page's link.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    return sum(one.consultant is not None for one in inbox(settings, actor=actor))


def consult_inbox(settings: Settings, *, actor: str, now: datetime | None = None) -> Inbox:
    """Return everything about second opinions that a person has to do or waits for.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    mine = inbox(settings, actor=actor, now=now)
    cases = waiting(settings, actor=actor)
    asked = sent(settings, actor=actor, now=now)
    owed = sorted((_owed(one) for one in mine if one.consultant is not None), key=_by_task)
    declined = [_of_request(one, Task.ASK_OTHER) for one in asked if one.state is ConsultationState.DECLINED]
    awaited = {one.case_id for one in asked if one.state in _AWAITED}  # a third reader may be asked already
    to_settle = [_of_case(one) for one in cases if one.is_mine and one.waits in _TASKS and one.case_id not in awaited]
    return Inbox(
        to_do=(*owed, *declined, *to_settle),
        to_take=tuple(_of_request(one, Task.TAKE) for one in mine if one.consultant is None),
        asked=tuple(_of_request(one, _asked_task(one)) for one in asked),
        late=tuple(_of_request(one, Task.WAIT) for one in overdue(settings, actor=actor, now=now)),
        department=tuple(_of_case(one) for one in cases),
    )


_AWAITED = (ConsultationState.REQUESTED, ConsultationState.ACKNOWLEDGED)
_TASKS = {
    Waits.COMPARISON: Task.COMPARE,
    Waits.THIRD_READER: Task.ASK_THIRD,
    Waits.RESOLUTION: Task.RESOLVE,
    Waits.SIGNATURE: Task.SIGN,
}


def _by_task(line: Line) -> int:
    """Return the place of what is owed already before what is to be taken on; the order within stays."""
    return list(Task).index(line.task)


def _owed(one: RequestRow) -> Line:
    if one.state is ConsultationState.REQUESTED:
        return _of_request(one, Task.ACKNOWLEDGE)
    return _of_request(one, Task.ADJUDICATE if one.role is ConsultationRole.ADJUDICATOR else Task.ANSWER)


def _asked_task(one: RequestRow) -> Task:
    if one.state is ConsultationState.DECLINED:
        return Task.ASK_OTHER
    closed = one.state in (ConsultationState.ANSWERED, ConsultationState.WITHDRAWN)
    return Task.DONE if closed else Task.WAIT


def _of_request(one: RequestRow, task: Task) -> Line:
    return Line(
        task=task,
        case_id=one.case_id,
        link=one.link,
        since=one.created_at,
        question=one.question,
        urgency=one.urgency,
        due_at=one.due_at,
        is_overdue=one.is_overdue,
        asked_by=None if one.requester == HIDDEN else one.requester,
        asked_of=one.consultant or one.pool or "",
        state=one.state,
    )


def _of_case(one: WaitingCase) -> Line:
    return Line(
        task=_TASKS.get(one.waits, Task.WAIT),
        case_id=one.case_id,
        link=link_of(View(case_id=one.case_id)),
        since=one.since,
        asked_by=one.requester,
    )


def matching(lines: Iterable[Line], *, words: str, urgencies: frozenset[Urgency]) -> tuple[Line, ...]:
    """Return the lines that hold every word and are as urgent as wanted; empty filters let everything pass."""
    wanted = words.casefold().split()
    return tuple(
        line
        for line in lines
        if (not urgencies or line.urgency in urgencies)
        and all(
            word in f"{line.case_id} {line.question} {line.asked_by or ''} {line.asked_of}".casefold()
            for word in wanted
        )
    )
