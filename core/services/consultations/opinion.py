"""The consultant's side of a second opinion: take a request on, decline it, give the opinion and lock it.

Every function checks the role, the state of the case and of the request, and writes, in one transaction. What is out of
order, done twice or overtaken by another tab is refused with a sentence and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import ConflictError, InputError
from core.roles import Permission
from core.services.cases.progress import take
from core.services.cases.visibility import awaited_from
from core.services.consultations.answers import Answer, new_read, plain_text, scheme_of
from core.services.consultations.eligibility import NEEDED, check_not_author, check_uninvolved, why_not_blinded
from core.services.consultations.request_checks import record_step, require_awaited, require_consultant
from core.services.people.authority import require
from core.services.rules.flagging import refresh_flags_in
from core.settings import Settings
from core.states import Step
from core.store import consultations, opinions, reviews
from core.store.connection import Log, open_log, writing
from core.store.consult_records import ConsultationRecord, OpinionRecord
from core.store.drafts import DraftForm, DraftPlace, delete_draft
from core.store.records import NewRead
from core.store.submissions import earlier_record, keep_record
from core.vocabulary import AdditionalWork, Blinding, ConsultationRole, ConsultationState, ReadRole

_READ_ROLES = {ConsultationRole.SECOND: ReadRole.SECOND, ConsultationRole.ADJUDICATOR: ReadRole.ADJUDICATOR}


def acknowledge(settings: Settings, consultation_id: int, *, actor: str) -> ConsultationRecord:
    """Take a request on; whoever takes one of a pool owes the opinion from then on.

    Raises:
        NotFoundError: there is no such request.
        NotAllowedError: the actor may not give this opinion.
        ConflictError: it is not open, is somebody else's, or the actor has had a part in the case.
    """
    with open_log(settings) as database, writing(database):
        asked = consultations.get_consultation(database, consultation_id)
        require(database, actor, NEEDED[asked.role])
        if asked.state is not ConsultationState.REQUESTED:
            raise ConflictError(f"The request cannot be taken on: it is {asked.state.value} already.")
        if asked.consultant is not None:
            require_consultant(asked, actor=actor)
        else:
            if awaited_from(database, asked.case_id, actor=actor) is not None:
                raise ConflictError("Another opinion on this case is awaited from you. Give or decline it first.")
            check_uninvolved(database, asked.case_id, actor)
            reason = why_not_blinded(database, asked.case_id, actor, blinding=asked.blinding)
            if reason is not None:
                raise ConflictError(reason)
        return record_step(database, asked, ConsultationState.ACKNOWLEDGED, consultant=actor, actor=actor)


def decline(settings: Settings, consultation_id: int, *, reason: str, actor: str) -> ConsultationRecord:
    """Decline a request with a reason; the requester then asks somebody else or withdraws it.

    Raises:
        NotFoundError: there is no such request.
        NotAllowedError: it is not the actor's to decline.
        InputError: no reason is given.
        ConflictError: it is answered, withdrawn or declined already.
    """
    why = plain_text(reason, what="A reason", needed=True)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.GIVE_OPINION)
        asked = consultations.get_consultation(database, consultation_id)
        require_awaited(asked)
        require_consultant(asked, actor=actor)
        return record_step(
            database, asked, ConsultationState.DECLINED, consultant=asked.consultant, reason=why, actor=actor
        )


def submit_opinion(
    settings: Settings,
    consultation_id: int,
    answer: Answer,
    *,
    additional_work: Sequence[AdditionalWork] = (),
    key: str | None = None,
    actor: str,
) -> OpinionRecord:
    """Give the opinion that is asked for and lock it; from then on the consultant sees everything.

    Raises:
        NotFoundError: there is no such request.
        NotAllowedError: the opinion is not the actor's to give.
        InputError: a part of the answer cannot be used.
        ConflictError: the request was not taken on, is answered or withdrawn, or the actor has read the case.
    """
    work = _work(additional_work)
    scheme = scheme_of(settings, answer)
    content = {"request": consultation_id, "answer": repr(answer), "work": [one.value for one in work]}
    with open_log(settings) as database, writing(database):
        asked = consultations.get_consultation(database, consultation_id)
        require(database, actor, NEEDED[asked.role])
        earlier = earlier_record(database, key, action="opinion", actor=actor, content=content)
        if earlier is not None:
            return opinions.get_opinion(database, earlier)
        require_awaited(asked)
        require_consultant(asked, actor=actor)
        if asked.state is not ConsultationState.ACKNOWLEDGED:
            raise ConflictError("Take the request on first; then give the opinion.")
        check_not_author(database, asked.case_id, actor)
        read = new_read(
            answer,
            scheme=scheme,
            role=_READ_ROLES[asked.role],
            blinded_to_model=asked.blinding is not Blinding.OPEN,
            blinded_to_first=asked.blinding is Blinding.FULL,
            after_model=asked.blinding is Blinding.OPEN,
        )
        given = _lock(database, asked, read, work, actor=actor)
        refresh_flags_in(database, settings, asked.case_id, actor=actor)
        delete_draft(database, DraftPlace(asked.case_id, DraftForm.OPINION, consultation_id), author=actor)
        keep_record(database, key, action="opinion", actor=actor, content=content, record_id=given.opinion_id)
        return given


def _lock(
    database: Log, asked: ConsultationRecord, read: NewRead, work: Sequence[AdditionalWork], *, actor: str
) -> OpinionRecord:
    """Write the read, the opinion, the end of the request, the reveal, and move the case on."""
    recorded = reviews.insert_read(database, asked.case_id, read, actor=actor)
    given = opinions.insert_opinion(
        database,
        asked.case_id,
        consultation_id=asked.consultation_id,
        diagnosis_id=recorded.diagnosis_id,
        additional_work=work,
        actor=actor,
    )
    record_step(database, asked, ConsultationState.ANSWERED, consultant=actor, actor=actor)
    if not reviews.has_reveal(database, asked.case_id, actor=actor):
        reviews.insert_reveal(database, asked.case_id, because="opinion locked", actor=actor)
    others = consultations.open_consultations(database, case_id=asked.case_id)
    take(database, asked.case_id, Step.RECEIVE_ONE if others else Step.RECEIVE, actor=actor)
    return given


def _work(additional_work: Sequence[AdditionalWork]) -> tuple[AdditionalWork, ...]:
    work = tuple(one for one in AdditionalWork if one in additional_work)
    if AdditionalWork.NONE in work and len(work) > 1:
        raise InputError("Choose either no additional work, or which.")
    return work or (AdditionalWork.NONE,)
