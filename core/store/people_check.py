"""Do people and sessions stand as the events tell? Their tables say what is so now, so a seal of one row cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sqlite_utils import Database

from core.store.events import Action, events_of_kind, person_entity
from core.store.people import all_people, facts_of
from core.store.records import EventRecord


def altered_people(database: Database) -> str | None:
    """Return the first difference between people, their sessions and what the events tell of them; None if none."""
    events = events_of_kind(database, "person")
    told = _told_people(events)
    people = {person_entity(person.person_id): person for person in all_people(database)}
    for entity, person in people.items():
        if told.get(entity) != {"log_name": person.log_name, **facts_of(person)}:
            return f"What is kept of {person.log_name} is not what the log tells: it was changed past the log."
    missing = set(told) - set(people)
    if missing:
        return f"The log tells of {min(missing)}, who is missing from the table of people."
    return _altered_sessions(database, events)


def _told_people(events: list[EventRecord]) -> dict[str, Mapping[str, object]]:
    """Entity of every person -> what the last event tells."""
    told: dict[str, Mapping[str, object]] = {}
    for event in events:
        if event.action == Action.PERSON_ADDED:
            told[event.entity] = event.payload
        elif event.action == Action.PERSON_CHANGED:
            new = cast("Mapping[str, object]", event.payload["new"])
            told[event.entity] = {"log_name": event.payload["log_name"], **new}
    return told


def _altered_sessions(database: Database, events: list[EventRecord]) -> str | None:
    opened = {
        (event.payload["session"], event.entity, event.payload["expires_at"])
        for event in events
        if event.action == Action.SESSION_OPENED
    }
    ended = {event.payload["session"] for event in events if event.action == Action.SESSION_REVOKED}
    rows = database.conn.execute("SELECT session_id, person_id, expires_at, revoked_at FROM sessions").fetchall()
    if {(session, person_entity(person), expires) for session, person, expires, _ in rows} != opened:
        return "The sessions are not those that the log tells of: one was added, removed or lengthened past the log."
    if {session for session, _, _, revoked in rows if revoked is not None} != ended:
        return "A session was ended or revived past the log."
    return None
