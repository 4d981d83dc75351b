"""Where a case stands, and moving it on: every move is checked against the table of `core.states` and told by an event.

States before a second opinion follow from rows; they are noted when something arrives. From the request on the state
is the one that was recorded last.
"""

from __future__ import annotations

from core.domain import CaseStatus, SlideStatus
from core.errors import ConflictError
from core.states import BASE, Step, advance, in_words, step_between
from core.store.case_states import insert_change, recorded_state
from core.store.connection import Log
from core.store.overview import CaseOverview, overview


def status_of(case: CaseOverview) -> CaseStatus:
    """Return where a case stands, from its rows."""
    return base_status(case) if case.recorded_state in BASE else case.recorded_state


def base_status(case: CaseOverview) -> CaseStatus:
    """Return where a case stands by its reads, results, flags and answers alone.

    A review settles the flags that stood when it was given; a flag that came later opens the case again.
    """
    standing = {(flag.kind, flag.slide_id) for flag in case.flags}
    if case.reviewed and standing <= case.reviewed_flags:
        return CaseStatus.REVIEWED
    if case.diagnosis is None:
        return CaseStatus.UNREAD
    if case.flags:
        return CaseStatus.FLAGGED
    done = [slide.status is SlideStatus.OK for slide in case.slides]
    if not any(done):
        return CaseStatus.READ
    return CaseStatus.CONCORDANT if all(done) else CaseStatus.COMPARED


def current_status(database: Log, case_id: str) -> CaseStatus:
    """Return where a case stands now. Call inside a transaction; the case must exist."""
    return status_of(overview(database, case_id=case_id)[0])


def expect(database: Log, case_id: str, expected: CaseStatus | None) -> CaseStatus:
    """Return where a case stands, and refuse if a page showed something else.

    Raises:
        ConflictError: the case moved on meanwhile.
    """
    found = current_status(database, case_id)
    if expected is not None and found is not expected:
        raise ConflictError(
            f"Case {case_id} is {in_words(found)} by now; the page still showed it as {in_words(expected)}. "
            "Reload the page and decide again."
        )
    return found


def note_read(database: Log, case_id: str, *, actor: str) -> None:
    """Record that the first read of a case is locked, before it is compared with anything."""
    before = recorded_state(database, case_id)
    if before is CaseStatus.UNREAD:
        after = advance(before, Step.LOCK_READ)
        insert_change(database, case_id, step=Step.LOCK_READ.value, before=before, after=after, actor=actor)


def note_arrivals(database: Log, case_id: str, *, actor: str) -> CaseStatus:
    """Record the move, if any, that new rows made a case do; from a request on they move nothing."""
    before = recorded_state(database, case_id)
    if before not in BASE:
        return before
    after = current_status(database, case_id)
    if after is not before:
        step = step_between(before, after)
        insert_change(database, case_id, step=step.value, before=before, after=after, actor=actor)
    return after


def take(
    database: Log,
    case_id: str,
    step: Step,
    *,
    expected: CaseStatus | None = None,
    reason: str = "",
    actor: str,
) -> CaseStatus:
    """Move a case by one step, inside the transaction of what was done.

    Args:
        database: Log with an open write transaction.
        case_id: The case, which exists.
        step: What is done.
        expected: The state that the page showed; None where the caller has no page.
        reason: Why, in the actor's words.
        actor: Who does it.

    Returns:
        Where the case stands now.

    Raises:
        ConflictError: the step is not possible, or the case moved on since the page was shown.
    """
    before = expect(database, case_id, expected)
    after = advance(before, step)
    note_arrivals(database, case_id, actor=actor)
    if after is not before or reason:
        insert_change(database, case_id, step=step.value, before=before, after=after, reason=reason, actor=actor)
    return note_arrivals(database, case_id, actor=actor)
