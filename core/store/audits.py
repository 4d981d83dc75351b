"""Draws of unflagged cases for the audit: each is one event, with its seed, what it was drawn from and what it drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlite_utils import Database

from core.store.events import Action, append_event, audit_entity, events_of_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDraw:
    """A draw as the log has it."""

    number: int
    """From 1."""
    seed: int
    asked: int
    """How many were to be drawn."""
    pool: int
    """Unflagged cases that it was drawn from."""
    rule_version: str
    """Under which they were unflagged."""
    cases: tuple[str, ...]
    drawn_by: str
    drawn_at: datetime

    @property
    def words(self) -> str:
        """The draw in a few words, for the reason of a flag."""
        return f"draw {self.number}, {len(self.cases)} of {self.pool}, seed {self.seed}"


def draws(database: Database) -> tuple[AuditDraw, ...]:
    """Return every draw, in the order they were made."""
    found: list[AuditDraw] = []
    for event in events_of_kind(database, "audit"):
        told = event.payload
        found.append(
            AuditDraw(
                number=int(event.entity.removeprefix("audit:")),
                seed=int(str(told["seed"])),
                asked=int(str(told["asked"])),
                pool=int(str(told["pool"])),
                rule_version=str(told["rule_version"]),
                cases=tuple(str(one) for one in cast("list[object]", told["cases"])),
                drawn_by=event.actor,
                drawn_at=event.at_utc,
            )
        )
    return tuple(found)


def drawn_in(database: Database) -> Mapping[str, str]:
    """Return case -> the first draw that it is in, in words."""
    found: dict[str, str] = {}
    for draw in draws(database):
        for case_id in draw.cases:
            found.setdefault(case_id, draw.words)
    return found


def insert_draw(
    database: Database, cases: Sequence[str], *, seed: int, asked: int, pool: int, rule_version: str, actor: str
) -> AuditDraw:
    """Write a draw; call inside `writing`."""
    number = len(draws(database)) + 1
    payload = {"seed": seed, "asked": asked, "pool": pool, "rule_version": rule_version, "cases": list(cases)}
    append_event(database, Action.AUDIT_DRAWN, entity=audit_entity(number), actor=actor, payload=payload)
    return draws(database)[-1]
