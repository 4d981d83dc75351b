"""Second opinions as the screens list them: what is asked of me, what I asked for, what is late, what waits for whom.

Every list takes the person who looks, and tells of a request no more than its blinding allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from core.domain import CaseStatus
from core.roles import Permission
from core.services.cases.progress import status_of
from core.services.cases.visibility import Visibility, blinds_of, involved, visibility_in
from core.services.consultations.eligibility import NEEDED
from core.services.consultations.request_rows import RequestRow, request_rows
from core.services.consultations.rounds import opinions_of_round
from core.services.people.authority import ActorKind, kind_of, permissions_of_actor, require
from core.settings import Settings
from core.states import Step, possible
from core.store import consultations, opinions, resolutions, reviews
from core.store.case_states import changes_of_case
from core.store.connection import Log, open_log, reading
from core.store.consult_records import (
    ComparisonRecord,
    ConsultationRecord,
    OpinionRecord,
    ResolutionRecord,
    StateChange,
)
from core.store.overview import overview
from core.store.people import name_key
from core.store.summary_lists import cases_in_states
from core.vocabulary import Blinding, ReadRole, Urgency

_URGENCIES = (Urgency.STAT, Urgency.URGENT, Urgency.ROUTINE)
_LAST = datetime.max.replace(tzinfo=UTC)
_ON_THE_WAY = (
    CaseStatus.SECOND_OPINION_REQUESTED,
    CaseStatus.OPINION_RECEIVED,
    CaseStatus.AGREED,
    CaseStatus.ADJUDICATION,
    CaseStatus.RESOLVED,
)
"""Between a request and the signature."""


class Waits(StrEnum):
    """What a case waits for."""

    OPINION = "opinion"
    OTHER_CONSULTANT = "other_consultant"
    """The only ones asked have declined."""
    COMPARISON = "comparison"
    THIRD_READER = "third_reader"
    RESOLUTION = "resolution"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCase:
    """A case on its way from a request to a signature."""

    case_id: str
    status: CaseStatus
    waits: Waits
    since: datetime
    requester: str
    """Who asked first."""
    is_mine: bool
    """Whether the person who looks asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseConsult:
    """Everything between the first read and the signature of one case that a person may see."""

    status: CaseStatus
    steps: tuple[Step, ...]
    """What is possible now, whoever does it; nothing while the person is blinded."""
    requests: tuple[RequestRow, ...]
    opinions: tuple[OpinionRecord, ...]
    comparisons: tuple[ComparisonRecord, ...]
    resolutions: tuple[ResolutionRecord, ...]
    changes: tuple[StateChange, ...]
    visibility: Visibility


def inbox(settings: Settings, *, actor: str, now: datetime | None = None) -> tuple[RequestRow, ...]:
    """Return what is asked of a person, and what a pool is asked that the person may take: most urgent first.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        mine = [one for one in consultations.open_consultations(database) if _asked_of(database, one, actor=actor)]
        return request_rows(database, sorted(mine, key=_order), actor=actor, now=now)


def sent(settings: Settings, *, actor: str, now: datetime | None = None) -> tuple[RequestRow, ...]:
    """Return what a person has asked for, latest first.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        found = [one for one in consultations.all_consultations(database) if name_key(one.requester) == name_key(actor)]
        return request_rows(database, reversed(found), actor=actor, now=now)


