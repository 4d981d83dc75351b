"""Quality verdicts: given, superseded, taken back, and shown to whoever may see them.

A verdict supersedes the reader's earlier one; nothing is overwritten. The first reader of a slide is the one whose
verdict stands first; anybody else's is a second read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import ConflictError, InputError
from core.roles import Permission
from core.services.consultations.answers import plain_text
from core.services.people.authority import require
from core.services.quality.blinding import asks_of, because_of, hidden_slides, may_judge
from core.settings import Settings
from core.store import cases
from core.store import quality as store
from core.store.connection import Log, open_log, reading, writing
from core.store.events import Action, append_event, quality_entity
from core.store.quality_records import NewQcVerdict, QcVerdictRecord, SecondReadRecord
from core.store.quality_results import quality_of_slide
from core.store.submissions import earlier_record, keep_record
from core.vocabulary import QcDisposition, QcOrigin, QcReason, QcRole

__all__ = [
    "NewQcVerdict",
    "QcVerdictRecord",
    "SlideVerdicts",
    "judge",
    "reveal_verdicts",
    "slide_verdicts",
    "withdraw_verdict",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideVerdicts:
    """The verdicts on a slide as one person may see them."""

    slide_id: str
    standing: tuple[QcVerdictRecord, ...]
    """Those that count now, the first read first."""
    history: tuple[QcVerdictRecord, ...]
    """All, superseded and withdrawn ones too, in the order they were given."""
    hidden: int
    """Verdicts that stand but are hidden from the person."""
    because: str
    """Why, in a sentence; empty where nothing is hidden."""
    own: QcVerdictRecord | None
    """The person's own that stands."""
    asks: tuple[SecondReadRecord, ...]
    """Awaited second reads that the person may answer."""
    seen: int
    """To be handed back to `judge`: the latest verdict that lies before the person, 0 for none."""
    may_judge: bool


def slide_verdicts(settings: Settings, slide_id: str, *, actor: str) -> SlideVerdicts:
    """Return the verdicts on a slide as an actor may see them.

    Raises:
        NotAllowedError: the actor may not see cases.
        NotFoundError: there is no such slide.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        cases.get_slide(database, slide_id)
        history = store.verdicts_of_slide(database, slide_id)
        hides = slide_id in hidden_slides(database, actor=actor)
        asks = asks_of(database, actor=actor, slide_id=slide_id)
        able = may_judge(database, actor)
    shown = tuple(one for one in history if not hides or one.reader == actor)
    counting = store.standing(history)
    return SlideVerdicts(
        slide_id=slide_id,
        standing=tuple(sorted(store.standing(shown), key=lambda one: (one.role is not QcRole.FIRST, one.verdict_id))),
        history=shown,
        hidden=sum(one not in shown for one in counting),
        because=because_of(slide_id, asks) if hides else "",
        own=next((one for one in counting if one.reader == actor), None),
        asks=asks,
        seen=max((one.verdict_id for one in shown), default=0),
        may_judge=able,
    )


def judge(
    settings: Settings,
    slide_id: str,
    verdict: NewQcVerdict,
    *,
    seen: int | None = None,
    key: str | None = None,
    actor: str,
) -> QcVerdictRecord:
    """Record a verdict on a slide; it supersedes the actor's earlier one.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        verdict: What is decided, why, and where the fault came from.
        seen: From `SlideVerdicts`. If somebody else judged the slide since, neither knew of the other: both stand, and
            the later is a blinded second read. None where there is no page.
        key: Of the form; the same form sent twice is one verdict.
        actor: Who judges.

    Raises:
        NotAllowedError: the actor may not judge quality.
        NotFoundError: there is no such slide.
        InputError: a reason, origin or note is missing or cannot be used.
        ConflictError: the form's key was used for something else.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        cases.get_slide(database, slide_id)
        new = checked_verdict(verdict)
        content = {"slide": slide_id, **_content(new)}
        earlier = earlier_record(database, key, action="qc_verdict", actor=actor, content=content)
        if earlier is not None:
            return store.get_verdict(database, earlier)
        made = _record(database, slide_id, new, seen=seen, actor=actor)
        keep_record(database, key, action="qc_verdict", actor=actor, content=content, record_id=made.verdict_id)
        return made


