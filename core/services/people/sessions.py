"""Sessions: who a sign-in stands for, for how long, and how it is ended early.

Streamlit's cookie lives for 30 days and cannot be taken back, so it only says who signed in. Whether that still holds
is read from the log at every page run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.errors import NotAllowedError, NotFoundError
from core.roles import SYSTEM, Permission, Role
from core.services.people.authority import require
from core.services.people.people import ensure_demonstration_person
from core.services.people.person_names import DEMONSTRATION_ISSUER, free_log_name
from core.settings import Settings
from core.store import people as store
from core.store import sessions
from core.store.connection import Log, open_log, writing
from core.store.records import PersonRecord, RolesFrom, SessionRecord
from core.store.values import utc_now

TOUCH_EVERY = timedelta(seconds=60)
"""A session's last use is noted this often at most, so that looking costs no write."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far an issuer's clock may run ahead of ours."""


class Standing(StrEnum):
    """What a sign-in amounts to."""

    WELCOME = "welcome"
    NO_ROLE = "no_role"
    """Known, but nobody has given a role yet."""
    INACTIVE = "inactive"
    """A lead closed the access."""
    ENDED = "ended"
    """The session was revoked, here or elsewhere."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the signed claims of a sign-in say, after they were checked and mapped."""

    issuer: str
    subject: str
    session_id: str
    """Differs from sign-in to sign-in, and can be told again from the same claims."""
    signed_in_at: datetime
    name: str
    email: str | None = None
    """Only if the issuer says that it was checked."""
    roles: frozenset[Role] = frozenset()
    """From the claims, by the mapping of this installation."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody at the screen, and whether that person may go on."""

    standing: Standing
    person: PersonRecord | None
    session: SessionRecord | None


def visit(
    settings: Settings,
    identity: Identity,
    *,
    hours: float,
    first_lead: str | None = None,
    user_agent: str = "",
    now: datetime | None = None,
) -> Visit:
    """Say where somebody stands who shows signed claims; a new sign-in at an issuer opens a session.

    Args:
        settings: Names the log.
        identity: What the claims say.
        hours: How long a sign-in holds.
        first_lead: E-mail address or subject of who becomes lead at sign-in while there is none.
        user_agent: What the browser says of itself.
        now: Present time; another one in tests.
    """
    moment = now or utc_now()
    with open_log(settings) as database:
        known = sessions.find_session(database, identity.session_id)
        if known is not None:
            return _resume(database, known, identity, now=moment)
        # A demonstration session is opened by its own route; an old sign-in at an issuer does not begin again.
        if identity.issuer == DEMONSTRATION_ISSUER or identity.signed_in_at + timedelta(hours=hours) <= moment:
            return Visit(Standing.EXPIRED, None, None)
        with writing(database):
            known = sessions.find_session(database, identity.session_id)
            if known is not None:  # a second tab of the same sign-in was first
                return _resume(database, known, identity, now=moment)
            person = _admit(database, identity, first_lead=first_lead)
            if not person.active:
                return Visit(Standing.INACTIVE, person, None)
            started = min(identity.signed_in_at, moment)
            opened = sessions.insert_session(
                database,
                identity.session_id,
                person,
                started_at=started,
                expires_at=started + timedelta(hours=hours),
                agent=user_agent,
            )
        return Visit(_standing(person, opened, now=moment), person, opened)


def open_demonstration(
    settings: Settings, name: str, *, role: Role, session_id: str, hours: float, user_agent: str = ""
) -> PersonRecord:
    """Let somebody in whose name nobody checks, with the role of that person's own choice.

    Raises:
        InputError: the name cannot stand in the log.
        NotAllowedError: a lead closed this person's access.
    """
    now = utc_now()
    with open_log(settings) as database, writing(database):
        person = ensure_demonstration_person(database, name, roles={role}, actor=SYSTEM)
        if not person.active:
            raise NotAllowedError(f"A lead closed the access of {person.log_name}. Sign in under another name.")
        person = store.change_person(
            database,
            person.person_id,
            roles={role},
            roles_from=RolesFrom.SIGN_IN,
            because="chosen at the demonstration sign-in",
            actor=person.log_name,
        )
        expires = now + timedelta(hours=hours)
        sessions.insert_session(database, session_id, person, started_at=now, expires_at=expires, agent=user_agent)
    return person


def holds(settings: Settings, session_id: str, *, issuer: str, subject: str, permission: Permission) -> bool:
    """Say whether a session still lets its person do something; for routes, which open no session."""
    with open_log(settings) as database:
        session = sessions.find_session(database, session_id)
        if session is None or not session.is_open(utc_now()):
            return False
        person = store.get_person(database, session.person_id)
        return (person.issuer, person.subject) == (issuer, subject) and permission in person.permissions


