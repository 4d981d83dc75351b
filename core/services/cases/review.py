"""Reading a case: the diagnosis is locked before the model's result is shown, and everything stays in the log."""

from __future__ import annotations

from datetime import datetime

from core.domain import ReadCategory, ReviewVerdict
from core.errors import ConflictError, InputError
from core.roles import Permission
from core.services.cases.masking import shown_events
from core.services.cases.progress import expect, note_arrivals, note_read
from core.services.cases.visibility import ALL, awaited_from, visibility_in
from core.services.consultations.answers import Answer, new_read, scheme_of
from core.services.people.authority import require
from core.services.quality.blinding import hidden_slides
from core.services.rules.flagging import refresh_flags_in
from core.settings import Settings
from core.states import Step, advance
from core.store import cases, events, reviews
from core.store.connection import Log, open_log, reading, writing
from core.store.drafts import DraftForm, delete_drafts_of
from core.store.people import name_key
from core.store.records import DiagnosisRecord, EventRecord
from core.store.submissions import earlier_record, keep_record
from core.vocabulary import COUNTING_ROLES, ReadRole


def record_diagnosis(
    settings: Settings,
    case_id: str,
    *,
    category: ReadCategory,
    grade: str | None = None,
    text: str = "",
    confidence: int | None = None,
    opened_at: datetime | None = None,
    seconds_on_case: float | None = None,
    actor: str,
) -> DiagnosisRecord:
    """Record a read in the three plain categories; see `record_read`.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        InputError: no reader is named, or a part of the answer cannot be used.
        ConflictError: as `record_read`.
    """
    answer = Answer(
        category=category,
        grade=grade,
        text=text,
        confidence=confidence,
        opened_at=opened_at,
        seconds_on_case=seconds_on_case,
    )
    return record_read(settings, case_id, answer, actor=actor)


def record_read(
    settings: Settings,
    case_id: str,
    answer: Answer,
    *,
    role: ReadRole = ReadRole.PRIMARY,
    key: str | None = None,
    actor: str,
) -> DiagnosisRecord:
    """Record what a reader sees in a case, and show the model's result to that reader from then on.

    The stage says whether the reader had been shown the model's result before. A later read of the same reader in the
    same role supersedes the earlier one; both stay.

    Args:
        settings: Names the home folder.
        case_id: The case.
        answer: What the reader says.
        role: primary, consensus or report; the others are given by answering a request (`consult.submit_opinion`).
        key: Of the form; the same form sent twice is one read.
        actor: The reader.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        InputError: no reader is named, or a part of the answer cannot be used.
        ConflictError: the case is resolved, or a blinded opinion on it is awaited from this reader.
    """
    _require_name(actor)
    if role not in COUNTING_ROLES:
        raise InputError(f"A read as {role.value} answers a request for an opinion; open it in your inbox.")
    scheme = scheme_of(settings, answer)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RECORD_READS)
        content = {"case": case_id, "role": role.value, "answer": repr(answer)}
        earlier = earlier_record(database, key, action="read", actor=actor, content=content)
        if earlier is not None:
            return reviews.get_diagnosis(database, earlier)
        seen = visibility_in(database, case_id, actor=actor)
        if awaited_from(database, case_id, actor=actor) is not None:
            raise ConflictError("An opinion on this case is awaited from you: give it there, or decline it first.")
        advance(expect(database, case_id, None), Step.LOCK_READ)
        revealed = reviews.has_reveal(database, case_id, actor=actor)
        alone = all(name_key(read.reader) == name_key(actor) for read in reviews.diagnoses_of_case(database, case_id))
        read = new_read(
            answer,
            scheme=scheme,
            role=role,
            blinded_to_model=not revealed,
            blinded_to_first=alone or not seen.first_read,
            after_model=revealed,
        )
        recorded = reviews.insert_read(database, case_id, read, actor=actor)
        note_read(database, case_id, actor=actor)
        if not revealed:
            reviews.insert_reveal(database, case_id, because="diagnosis recorded", actor=actor)
        refresh_flags_in(database, settings, case_id, actor=actor)
        sent = DraftForm.CONSENSUS if role is ReadRole.CONSENSUS else DraftForm.READ
        delete_drafts_of(database, case_id, sent, author=actor)
        keep_record(database, key, action="read", actor=actor, content=content, record_id=recorded.diagnosis_id)
    return recorded


