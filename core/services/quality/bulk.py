"""Many slides accepted in one action, an event each, and the action undone by taking each verdict back."""

from __future__ import annotations

import uuid
from collections.abc import Container, Sequence
from dataclasses import dataclass

from core.errors import InputError, NotFoundError
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.blinding import asks_of, hidden_slides
from core.services.quality.verdicts import NewQcVerdict, checked_verdict, take_back
from core.settings import Settings
from core.store import quality as store
from core.store.connection import Log, open_log, writing
from core.store.quality_results import quality_of_slides
from core.store.submissions import earlier_record, keep_record
from core.vocabulary import QcDisposition, QcRole

__all__ = ["BulkResult", "bulk_accept", "undo_bulk"]

BULK_LIMIT = 10_000
"""Slides in one action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """What an action on many slides did."""

    batch: str | None
    """To undo it; None if no slide was judged."""
    judged: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    """(slide, why it was left alone)."""


def bulk_accept(
    settings: Settings, slide_ids: Sequence[str], *, note: str = "", key: str | None = None, actor: str
) -> BulkResult:
    """Accept many slides in one action, an event each, all or none.

    A slide is left alone, with the reason, if it has no measurement, if anybody's verdict on it stands, or if the
    actor is to read it blinded: such a slide is judged by itself.

    Raises:
        NotAllowedError: the actor may not judge quality.
        NotFoundError: one of the slides does not exist; nothing is written.
        InputError: there is no slide, or there are too many.
        ConflictError: the form's key was used for something else.
    """
    wanted = tuple(dict.fromkeys(slide_ids))
    if not 1 <= len(wanted) <= BULK_LIMIT:
        raise InputError(f"Choose 1 to {BULK_LIMIT:,} slides; {len(wanted):,} are chosen.")
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        new = checked_verdict(NewQcVerdict(disposition=QcDisposition.ACCEPT, note=note))
        content = {"slides": list(wanted), "note": new.note}
        earlier = earlier_record(database, key, action="qc_bulk", actor=actor, content=content)
        if earlier is not None:
            return _bulk_of(database, store.get_verdict(database, earlier).batch, wanted)
        batch = uuid.uuid4().hex
        measured = {one.slide_id: one for one in quality_of_slides(database, wanted)}
        skipped = _left_alone(database, wanted, measured, actor=actor)
        judged = [slide_id for slide_id in wanted if slide_id not in skipped]
        made = [
            store.insert_verdict(
                database, slide_id, new, role=QcRole.FIRST, seen=measured[slide_id], batch=batch, actor=actor
            )
            for slide_id in judged
        ]
        if made:
            number = made[0].verdict_id
            keep_record(database, key, action="qc_bulk", actor=actor, content=content, record_id=number)
    return BulkResult(batch=batch if made else None, judged=tuple(judged), skipped=tuple(skipped.items()))


def undo_bulk(settings: Settings, batch: str, *, actor: str) -> BulkResult:
    """Take back the verdicts of the actor's own bulk action that still stand; the log keeps them.

    Raises:
        NotAllowedError: the actor may not judge quality.
        NotFoundError: the actor has no such action.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        verdicts = [one for one in store.verdicts_of_batch(database, batch) if one.reader == actor]
        if not verdicts:
            raise NotFoundError("You have no such action to undo. Only who judged many slides at once can undo it.")
        current = {one.verdict_id for one in store.standing_verdicts(database, [one.slide_id for one in verdicts])}
        undone = [one for one in verdicts if one.verdict_id in current]
        for one in undone:
            take_back(database, one, actor=actor)
    kept = tuple((one.slide_id, "Judged anew since.") for one in verdicts if one not in undone)
    return BulkResult(batch=batch, judged=tuple(one.slide_id for one in undone), skipped=kept)


def _left_alone(database: Log, slide_ids: Sequence[str], measured: Container[str], *, actor: str) -> dict[str, str]:
    """Return the slides that an action on many leaves alone, each with the reason."""
    judged = {one.slide_id for one in store.standing_verdicts(database, slide_ids)}
    asked = {ask.slide_id for ask in asks_of(database, actor=actor)} | hidden_slides(database, actor=actor)
    missing = store.missing_slides(database, slide_ids)
    if missing:
        raise NotFoundError(f"There is no slide {missing[0]!r}. Reload the list and choose again.")
    found: dict[str, str] = {}
    for slide_id in slide_ids:
        if slide_id in asked:
            found[slide_id] = "You are to read it blinded; judge it by itself."
        elif slide_id in judged:
            found[slide_id] = "A verdict stands already."
        elif slide_id not in measured:
            found[slide_id] = "Its quality has not been measured yet."
    return found


def _bulk_of(database: Log, batch: str | None, wanted: Sequence[str]) -> BulkResult:
    judged = tuple(one.slide_id for one in store.verdicts_of_batch(database, batch or ""))
    kept = tuple((slide_id, "Left alone before.") for slide_id in wanted if slide_id not in judged)
    return BulkResult(batch=batch, judged=judged, skipped=kept)
