"""Sessions: one row a sign-in, read at every page run, revoked but never removed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlite_utils import Database

from core.store.connection import rows_of
from core.store.events import Action, append_event, person_entity
from core.store.records import PersonRecord, SessionRecord
from core.store.values import time_of, time_text, utc_now

_COLUMNS = "session_id, person_id, started_at, seen_at, expires_at, revoked_at, revoked_by, user_agent"
USER_AGENT_LIMIT = 200
"""Characters kept of what a browser says of itself."""


def insert_session(
    database: Database, session_id: str, person: PersonRecord, *, started_at: datetime, expires_at: datetime, agent: str
) -> SessionRecord:
    """Open a session."""
    shown = "".join(letter for letter in agent if letter.isprintable())[:USER_AGENT_LIMIT]
    started, expires, now = time_text(started_at), time_text(expires_at), time_text(utc_now())
    database.conn.execute(
        """INSERT INTO sessions (session_id, person_id, started_at, seen_at, expires_at, user_agent)
           VALUES (?, ?, ?, ?, ?, ?)""",
        (session_id, person.person_id, started, now, expires, shown),
    )
    append_event(
        database,
        Action.SESSION_OPENED,
        entity=person_entity(person.person_id),
        actor=person.log_name,
        payload={"session": session_id, "expires_at": expires, "user_agent": shown},
    )
    found = find_session(database, session_id)
    assert found is not None  # noqa: S101 - inserted above
    return found


def find_session(database: Database, session_id: str) -> SessionRecord | None:
    """Return a session, or None if it was never opened here."""
    return next(iter(_sessions(database, "WHERE session_id = ?", (session_id,))), None)


def sessions_of(database: Database, person_id: int) -> tuple[SessionRecord, ...]:
    """Return the sessions of a person, latest first."""
    return _sessions(database, "WHERE person_id = ? ORDER BY started_at DESC, session_id", (person_id,))


def open_sessions(database: Database, *, now: datetime) -> dict[int, tuple[int, datetime]]:
    """Return, by person, how many sessions hold and when the last of them was in use."""
    rows = database.conn.execute(
        """SELECT person_id, count(*), max(seen_at) FROM sessions
           WHERE revoked_at IS NULL AND expires_at > ? GROUP BY person_id""",
        (time_text(now),),
    )
    return {person_id: (count, time_of(seen)) for person_id, count, seen in rows}


def touch(database: Database, session_id: str, *, now: datetime) -> None:
    """Note that a session is in use. No event: it changes nothing that anybody decided."""
    database.conn.execute("UPDATE sessions SET seen_at = ? WHERE session_id = ?", (time_text(now), session_id))


def revoke(database: Database, session: SessionRecord, *, because: str, actor: str) -> None:
    """End a session for good; one that was revoked before stays as it was."""
    if session.revoked_at is not None:
        return
    database.conn.execute(
        "UPDATE sessions SET revoked_at = ?, revoked_by = ? WHERE session_id = ?",
        (time_text(utc_now()), actor, session.session_id),
    )
    append_event(
        database,
        Action.SESSION_REVOKED,
        entity=person_entity(session.person_id),
        actor=actor,
        payload={"session": session.session_id, "because": because},
    )


def revoke_all(database: Database, person_id: int, *, because: str, actor: str) -> int:
    """End every session of a person that still holds, and return how many there were."""
    now = utc_now()
    live = [session for session in sessions_of(database, person_id) if session.is_open(now)]
    for session in live:
        revoke(database, session, because=because, actor=actor)
    return len(live)


def _sessions(database: Database, condition: str, parameters: tuple[object, ...]) -> tuple[SessionRecord, ...]:
    rows = rows_of(database, f"SELECT {_COLUMNS} FROM sessions {condition}", parameters)  # noqa: S608 - constants
    return tuple(_session(row) for row in rows)


def _session(row: dict[str, Any]) -> SessionRecord:
    return SessionRecord(
        session_id=row["session_id"],
        person_id=row["person_id"],
        started_at=time_of(row["started_at"]),
        seen_at=time_of(row["seen_at"]),
        expires_at=time_of(row["expires_at"]),
        revoked_at=time_of(row["revoked_at"]) if row["revoked_at"] else None,
        revoked_by=row["revoked_by"],
        user_agent=row["user_agent"],
    )
