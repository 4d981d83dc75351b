"""People and their sessions: what is so now, with an event for every change."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from typing import Any

from sqlite_utils import Database

from core.errors import ConflictError, NotFoundError
from core.roles import Role
from core.store.connection import rows_of
from core.store.events import Action, append_event, person_entity
from core.store.records import PersonRecord, RolesFrom
from core.store.values import time_of, time_text, utc_now

_COLUMNS = "person_id, issuer, subject, log_name, email, roles, roles_from, active, added_at"


def name_key(name: str) -> str:
    """Return what two names share that people would take for one: compatibility forms, case and spaces do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def insert_person(
    database: Database,
    *,
    issuer: str,
    subject: str | None,
    log_name: str,
    email: str | None = None,
    roles: Iterable[Role],
    roles_from: RolesFrom,
    actor: str,
) -> PersonRecord:
    """Add a person.

    Raises:
        ConflictError: the name, the subject or the invited e-mail is taken.
    """
    if find_by_name(database, log_name) is not None:
        raise ConflictError(f"Somebody is named {log_name} already. Names stand in the log, so each is given once.")
    wanted = _roles_text(roles)
    taken = subject is not None and find_by_subject(database, issuer, subject) is not None
    if taken or (subject is None and email and find_invited(database, issuer, email) is not None):
        raise ConflictError(f"{subject or email} is known already.")
    cursor = database.conn.execute(
        f"INSERT INTO people ({_COLUMNS.removeprefix('person_id, ')}, name_key) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)",  # noqa: S608
        (issuer, subject, log_name, email, wanted, roles_from.value, time_text(utc_now()), name_key(log_name)),
    )
    person = get_person(database, int(cursor.lastrowid or 0))
    append_event(
        database,
        Action.PERSON_ADDED,
        entity=person_entity(person.person_id),
        actor=actor,
        payload={"log_name": log_name, **facts_of(person)},
    )
    return person


def change_person(
    database: Database,
    person_id: int,
    *,
    actor: str,
    because: str,
    roles: Iterable[Role] | None = None,
    roles_from: RolesFrom | None = None,
    active: bool | None = None,
    subject: str | None = None,
    email: str | None = None,
) -> PersonRecord:
    """Change what is given of a person and tell of it; nothing is written where nothing differs."""
    old = get_person(database, person_id)
    database.conn.execute(
        """UPDATE people SET roles = coalesce(?, roles), roles_from = coalesce(?, roles_from),
           active = coalesce(?, active), subject = coalesce(?, subject), email = coalesce(?, email)
           WHERE person_id = ?""",
        (
            None if roles is None else _roles_text(roles),
            None if roles_from is None else roles_from.value,
            None if active is None else int(active),
            subject,
            email,
            person_id,
        ),
    )
    new = get_person(database, person_id)
    if new != old:
        append_event(
            database,
            Action.PERSON_CHANGED,
            entity=person_entity(person_id),
            actor=actor,
            payload={"log_name": new.log_name, "old": facts_of(old), "new": facts_of(new), "because": because},
        )
    return new


def get_person(database: Database, person_id: int) -> PersonRecord:
    """Return a person.

    Raises:
        NotFoundError: there is none of that number.
    """
    found = _people(database, "WHERE person_id = ?", (person_id,))
    if not found:
        raise NotFoundError(f"There is no person of number {person_id}. `second-read people list` shows who there is.")
    return found[0]


def find_by_name(database: Database, log_name: str) -> PersonRecord | None:
    """Return who bears a name, or one that reads the same; None if nobody does."""
    return next(iter(_people(database, "WHERE name_key = ?", (name_key(log_name),))), None)


def find_actor(database: Database, log_name: str) -> PersonRecord | None:
    """Return who bears exactly this name in the log; None if nobody does."""
    return next(iter(_people(database, "WHERE log_name = ?", (log_name,))), None)


def find_by_subject(database: Database, issuer: str, subject: str) -> PersonRecord | None:
    """Return whom an issuer knows by a subject; None if nobody is."""
    return next(iter(_people(database, "WHERE issuer = ? AND subject = ?", (issuer, subject))), None)


def find_invited(database: Database, issuer: str, email: str) -> PersonRecord | None:
    """Return who was invited by an e-mail address and has not signed in yet; None if nobody was."""
    condition = "WHERE issuer = ? AND subject IS NULL AND email = ?"
    return next(iter(_people(database, condition, (issuer, email))), None)


def all_people(database: Database) -> tuple[PersonRecord, ...]:
    """Return everybody, active or not, in the order of their names."""
    return _people(database, "ORDER BY name_key", ())


def facts_of(person: PersonRecord) -> dict[str, object]:
    """Return what an event says of a person besides the name."""
    return {
        "issuer": person.issuer,
        "subject": person.subject,
        "email": person.email,
        "roles": sorted(person.roles),
        "roles_from": person.roles_from.value,
        "active": person.active,
    }


def _people(database: Database, condition: str, parameters: tuple[object, ...]) -> tuple[PersonRecord, ...]:
    rows = rows_of(database, f"SELECT {_COLUMNS} FROM people {condition}", parameters)  # noqa: S608 - constants
    return tuple(_person(row) for row in rows)


def _person(row: dict[str, Any]) -> PersonRecord:
    return PersonRecord(
        person_id=row["person_id"],
        issuer=row["issuer"],
        subject=row["subject"],
        log_name=row["log_name"],
        email=row["email"],
        roles=frozenset(Role(role) for role in json.loads(row["roles"])),
        roles_from=RolesFrom(row["roles_from"]),
        active=bool(row["active"]),
        added_at=time_of(row["added_at"]),
    )


def _roles_text(roles: Iterable[Role]) -> str:
    return json.dumps(sorted({role.value for role in roles}))
