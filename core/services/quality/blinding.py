"""Which quality verdicts a reader may not see yet: one rule, which pages, lists, counts and exports ask.

A second quality read says something only if it is made without knowing the first. From the moment it is asked for,
the verdicts on the slide are hidden from the person who is asked, or from everybody who may still answer, until the
second verdict is given or the person has them revealed, which the log keeps.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.roles import Permission
from core.services.people.authority import ActorKind, kind_of, permissions_of_actor
from core.store.connection import Log
from core.store.people import name_key
from core.store.quality import open_asks, revealed_to, seconds_without_first, slides_judged_by
from core.store.quality_records import SecondReadRecord

ASKED = "Hidden until your own verdict is given: you are asked for a blinded second quality read of this slide."
POOL = (
    "Hidden because a blinded second quality read is awaited and you may give it. Judge the slide, or reveal the "
    "verdict: your own then no longer counts as blinded."
)
NO_FIRST = "Hidden until your own verdict is given: the second quality read came before the first."


def hidden_slides(database: Log, *, actor: str) -> frozenset[str]:
    """Return the slides on which the quality verdicts of others are hidden from an actor; inside a transaction."""
    if not may_judge(database, actor):
        return frozenset()
    revealed = revealed_to(database, actor=actor)
    judged = slides_judged_by(database, reader=actor)
    asks = {ask.slide_id for ask in asks_of(database, actor=actor)}
    early = seconds_without_first(database) - judged
    return frozenset((asks | early) - set(revealed))


def asks_of(database: Log, *, actor: str, slide_id: str | None = None) -> tuple[SecondReadRecord, ...]:
    """Return the awaited second reads that an actor may answer, those asked of this very person first."""
    if not may_judge(database, actor):
        return ()
    awaited = open_asks(database, slide_id=slide_id)
    judged = slides_judged_by(database, reader=actor)
    found = [ask for ask in awaited if _answers(ask, actor=actor, judged=judged)]
    return tuple(sorted(found, key=lambda ask: (ask.reader is None, ask.ask_id)))


def may_judge(database: Log, actor: str) -> bool:
    """Say whether an actor is a person who may judge quality."""
    person = kind_of(actor) is ActorKind.PERSON
    return person and Permission.JUDGE_QUALITY in permissions_of_actor(database, actor)


def because_of(slide_id: str, asks: Iterable[SecondReadRecord]) -> str:
    """Return why the verdicts on a hidden slide are hidden, given the asks that the person may answer."""
    own = [ask for ask in asks if ask.slide_id == slide_id]
    if not own:
        return NO_FIRST
    return POOL if own[0].reader is None else ASKED


def _answers(ask: SecondReadRecord, *, actor: str, judged: frozenset[str]) -> bool:
    if ask.reader is not None:
        return name_key(ask.reader) == name_key(actor)
    return name_key(ask.asked_by) != name_key(actor) and ask.slide_id not in judged