def reveal_model(settings: Settings, case_id: str, *, actor: str) -> None:
    """Show the model's result on a case to a reader who has not recorded a diagnosis, and log it; once is enough.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        InputError: no reader is named.
        ConflictError: a blinded opinion on the case is awaited from this reader.
    """
    _require_name(actor)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RECORD_READS)
        cases.get_case(database, case_id)
        if visibility_in(database, case_id, actor=actor).is_asked:
            raise ConflictError(
                "A blinded opinion on this case is awaited from you; give it, then the result is shown."
            )
        if not reviews.has_reveal(database, case_id, actor=actor):
            reviews.insert_reveal(database, case_id, because="chosen by the reader", actor=actor)


def open_case(settings: Settings, case_id: str, *, actor: str) -> bool:
    """Say whether a person who opens a case sees the model's result, and log it the first time that it is so.

    Until a first diagnosis of the case is recorded the result stays hidden, unless this person chose the reveal. From
    then on everybody sees it, since triage starts from the disagreement, but for those from whom a blinded opinion is
    awaited. A later diagnosis of theirs is thus after_model.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.SEE_CASES)
        if not visibility_in(database, case_id, actor=actor).model:
            return False
        if not reviews.has_reveal(database, case_id, actor=actor):
            because = "case opened after its first diagnosis"
            reviews.insert_reveal(database, case_id, because=because, actor=actor)
        return True


def record_review(settings: Settings, case_id: str, *, verdict: ReviewVerdict, note: str = "", actor: str) -> None:
    """Record a reader's answer to the model's result; it supersedes the same reader's earlier one, which stays.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        ConflictError: the result was not shown to this reader yet, or there is none.
        InputError: no reader is named.
    """
    _require_name(actor)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RECORD_READS)
        cases.get_case(database, case_id)
        shown = reviews.has_reveal(database, case_id, actor=actor)
        if not shown or visibility_in(database, case_id, actor=actor) != ALL:
            raise ConflictError(
                "The model's result was not shown to you yet. Record your diagnosis first, or reveal the result."
            )
        if not _analysed(database, case_id):
            raise ConflictError(f"No slide of case {case_id} was analysed yet, so there is nothing to answer to.")
        advance(expect(database, case_id, None), Step.ANSWER)
        reviews.insert_review(database, case_id, verdict=verdict, note=note.strip(), actor=actor)
        note_arrivals(database, case_id, actor=actor)
        delete_drafts_of(database, case_id, DraftForm.ANSWER, author=actor)


def case_history(settings: Settings, case_id: str, *, actor: str | None = None) -> list[EventRecord]:
    """Return the events of a case, of its slides and of their quality, in the order they happened.

    Args:
        settings: Names the home folder.
        case_id: The case.
        actor: Who looks, and sees what that person may; None is the program itself, which sees everything.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        seen = visibility_in(database, case_id, actor=actor)
        names = [slide.slide_id for slide in cases.slides_of_case(database, case_id)]
        hidden = frozenset[str]() if actor is None else hidden_slides(database, actor=actor)
        slides = [events.slide_entity(name) for name in names]
        quality = [events.quality_entity(name) for name in names if name not in hidden]
        found = events.events_of(database, [events.case_entity(case_id), *slides, *quality])
    return shown_events(found, seen, actor=actor)


def assign(settings: Settings, case_id: str, *, assignee: str | None, actor: str) -> None:
    """Assign a case to a person, or to nobody.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.ASSIGN_CASES)
        cases.assign_case(database, case_id, assignee=(assignee or "").strip() or None, actor=actor)


def _analysed(database: Log, case_id: str) -> bool:
    return any(slide.status is not None for slide in cases.slides_of_case(database, case_id))


def _require_name(actor: str) -> None:
    if not actor.strip():
        raise InputError("A reader must be named, so that the log can say who it was.")
