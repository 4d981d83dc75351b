"""A request for an opinion as a person may see it: no more than its blinding allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from core.services.cases.deep_link import View, link_of
from core.services.cases.visibility import HIDDEN, Visibility, visibility_in
from core.store.connection import Log
from core.store.consult_records import ConsultationRecord
from core.store.opinions import opinion_of_request
from core.vocabulary import Blinding, ConsultationRole, ConsultationState, ConsultationType, Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request as the person who looks may see it."""

    consultation_id: int
    case_id: str
    question: str
    urgency: Urgency
    due_at: datetime | None
    state: ConsultationState
    blinding: Blinding
    created_at: datetime
    link: str
    """Query of the case page's address."""
    consultant: str | None
    pool: str | None
    requester: str
    """`HIDDEN` for a fully blinded consultant: the requester is often the first reader."""
    type: ConsultationType | None
    """None while blinded: `model_discordance` would tell that the model differs."""
    role: ConsultationRole | None
    """None while blinded: a third reader would know that the first two differ."""
    is_overdue: bool
    declined_reason: str | None
    opinion_id: int | None


def request_rows(
    database: Log, requests: Iterable[ConsultationRecord], *, actor: str | None, now: datetime | None
) -> tuple[RequestRow, ...]:
    """Return requests as an actor may see them; call inside a transaction. None is the program itself."""
    moment = now or datetime.now(UTC)
    return tuple(_row(database, one, visibility_in(database, one.case_id, actor=actor), now=moment) for one in requests)


def _row(database: Log, one: ConsultationRecord, seen: Visibility, *, now: datetime) -> RequestRow:
    told = not seen.is_blinded
    return RequestRow(
        consultation_id=one.consultation_id,
        case_id=one.case_id,
        question=one.question,
        urgency=one.urgency,
        due_at=one.due_at,
        state=one.state,
        blinding=one.blinding,
        created_at=one.created_at,
        link=_link(one),
        consultant=one.consultant,
        pool=one.pool,
        requester=one.requester if seen.authors else HIDDEN,
        type=one.type if told else None,
        role=one.role if told else None,
        is_overdue=one.is_open and one.due_at is not None and one.due_at < now,
        declined_reason=one.declined_reason if told else None,
        opinion_id=opinion_of_request(database, one.consultation_id) if told else None,
    )


def _link(one: ConsultationRecord) -> str:
    slide_id, x, y, z = (one.view.get(name) for name in ("slide_id", "x", "y", "z"))
    if not isinstance(slide_id, str):
        return link_of(View(case_id=one.case_id))
    if not isinstance(x, int | float) or not isinstance(y, int | float):
        return link_of(View(case_id=one.case_id, slide_id=slide_id))
    zoom = float(z) if isinstance(z, int | float) else None
    return link_of(View(case_id=one.case_id, slide_id=slide_id, x=float(x), y=float(y), z=zoom))
