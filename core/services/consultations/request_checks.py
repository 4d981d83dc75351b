"""Who may touch a request for an opinion, and while it stands how: asked inside the transaction of every change."""

from __future__ import annotations

from core.errors import ConflictError, NotAllowedError
from core.roles import Permission
from core.services.cases.visibility import visibility_in
from core.services.people.authority import require
from core.store import consultations
from core.store.connection import Log
from core.store.consult_records import ConsultationRecord
from core.store.people import name_key
from core.vocabulary import ConsultationState


def require_own(database: Log, asked: ConsultationRecord, *, actor: str) -> None:
    """Let the requester go on, and who may manage the requests of others.

    Raises:
        NotAllowedError: the actor is neither.
        ConflictError: a blinded opinion on the case is awaited from the actor.
    """
    seen = visibility_in(database, asked.case_id, actor=actor)
    if seen.is_asked:
        raise ConflictError(f"You cannot do this on case {asked.case_id} yet. {seen.because}")
    if name_key(asked.requester) == name_key(actor):
        require(database, actor, Permission.REQUEST_OPINION)
    else:
        require(database, actor, Permission.MANAGE_REQUESTS)


def require_consultant(asked: ConsultationRecord, *, actor: str) -> None:
    """Let only the person go on of whom the opinion is asked.

    Raises:
        NotAllowedError: it is asked of somebody else.
    """
    if asked.consultant is None or name_key(asked.consultant) != name_key(actor):
        raise NotAllowedError("This opinion is asked of somebody else. Your inbox shows what is asked of you.")


def require_open(asked: ConsultationRecord) -> None:
    """Go on only if an opinion may still come of a request.

    Raises:
        ConflictError: it is answered or withdrawn.
    """
    if not asked.is_open:
        raise ConflictError(f"The request is {asked.state.value} already; nothing was changed. Reload the page.")


def require_awaited(asked: ConsultationRecord) -> None:
    """Go on only if somebody owes the opinion now.

    Raises:
        ConflictError: nobody does.
    """
    if not asked.is_awaited:
        raise ConflictError(f"The request is {asked.state.value} already; nothing was changed. Reload the page.")


def record_step(
    database: Log,
    asked: ConsultationRecord,
    state: ConsultationState,
    *,
    consultant: str | None,
    pool: str | None = None,
    reason: str = "",
    actor: str,
) -> ConsultationRecord:
    """Write what happened to a request, and return it as it stands then."""
    consultations.insert_step(
        database,
        asked.case_id,
        asked.consultation_id,
        state=state,
        consultant=consultant,
        pool=pool,
        reason=reason,
        actor=actor,
    )
    return consultations.get_consultation(database, asked.consultation_id)
