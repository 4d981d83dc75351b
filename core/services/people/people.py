"""People and their roles: who there is, who may do what, and how that changed. Every change is an event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.errors import ConflictError, InputError
from core.roles import Permission, Role, in_words
from core.services.people.authority import require
from core.services.people.person_names import DEMONSTRATION_ISSUER, DEMONSTRATION_MARK, log_name_of
from core.settings import Settings
from core.store import people as store
from core.store import sessions
from core.store.connection import Log, open_log, reading, writing
from core.store.events import events_of, events_of_kind, person_entity
from core.store.records import EventRecord, PersonRecord, RolesFrom
from core.store.values import utc_now


def list_people(settings: Settings, *, actor: str) -> tuple[PersonRecord, ...]:
    """Return everybody, active or not, in the order of their names.

    Raises:
        NotAllowedError: the actor may not manage people.
    """
    with open_log(settings) as database:
        require(database, actor, Permission.MANAGE_PEOPLE)
        return store.all_people(database)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as the list of people shows them."""

    person: PersonRecord
    open_sessions: int
    last_seen: datetime | None
    """Last use of a session that still holds."""


def people_overview(settings: Settings, *, actor: str) -> tuple[PersonRow, ...]:
    """Return everybody with the sessions that hold, in the order of their names.

    Raises:
        NotAllowedError: the actor may not manage people.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.MANAGE_PEOPLE)
        live = sessions.open_sessions(database, now=utc_now())
        return tuple(PersonRow(person, *live.get(person.person_id, (0, None))) for person in store.all_people(database))


def people_log(settings: Settings, *, actor: str) -> list[EventRecord]:
    """Return every event of every person, in the order they happened.

    Raises:
        NotAllowedError: the actor may not manage people.
    """
    with open_log(settings) as database:
        require(database, actor, Permission.MANAGE_PEOPLE)
        return events_of_kind(database, "person")


def people_who_may(settings: Settings, permission: Permission) -> tuple[PersonRecord, ...]:
    """Return the active people who hold a permission, in the order of their names: whom to ask, whom to assign."""
    with open_log(settings) as database:
        return tuple(person for person in store.all_people(database) if permission in person.permissions)


def add_person(
    settings: Settings,
    name: str,
    *,
    issuer: str,
    subject: str | None = None,
    email: str | None = None,
    roles: Iterable[Role],
    actor: str,
) -> PersonRecord:
    """Add somebody before the first sign-in, by the issuer's subject or, for an invitation, by e-mail address.

    Where names are checked by nobody, the name is all there is to know somebody by.

    Raises:
        NotAllowedError: the actor may not manage people.
        InputError: the name cannot stand in the log, or neither subject nor e-mail is given.
        ConflictError: the name, the subject or the e-mail address is taken.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_PEOPLE)
        log_name = log_name_of(name)
        address = _email(email)
        if issuer == DEMONSTRATION_ISSUER:
            subject, log_name = store.name_key(log_name), f"{log_name}{DEMONSTRATION_MARK}"
        if not subject and address is None:
            raise InputError("Give the e-mail address or the subject by which the sign-in will name this person.")
        return store.insert_person(
            database,
            issuer=issuer.rstrip("/"),
            subject=subject or None,
            log_name=log_name,
            email=address,
            roles=roles,
            roles_from=RolesFrom.HAND,
            actor=actor,
        )


def change_roles(
    settings: Settings,
    person_id: int,
    roles: Iterable[Role],
    *,
    seen: Iterable[Role] | None = None,
    because: str = "",
    actor: str,
) -> PersonRecord:
    """Give a person these roles and no others; from then on the sign-in's claims no longer change them.

    Args:
        settings: Names the log.
        person_id: Whose roles.
        roles: All of them.
        seen: The roles that the form showed; if others were given meanwhile, nothing is changed.
        because: Reason, for the log.
        actor: Who decides.

    Raises:
        NotAllowedError: the actor may not manage people.
        NotFoundError: there is no such person.
        ConflictError: nobody would be lead any more, or somebody else changed the roles meanwhile.
    """
    wanted = frozenset(roles)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_PEOPLE)
        person = store.get_person(database, person_id)
        if seen is not None and person.roles != frozenset(seen):
            raise ConflictError(
                f"Somebody changed the roles of {person.log_name} meanwhile. Now: {in_words(person.roles)}. Look again."
            )
        if Role.LEAD not in wanted:
            _keep_a_lead(database, person)
        return store.change_person(
            database, person_id, roles=wanted, roles_from=RolesFrom.HAND, because=because.strip(), actor=actor
        )


def set_active(settings: Settings, person_id: int, *, active: bool, because: str = "", actor: str) -> PersonRecord:
    """Close a person's access at once, with all sessions, or open it again. Nobody is ever deleted.

    Raises:
        NotAllowedError: the actor may not manage people.
        NotFoundError: there is no such person.
        ConflictError: nobody would be lead any more.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_PEOPLE)
        person = store.get_person(database, person_id)
        if not active:
            _keep_a_lead(database, person)
        changed = store.change_person(database, person_id, active=active, because=because.strip(), actor=actor)
        if not active:
            sessions.revoke_all(database, person_id, because="access closed", actor=actor)
        return changed


def person_history(settings: Settings, person_id: int, *, actor: str) -> list[EventRecord]:
    """Return every event of a person, in the order they happened.

    Raises:
        NotAllowedError: the actor may not manage people.
        NotFoundError: there is no such person.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.MANAGE_PEOPLE)
        store.get_person(database, person_id)
        return events_of(database, [person_entity(person_id)])


def ensure_demonstration(settings: Settings, name: str, *, roles: Iterable[Role], actor: str) -> PersonRecord:
    """Return somebody whose name nobody checks, adding the person if need be. A known one's roles stay.

    Raises:
        NotAllowedError: the actor may not manage people.
        InputError: the name cannot stand in the log.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_PEOPLE)
        return ensure_demonstration_person(database, name, roles=roles, actor=actor)


def ensure_demonstration_person(database: Log, name: str, *, roles: Iterable[Role], actor: str) -> PersonRecord:
    """Return somebody of the demonstration inside a transaction; see `ensure_demonstration`."""
    plain = log_name_of(name.removesuffix(DEMONSTRATION_MARK))
    subject = store.name_key(plain)
    known = store.find_by_subject(database, DEMONSTRATION_ISSUER, subject)
    return known or store.insert_person(
        database,
        issuer=DEMONSTRATION_ISSUER,
        subject=subject,
        log_name=f"{plain}{DEMONSTRATION_MARK}",
        roles=roles,
        roles_from=RolesFrom.SIGN_IN,
        actor=actor,
    )


def _email(text: str | None) -> str | None:
    address = (text or "").strip().casefold()
    if not address:
        return None
    local, at, domain = address.partition("@")
    if not (local and at and "." in domain and address.isprintable() and " " not in address):
        raise InputError(f"{text!r} is not an e-mail address.")
    return address


def _keep_a_lead(database: Log, person: PersonRecord) -> None:
    """Refuse a change that leaves nobody who could undo it; names of a demonstration do not count for real ones."""
    if Role.LEAD not in person.roles or not person.active:
        return
    checked = person.issuer != DEMONSTRATION_ISSUER
    others = (
        other
        for other in store.all_people(database)
        if other.person_id != person.person_id
        and other.active
        and Role.LEAD in other.roles
        and (other.issuer != DEMONSTRATION_ISSUER) == checked
    )
    if next(others, None) is None:
        raise ConflictError(f"{person.log_name} is the last lead. Make somebody else lead first.")
