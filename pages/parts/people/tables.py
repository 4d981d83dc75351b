"""People, permissions and history as tables."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd

from core.roles import GRANTS, PERMISSION_WORDS, ROLE_NAMES, Permission, Role, in_words
from core.server.identity import DEMONSTRATION_ISSUER, short_name
from core.services.people.people import PersonRow
from core.store.records import EventRecord, PersonRecord, SessionRecord
from pages.parts.common.badges import time_in_words

_ACTIONS = {
    "person.added": "Added",
    "person.changed": "Changed",
    "session.opened": "Signed in",
    "session.revoked": "Session ended",
}
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def state_in_words(person: PersonRecord) -> str:
    """Return where a person's access stands."""
    if not person.active:
        return "Access closed"
    if not person.roles:
        return "Waits for a role"
    return "Invited" if person.subject is None else "Active"


def people_frame(rows: Sequence[PersonRow]) -> pd.DataFrame:
    """Return the list of people, one row each."""
    return pd.DataFrame(
        {
            "Name": [short_name(row.person.log_name) for row in rows],
            "Roles": [in_words(row.person.roles) for row in rows],
            "State": [state_in_words(row.person) for row in rows],
            "Sessions": [row.open_sessions for row in rows],
            "Last seen": [time_in_words(row.last_seen) if row.last_seen else "" for row in rows],
            **({"E-mail": [row.person.email or "" for row in rows]} if any(row.person.email for row in rows) else {}),
            "Known by": [issuer_in_words(row.person.issuer) for row in rows],
            "Added": [time_in_words(row.person.added_at) for row in rows],
        }
    )


def people_csv(rows: Sequence[PersonRow]) -> bytes:
    """Return the list as CSV (UTF-8 with a mark for spreadsheets); text that would run as a formula is defused."""
    frame = pd.DataFrame(
        {
            "name": [row.person.log_name for row in rows],
            "roles": ["; ".join(sorted(row.person.roles)) for row in rows],
            "state": [state_in_words(row.person) for row in rows],
            "open_sessions": [row.open_sessions for row in rows],
            "last_seen_utc": [row.last_seen.isoformat() if row.last_seen else "" for row in rows],
            "email": [row.person.email or "" for row in rows],
            "issuer": [row.person.issuer for row in rows],
            "subject": [row.person.subject or "" for row in rows],
            "added_at_utc": [row.person.added_at.isoformat() for row in rows],
        }
    )
    for column in frame.select_dtypes(exclude="number"):
        frame[column] = [f"'{value}" if value[:1] in "=+-@\t\r" and value else value for value in frame[column]]
    text = io.StringIO()
    frame.to_csv(text, index=False)
    return text.getvalue().encode("utf-8-sig")


def matching(rows: Sequence[PersonRow], *, words: str, roles: Sequence[Role]) -> list[PersonRow]:
    """Return the people whose name, e-mail or subject holds every word, and who have one of the roles, if any given."""
    wanted = words.casefold().split()
    found = [row for row in rows if not roles or row.person.roles.intersection(roles)]
    return [row for row in found if all(word in _searched(row.person) for word in wanted)]


def matrix_frame() -> pd.DataFrame:
    """Return who may do what: a row a permission, a column a role."""
    columns = {
        ROLE_NAMES[role]: ["Yes" if permission in GRANTS[role] else "" for permission in Permission] for role in Role
    }
    return pd.DataFrame(columns, index=[PERMISSION_WORDS[permission] for permission in Permission])


def sessions_frame(sessions: Sequence[SessionRecord], *, own: str | None) -> pd.DataFrame:
    """Return sessions as a table; `own` is the id of the session that looks."""
    return pd.DataFrame(
        {
            "Browser": [
                browser_in_words(one.user_agent) + (" (this one)" if one.session_id == own else "") for one in sessions
            ],
            "Signed in": [time_in_words(one.started_at) for one in sessions],
            "Last used": [time_in_words(one.seen_at) for one in sessions],
            "Ends": [time_in_words(one.expires_at) for one in sessions],
        }
    )


def log_frame(events: Sequence[EventRecord]) -> pd.DataFrame:
    """Return events of people as a table, newest first."""
    newest = list(reversed(events))
    names = {event.entity: str(event.payload["log_name"]) for event in events if "log_name" in event.payload}
    return pd.DataFrame(
        {
            "When": [time_in_words(event.at_utc) for event in newest],
            "Person": [short_name(names.get(event.entity, event.entity)) for event in newest],
            "What": [_ACTIONS.get(event.action, event.action) for event in newest],
            "Details": [_details(event) for event in newest],
            "By": [short_name(event.actor) for event in newest],
        }
    )


def issuer_in_words(issuer: str) -> str:
    """Return who vouches for a person."""
    return "Demonstration" if issuer == DEMONSTRATION_ISSUER else issuer


def browser_in_words(agent: str) -> str:
    """Return browser and system as far as a user agent tells them."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "Unknown browser")
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    return f"{browser} on {system}" if system else browser


def _searched(person: PersonRecord) -> str:
    return " ".join(filter(None, (person.log_name, person.email, person.subject))).casefold()


def _details(event: EventRecord) -> str:
    """Say in words what an event changed."""
    payload = event.payload
    old, new = payload.get("old"), payload.get("new")
    if isinstance(old, dict) and isinstance(new, dict):
        parts = [_difference(key, old.get(key), new.get(key)) for key in new if old.get(key) != new.get(key)]
        because = [f"because: {payload['because']}"] if payload.get("because") else []
        return "; ".join([*filter(None, parts), *because])
    if event.action == "person.added":
        return _role_words(payload.get("roles"))
    if event.action == "session.opened":
        return browser_in_words(str(payload.get("user_agent", "")))
    return str(payload.get("because", ""))


def _difference(key: str, old: object, new: object) -> str:
    if key == "roles":
        return f"roles: {_role_words(old)} → {_role_words(new)}"
    if key == "active":
        return "access opened" if new else "access closed"
    return f"{key}: {old or 'none'} → {new or 'none'}" if key in ("email", "subject") else ""


def _role_words(value: object) -> str:
    known = {role.value: role for role in Role}
    return in_words(known[str(one)] for one in value if str(one) in known) if isinstance(value, list) else ""
