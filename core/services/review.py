"""Reading a case: the diagnosis is locked before the model's result is shown, and everything stays in the log."""

from __future__ import annotations

from core.domain import ReadCategory, ReviewVerdict
from core.errors import ConflictError, InputError
from core.roles import Permission
from core.services.authority import require
from core.services.flagging import refresh_flags
from core.settings import Settings
from core.store import cases, events, reviews
from core.store.connection import Log, open_log, reading, writing
from core.store.records import DiagnosisRecord, EventRecord, NewRead, ReadStage

CONFIDENCE = range(1, 6)
"""1 (guess) to 5 (certain)."""


def record_diagnosis(
    settings: Settings,
    case_id: str,
    *,
    category: ReadCategory,
    grade: str | None = None,
    text: str = "",
    confidence: int | None = None,
    actor: str,
) -> DiagnosisRecord:
    """Record what a reader sees in a case, and show the model's result to that reader from then on.

    The stage says whether the reader had been shown the model's result before. A later diagnosis of the same reader
    supersedes the earlier one; both stay.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        InputError: no reader is named, or the confidence is not 1 to 5.
    """
    _require_name(actor)
    if confidence is not None and confidence not in CONFIDENCE:
        raise InputError(f"The confidence is {confidence}; it must lie between 1 (guess) and 5 (certain).")
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RECORD_READS)
        cases.get_case(database, case_id)
        revealed = reviews.has_reveal(database, case_id, actor=actor)
        new = NewRead(
            category=category,
            grade=grade,
            text=text.strip(),
            confidence=confidence,
            stage=ReadStage.AFTER_MODEL if revealed else ReadStage.BEFORE_MODEL,
        )
        recorded = reviews.insert_read(database, case_id, new, actor=actor)
        if not revealed:
            reviews.insert_reveal(database, case_id, because="diagnosis recorded", actor=actor)
    refresh_flags(settings, case_id, actor=actor)
    return recorded


def reveal_model(settings: Settings, case_id: str, *, actor: str) -> None:
    """Show the model's result on a case to a reader who has not recorded a diagnosis, and log it; once is enough.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        InputError: no reader is named.
    """
    _require_name(actor)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RECORD_READS)
        cases.get_case(database, case_id)
        if not reviews.has_reveal(database, case_id, actor=actor):
            reviews.insert_reveal(database, case_id, because="chosen by the reader", actor=actor)


def open_case(settings: Settings, case_id: str, *, actor: str) -> bool:
    """Say whether a person who opens a case sees the model's result, and log it the first time that it is so.

    Until a first diagnosis of the case is recorded the result stays hidden, unless this person chose the reveal. From
    then on everybody sees it: triage starts from the disagreement. A later diagnosis of theirs is thus after_model.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.SEE_CASES)
        cases.get_case(database, case_id)
        if reviews.has_reveal(database, case_id, actor=actor):
            return True
        if not reviews.diagnoses_of_case(database, case_id):
            return False
        reviews.insert_reveal(database, case_id, because="case opened after its first diagnosis", actor=actor)
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
        if not reviews.has_reveal(database, case_id, actor=actor):
            raise ConflictError(
                "The model's result was not shown to you yet. Record your diagnosis first, or reveal the result."
            )
        if not _analysed(database, case_id):
            raise ConflictError(f"No slide of case {case_id} was analysed yet, so there is nothing to answer to.")
        reviews.insert_review(database, case_id, verdict=verdict, note=note.strip(), actor=actor)


def case_history(settings: Settings, case_id: str) -> list[EventRecord]:
    """Return every event of a case and of its slides, in the order they happened.

    Raises:
        NotFoundError: there is no such case.
    """
    with open_log(settings) as database, reading(database):
        cases.get_case(database, case_id)
        slides = [events.slide_entity(slide.slide_id) for slide in cases.slides_of_case(database, case_id)]
        return events.events_of(database, [events.case_entity(case_id), *slides])


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