def withdraw_verdict(settings: Settings, slide_id: str, *, actor: str) -> QcVerdictRecord:
    """Take the actor's own verdict on a slide back; the log keeps both.

    Raises:
        NotAllowedError: the actor may not judge quality.
        ConflictError: no verdict of the actor stands.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        own = _own(database, slide_id, actor=actor)
        if own is None:
            raise ConflictError(f"You have no verdict on {slide_id} that could be taken back.")
        return take_back(database, own, actor=actor)


def reveal_verdicts(settings: Settings, slide_id: str, *, actor: str) -> None:
    """Show the actor the hidden verdicts on a slide from now on; the log keeps that they were seen.

    Raises:
        NotAllowedError: the actor may not judge quality.
        ConflictError: nothing is hidden.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        if slide_id not in hidden_slides(database, actor=actor):
            raise ConflictError(f"No quality verdict on {slide_id} is hidden from you.")
        entity = quality_entity(slide_id)
        append_event(database, Action.QC_VERDICT_REVEALED, entity=entity, actor=actor, payload={})


def checked_verdict(verdict: NewQcVerdict) -> NewQcVerdict:
    """Return a verdict whose parts fit together.

    Raises:
        InputError: a reason, an origin or a note is missing or cannot be used.
    """
    note = plain_text(verdict.note, what="A note", needed=verdict.reason is QcReason.OTHER)
    if verdict.disposition is QcDisposition.ACCEPT:
        if verdict.reason is not None or verdict.origin is not None:
            raise InputError("A slide that is accepted has no fault. Choose accept with limitation, or leave it out.")
        return NewQcVerdict(disposition=verdict.disposition, note=note)
    if verdict.reason is None:
        raise InputError("Say what is wrong with the slide: this verdict needs a reason.")
    origin = verdict.origin or usual_origin(verdict.reason)
    if origin is None:
        raise InputError("Say whether the fault came into being in preparation or in acquisition.")
    return NewQcVerdict(disposition=verdict.disposition, reason=verdict.reason, origin=origin, note=note)


def usual_origin(reason: QcReason) -> QcOrigin | None:
    """Return where a fault comes from by its nature; None where that cannot be told from its name."""
    if reason is QcReason.OTHER:
        return None
    acquired = reason in (QcReason.OUT_OF_FOCUS, QcReason.STITCHING)
    return QcOrigin.ACQUISITION if acquired else QcOrigin.PREPARATION


def _record(
    database: Log,
    slide_id: str,
    new: NewQcVerdict,
    *,
    seen: int | None,
    actor: str,
) -> QcVerdictRecord:
    counting = store.standing(store.verdicts_of_slide(database, slide_id))
    others = [one for one in counting if one.reader != actor]
    own = next((one for one in counting if one.reader == actor), None)
    ask = next(iter(asks_of(database, actor=actor, slide_id=slide_id)), None)
    blinded: bool | None = None
    if others or ask is not None:
        hides = slide_id in hidden_slides(database, actor=actor)
        unaware = seen is not None and own is None and all(one.verdict_id > seen for one in others)
        blinded = hides or unaware
    return store.insert_verdict(
        database,
        slide_id,
        new,
        role=_role(others, own, ask),
        seen=quality_of_slide(database, slide_id),
        blinded_to_first=blinded,
        ask_id=ask.ask_id if ask else None,
        actor=actor,
    )


def _role(others: Sequence[QcVerdictRecord], own: QcVerdictRecord | None, ask: SecondReadRecord | None) -> QcRole:
    if own is not None:
        return own.role
    first = any(one.role is QcRole.FIRST for one in others)
    return QcRole.SECOND if first or ask is not None else QcRole.FIRST


def take_back(database: Log, own: QcVerdictRecord, *, actor: str) -> QcVerdictRecord:
    """Write that a reader takes a verdict of their own back, inside a transaction."""
    seen = quality_of_slide(database, own.slide_id)
    return store.insert_verdict(database, own.slide_id, None, role=own.role, seen=seen, actor=actor)


def _own(database: Log, slide_id: str, *, actor: str) -> QcVerdictRecord | None:
    cases.get_slide(database, slide_id)
    return next((one for one in store.standing_verdicts(database, [slide_id]) if one.reader == actor), None)


def _content(new: NewQcVerdict) -> dict[str, str | None]:
    return {
        "disposition": new.disposition.value,
        "reason": new.reason.value if new.reason else None,
        "origin": new.origin.value if new.origin else None,
        "note": new.note,
    }