def list_sessions(settings: Settings, person_id: int, *, actor: str) -> tuple[SessionRecord, ...]:
    """Return the sessions of a person, latest first: one's own, or anybody's to those who manage people.

    Raises:
        NotAllowedError: they are another person's.
        NotFoundError: there is no such person.
    """
    with open_log(settings) as database:
        _require_own(database, person_id, actor=actor)
        return sessions.sessions_of(database, person_id)


def revoke_session(settings: Settings, session_id: str, *, because: str, actor: str) -> None:
    """End one session: one's own, or anybody's to those who manage people. It stays ended.

    Raises:
        NotAllowedError: it is another person's.
        NotFoundError: there is no such session.
    """
    with open_log(settings) as database, writing(database):
        session = sessions.find_session(database, session_id)
        if session is None:
            require(database, actor, Permission.MANAGE_PEOPLE)
            raise NotFoundError("There is no such session.")
        _require_own(database, session.person_id, actor=actor)
        sessions.revoke(database, session, because=because, actor=actor)


def revoke_everywhere(settings: Settings, person_id: int, *, because: str, actor: str) -> int:
    """End every session of a person and return how many there were.

    Raises:
        NotAllowedError: they are another person's.
        NotFoundError: there is no such person.
    """
    with open_log(settings) as database, writing(database):
        _require_own(database, person_id, actor=actor)
        return sessions.revoke_all(database, person_id, because=because, actor=actor)


def _require_own(database: Log, person_id: int, *, actor: str) -> None:
    own = store.find_actor(database, actor)
    if own is None or own.person_id != person_id or not own.active:
        require(database, actor, Permission.MANAGE_PEOPLE)
    store.get_person(database, person_id)


def _resume(database: Log, session: SessionRecord, identity: Identity, *, now: datetime) -> Visit:
    person = store.get_person(database, session.person_id)
    if (person.issuer, person.subject) != (identity.issuer, identity.subject):
        return Visit(Standing.ENDED, None, None)
    standing = _standing(person, session, now=now)
    if standing is Standing.WELCOME and now - session.seen_at > TOUCH_EVERY:
        with writing(database):
            sessions.touch(database, session.session_id, now=now)
    return Visit(standing, person, session)


def _standing(person: PersonRecord, session: SessionRecord, *, now: datetime) -> Standing:
    if not person.active:
        return Standing.INACTIVE
    if session.revoked_at is not None:
        return Standing.ENDED
    if now >= session.expires_at:
        return Standing.EXPIRED
    return Standing.WELCOME if person.roles else Standing.NO_ROLE


def _admit(database: Log, identity: Identity, *, first_lead: str | None) -> PersonRecord:
    """Return who signs in: known, invited, or new; and let the claims and the first lead's name bear on the roles."""
    person = store.find_by_subject(database, identity.issuer, identity.subject)
    if person is None and identity.email is not None:
        invited = store.find_invited(database, identity.issuer, identity.email)
        if invited is not None:
            because = f"first sign-in with {identity.email}"
            person = store.change_person(
                database, invited.person_id, subject=identity.subject, because=because, actor=SYSTEM
            )
    person = person or store.insert_person(
        database,
        issuer=identity.issuer,
        subject=identity.subject,
        log_name=free_log_name(database, identity.name),
        email=identity.email,
        roles=identity.roles,
        roles_from=RolesFrom.CLAIMS,
        actor=SYSTEM,
    )
    if person.roles_from is RolesFrom.CLAIMS and person.roles != identity.roles:
        because = "claims of the sign-in"
        person = store.change_person(database, person.person_id, roles=identity.roles, because=because, actor=SYSTEM)
    wanted = (first_lead or "").strip().casefold()
    if wanted and wanted in {(identity.email or "").casefold(), identity.subject.casefold()} and person.active:
        person = _first_lead(database, person)
    return person


def _first_lead(database: Log, person: PersonRecord) -> PersonRecord:
    leads = (one for one in store.all_people(database) if one.active and Role.LEAD in one.roles)
    if any(one.issuer != DEMONSTRATION_ISSUER for one in leads):
        return person
    because = "named by SECOND_READ_FIRST_LEAD while there was no lead"
    return store.change_person(
        database,
        person.person_id,
        roles=person.roles | {Role.LEAD},
        roles_from=RolesFrom.HAND,
        because=because,
        actor=SYSTEM,
    )
