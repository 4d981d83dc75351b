"""The requester's side of a second opinion: ask, ask somebody else, withdraw.

Every function checks the role, the state of the case and of the request, and writes, in one transaction. What is out of
order, done twice or overtaken by another tab is refused with a sentence and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from core.domain import CaseStatus
from core.errors import ConflictError, InputError
from core.roles import Permission
from core.services.cases.progress import current_status, take
from core.services.cases.visibility import require_unblinded
from core.services.consultations.answers import plain_text
from core.services.consultations.eligibility import eligible_name, target
from core.services.consultations.request_checks import record_step, require_open, require_own
from core.services.consultations.rounds import opinions_of_round
from core.services.people.authority import require
from core.settings import Settings
from core.states import Step
from core.store import consultations, reviews
from core.store.cases import get_case
from core.store.connection import Log, open_log, writing
from core.store.consult_records import ConsultationRecord, NewConsultation
from core.store.submissions import earlier_record, keep_record
from core.vocabulary import Blinding, ConsultationRole, ConsultationState, ConsultationType, Urgency


def request(
    settings: Settings,
    case_id: str,
    *,
    consultant: str | None = None,
    pool: str | None = None,
    role: ConsultationRole = ConsultationRole.SECOND,
    type: ConsultationType,
    question: str,
    urgency: Urgency = Urgency.ROUTINE,
    due_at: datetime | None = None,
    blinding: Blinding = Blinding.FULL,
    view: Mapping[str, object] | None = None,
    expected: CaseStatus | None = None,
    key: str | None = None,
    actor: str,
) -> ConsultationRecord:
    """Ask a person, or a pool, for an opinion on a case that has been read.

    Args:
        settings: Names the home folder.
        case_id: The case.
        consultant: Whom to ask, or
        pool: which group: anybody able and without a part in the case may take it.
        role: A second opinion, or the third reader's decision.
        type: Why it is asked for.
        question: What is asked, in words that the consultant will read.
        urgency: How soon.
        due_at: Until when, in UTC.
        blinding: What the consultant may see before the opinion is locked.
        view: Where to look: slide_id and level-0 x, y, z.
        expected: The state of the case that the page showed.
        key: Of the form; the same form sent twice is one request.
        actor: Who asks.

    Raises:
        NotFoundError: no such case or person.
        NotAllowedError: the actor may not ask, or the person may not answer.
        InputError: something in the request cannot be used.
        ConflictError: not in this state, or the person has had a part in the case.
    """
    target(consultant, pool)
    asked = plain_text(question, what="The question", needed=True)
    content = {"case": case_id, "to": consultant or pool, "role": role.value, "type": type.value, "question": asked}
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.REQUEST_OPINION)
        get_case(database, case_id)
        earlier = earlier_record(database, key, action="request", actor=actor, content=content)
        if earlier is not None:
            return consultations.get_consultation(database, earlier)
        _check_due(due_at)
        require_unblinded(database, case_id, actor=actor)
        if reviews.counting_diagnosis(reviews.diagnoses_of_case(database, case_id)) is None:
            raise ConflictError(f"Nobody has read case {case_id}, so there is nothing to give a second opinion on.")
        step = Step.REQUEST_ADJUDICATOR if role is ConsultationRole.ADJUDICATOR else Step.REQUEST
        take(database, case_id, step, expected=expected, actor=actor)
        new = NewConsultation(
            consultant=_named(database, case_id, consultant, role=role, blinding=blinding, requester=actor),
            pool=(pool or "").strip() or None,
            role=role,
            type=type,
            question=asked,
            urgency=urgency,
            due_at=due_at,
            blinding=blinding,
            view=dict(view or {}),
        )
        made = consultations.insert_consultation(database, case_id, new, actor=actor)
        keep_record(database, key, action="request", actor=actor, content=content, record_id=made.consultation_id)
        return made


def reassign(
    settings: Settings,
    consultation_id: int,
    *,
    consultant: str | None = None,
    pool: str | None = None,
    reason: str,
    actor: str,
) -> ConsultationRecord:
    """Ask somebody else instead, or a pool.

    Raises:
        NotFoundError: no such request or person.
        NotAllowedError: the request is not the actor's, or the person may not answer.
        InputError: no reason is given, or not exactly one of person and pool.
        ConflictError: it is answered or withdrawn, or the person has had a part in the case.
    """
    target(consultant, pool)
    why = plain_text(reason, what="A reason", needed=True)
    with open_log(settings) as database, writing(database):
        asked = consultations.get_consultation(database, consultation_id)
        require_own(database, asked, actor=actor)
        require_open(asked)
        name = _named(
            database, asked.case_id, consultant, role=asked.role, blinding=asked.blinding, requester=asked.requester
        )
        return record_step(
            database,
            asked,
            ConsultationState.REQUESTED,
            consultant=name,
            pool=(pool or "").strip() or None,
            reason=why,
            actor=actor,
        )


def withdraw(settings: Settings, consultation_id: int, *, reason: str, actor: str) -> CaseStatus:
    """Withdraw a request; the case goes back to where it stood, or on with the opinions that it has.

    Returns:
        Where the case stands now.

    Raises:
        NotFoundError: there is no such request.
        NotAllowedError: it is not the actor's.
        InputError: no reason is given.
        ConflictError: it is answered or withdrawn already.
    """
    why = plain_text(reason, what="A reason", needed=True)
    with open_log(settings) as database, writing(database):
        asked = consultations.get_consultation(database, consultation_id)
        require_own(database, asked, actor=actor)
        require_open(asked)
        record_step(database, asked, ConsultationState.WITHDRAWN, consultant=asked.consultant, reason=why, actor=actor)
        if consultations.open_consultations(database, case_id=asked.case_id):
            return current_status(database, asked.case_id)
        step = Step.RECEIVE if opinions_of_round(database, asked.case_id) else Step.CANCEL
        return take(database, asked.case_id, step, reason=why, actor=actor)


def _named(
    database: Log, case_id: str, consultant: str | None, *, role: ConsultationRole, blinding: Blinding, requester: str
) -> str | None:
    if consultant is None or not consultant.strip():
        return None
    return eligible_name(database, case_id, consultant, role=role, blinding=blinding, requester=requester)


def _check_due(due_at: datetime | None) -> None:
    if due_at is not None and due_at.tzinfo is None:
        raise InputError("The time until which the opinion is needed has no time zone.")
    if due_at is not None and due_at <= datetime.now(UTC):
        raise InputError(f"An opinion cannot be due at {due_at:%Y-%m-%d %H:%M}: that is past.")