def overdue(settings: Settings, *, actor: str, now: datetime | None = None) -> tuple[RequestRow, ...]:
    """Return the open requests past their time, longest first: all of them for who manages requests, else one's own.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    moment = now or datetime.now(UTC)
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        everybody = Permission.MANAGE_REQUESTS in permissions_of_actor(database, actor)
        late = [
            one
            for one in consultations.open_consultations(database)
            if one.due_at is not None
            and one.due_at < moment
            and (everybody or name_key(one.requester) == name_key(actor) or _asked_of(database, one, actor=actor))
        ]
        return request_rows(database, sorted(late, key=lambda one: one.due_at or _LAST), actor=actor, now=moment)


def waiting(settings: Settings, *, actor: str) -> tuple[WaitingCase, ...]:
    """Return the cases between a request and its signature, whoever waits longest first; blinded ones are left out.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        # By the state they stand in: a department's log holds many more cases that were settled long ago.
        unsigned = cases_in_states(database, _ON_THE_WAY)
        blinded = (
            frozenset(blinds_of(database, actor=actor)) if kind_of(actor) is ActorKind.PERSON else frozenset[str]()
        )
        by_case: dict[str, list[ConsultationRecord]] = {}
        for one in consultations.consultations_of_cases(database, [name for name in unsigned if name not in blinded]):
            by_case.setdefault(one.case_id, []).append(one)
        found: list[WaitingCase] = []
        for case in overview(database, case_ids=list(by_case)):
            case_id, status, requests = case.case_id, status_of(case), by_case[case.case_id]
            waits = _waits(database, case_id, status, requests)
            if waits is None:
                continue
            since = [change.created_at for change in changes_of_case(database, case_id)]
            first = requests[-1].requester
            mine = name_key(first) == name_key(actor)
            found.append(
                WaitingCase(case_id=case_id, status=status, waits=waits, since=since[-1], requester=first, is_mine=mine)
            )
    return tuple(sorted(found, key=lambda one: (one.since, one.case_id)))


def case_consult(settings: Settings, case_id: str, *, actor: str | None, now: datetime | None = None) -> CaseConsult:
    """Return the way of a case from its first read to its signature, as far as an actor may see it.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        seen = visibility_in(database, case_id, actor=actor)
        asked = consultations.consultations_of_case(database, case_id)
        status = status_of(overview(database, case_id=case_id)[0])
        if seen.is_blinded:
            own = [one for one in asked if one.consultation_id == seen.consultation_id]
            return CaseConsult(
                status=CaseStatus.SECOND_OPINION_REQUESTED,
                steps=(),
                requests=request_rows(database, own, actor=actor, now=now),
                opinions=(),
                comparisons=(),
                resolutions=(),
                changes=(),
                visibility=seen,
            )
        return CaseConsult(
            status=status,
            steps=possible(status),
            requests=request_rows(database, asked, actor=actor, now=now),
            opinions=opinions.opinions_of_case(database, case_id),
            comparisons=opinions.comparisons_of_case(database, case_id),
            resolutions=resolutions.resolutions_of_case(database, case_id),
            changes=changes_of_case(database, case_id) if seen.model else (),
            visibility=seen,
        )


def _asked_of(database: Log, one: ConsultationRecord, *, actor: str) -> bool:
    if not one.is_awaited:
        return False
    if one.consultant is not None:
        return name_key(one.consultant) == name_key(actor)
    able = NEEDED[one.role] in permissions_of_actor(database, actor)
    spoilt = one.blinding is not Blinding.OPEN and reviews.has_reveal(database, one.case_id, actor=actor)
    return able and not spoilt and name_key(actor) not in involved(database, one.case_id)


def _order(one: ConsultationRecord) -> tuple[int, datetime, int]:
    return _URGENCIES.index(one.urgency), one.due_at or _LAST, one.consultation_id


def _waits(database: Log, case_id: str, status: CaseStatus, requests: Iterable[ConsultationRecord]) -> Waits | None:
    awaited = any(one.is_awaited for one in requests)
    if status is CaseStatus.SECOND_OPINION_REQUESTED:
        return Waits.OPINION if awaited else Waits.OTHER_CONSULTANT
    if status is CaseStatus.ADJUDICATION:
        roles = {given.read.role for given in opinions_of_round(database, case_id)}
        return Waits.THIRD_READER if awaited or ReadRole.ADJUDICATOR not in roles else Waits.RESOLUTION
    return {
        CaseStatus.OPINION_RECEIVED: Waits.COMPARISON,
        CaseStatus.AGREED: Waits.RESOLUTION,
        CaseStatus.RESOLVED: Waits.SIGNATURE,
    }.get(status)
