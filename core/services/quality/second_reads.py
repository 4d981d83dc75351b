"""Second quality reads: asked for by name or of anybody, of slides that are chosen or drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Permission
from core.services.consultations.answers import plain_text
from core.services.people.authority import permissions_of_actor, require
from core.services.quality.blinding import asks_of
from core.settings import Settings
from core.store import quality as store
from core.store.connection import Log, open_log, reading, writing
from core.store.people import find_actor, name_key
from core.store.quality_records import SecondReadRecord
from core.vocabulary import QcRole

__all__ = [
    "AskResult",
    "SecondReadRecord",
    "ask_second_reads",
    "awaited_second_reads",
    "draw_second_reads",
    "second_reads_to_do",
    "withdraw_second_read",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskResult:
    """What came of asking for second reads."""

    asked: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    """(slide, why not)."""
    seed: int | None = None
    """Of the draw."""


def second_reads_to_do(settings: Settings, *, actor: str) -> tuple[SecondReadRecord, ...]:
    """Return the awaited second reads that the actor may answer, those asked of this person first.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        return asks_of(database, actor=actor)


def awaited_second_reads(settings: Settings, *, actor: str) -> tuple[SecondReadRecord, ...]:
    """Return every second read that is still awaited, in the order they were asked for.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        return store.open_asks(database)


def ask_second_reads(
    settings: Settings, slide_ids: Sequence[str], *, reader: str | None = None, reason: str = "", actor: str
) -> AskResult:
    """Ask for a second quality read of slides; the verdicts on them are hidden from whoever is to give it.

    Args:
        settings: Names the home folder.
        slide_ids: The slides.
        reader: Of whom; None = of anybody who judges quality, has not judged the slide and does not ask.
        reason: Why, in a few words.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not judge quality, or the reader may not.
        NotFoundError: there is no such slide or reader.
        InputError: no slide is named, or the actor asks for their own read.
    """
    why = plain_text(reason, what="A reason")
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        name = _asked_reader(database, reader, actor=actor)
        wanted = _existing(database, slide_ids)
        return _ask(database, wanted, reader=name, reason=why, seed=None, actor=actor)


def draw_second_reads(
    settings: Settings, *, share: float, seed: int, reader: str | None = None, actor: str
) -> AskResult:
    """Ask for a second read of slides drawn at random among those with one verdict; the draw can be repeated.

    Args:
        settings: Names the home folder.
        share: Of the slides that have a first verdict, no second one and none awaited; above 0, at most 1.
        seed: Of the draw; kept with every request.
        reader: As `ask_second_reads`.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not judge quality, or the reader may not.
        NotFoundError: there is no such reader.
        InputError: the share cannot be used, or there is no slide to draw from.
    """
    if not 0 < share <= 1 or seed < 0:
        raise InputError(f"Draw a share above 0 and at most 1 with a seed of 0 or more; got {share:g} and {seed}.")
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        name = _asked_reader(database, reader, actor=actor)
        pool = _once_judged(database)
        if not pool:
            raise InputError("No slide has exactly one verdict. Judge slides first, then draw some for a second read.")
        count = max(1, round(share * len(pool)))
        chosen = np.random.default_rng(seed).choice(len(pool), size=count, replace=False)
        drawn = [pool[int(place)] for place in np.sort(chosen)]
        reason = f"Drawn at random: {count} of {len(pool)} slides, seed {seed}."
        return _ask(database, drawn, reader=name, reason=reason, seed=seed, actor=actor)


def withdraw_second_read(settings: Settings, ask_id: int, *, reason: str = "", actor: str) -> None:
    """Take a request for a second read back, as long as it is not answered.

    Raises:
        NotAllowedError: the actor may not judge quality.
        ConflictError: it is answered or withdrawn already.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        ask = next((one for one in store.open_asks(database) if one.ask_id == ask_id), None)
        if ask is None:
            raise ConflictError("This second read is answered or withdrawn by now. Reload the list.")
        store.withdraw_ask(database, ask, reason=plain_text(reason, what="A reason"), actor=actor)


def _ask(
    database: Log, slide_ids: Sequence[str], *, reader: str | None, reason: str, seed: int | None, actor: str
) -> AskResult:
    awaited = {ask.slide_id for ask in store.open_asks(database)}
    judged = {one.slide_id for one in store.standing_verdicts(database, slide_ids) if one.reader == reader}
    skipped: dict[str, str] = {}
    for slide_id in slide_ids:
        if slide_id in awaited:
            skipped[slide_id] = "A second read is awaited already."
        elif slide_id in judged:
            skipped[slide_id] = f"{reader} has judged it already."
        else:
            store.insert_ask(database, slide_id, reader=reader, reason=reason, seed=seed, actor=actor)
    asked = tuple(slide_id for slide_id in slide_ids if slide_id not in skipped)
    return AskResult(asked=asked, skipped=tuple(skipped.items()), seed=seed)


def _asked_reader(database: Log, reader: str | None, *, actor: str) -> str | None:
    """Return the name in the log of whoever is asked."""
    if reader is None:
        return None
    person = find_actor(database, reader)
    if person is None:
        raise NotFoundError(f"Nobody is called {reader!r}. Choose somebody from the list of people.")
    if name_key(person.log_name) == name_key(actor):
        raise InputError("A second read is somebody else's. Ask another reader, or anybody.")
    if Permission.JUDGE_QUALITY not in permissions_of_actor(database, person.log_name):
        raise NotAllowedError(f"{person.log_name} does not judge quality. Ask somebody who does.")
    return person.log_name


def _existing(database: Log, slide_ids: Sequence[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(slide_ids))
    if not wanted:
        raise InputError("Choose at least one slide.")
    missing = store.missing_slides(database, wanted)
    if missing:
        raise NotFoundError(f"There is no slide {missing[0]!r}. Reload the list and choose again.")
    return wanted


def _once_judged(database: Log) -> list[str]:
    """Return the slides with a first verdict, no second one and none awaited, in the order of their ids."""
    verdicts = store.standing_verdicts(database)
    firsts = {one.slide_id for one in verdicts if one.role is QcRole.FIRST}
    seconds = {one.slide_id for one in verdicts if one.role is QcRole.SECOND}
    return sorted(firsts - seconds - {ask.slide_id for ask in store.open_asks(database)})
