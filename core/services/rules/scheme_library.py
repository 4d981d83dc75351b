"""Reading schemes of this home: the shipped ones and a department's own, and which of them readers are offered.

An own scheme lives in the log: the event that adds a version carries its text, so every version ever used stays.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from core.errors import ConflictError, InputError, NotFoundError
from core.roles import Permission
from core.schemes import Scheme, load_scheme, parse_scheme, scheme_names
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import Log, open_log, reading, writing
from core.store.events import Action, append_event, events_of_kind, scheme_entity
from core.store.records import EventRecord

__all__ = ["Scheme", "SchemeState", "add_scheme", "check_scheme", "find_scheme", "list_schemes", "offer_scheme"]

SIZE_LIMIT = 200_000
"""Characters of a scheme's file; the largest shipped one has about 1,500."""
_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")


@dataclass(frozen=True, slots=True)
class SchemeState:
    """A reading scheme as it stands in this home."""

    scheme: Scheme
    offered: bool
    """Whether readers may choose it; what was read by it stays readable either way."""
    own: bool
    """Whether the department added it; otherwise it is shipped."""
    changed_by: str | None = None
    changed_at: datetime | None = None


def list_schemes(settings: Settings) -> tuple[SchemeState, ...]:
    """Return every scheme, shipped ones first."""
    with open_log(settings) as database, reading(database):
        return tuple(_states(database).values())


def find_scheme(settings: Settings, name: str) -> Scheme:
    """Return a scheme by its name, shipped or own, in its latest version.

    Raises:
        NotFoundError: there is none of that name.
    """
    with open_log(settings) as database, reading(database):
        return _state(database, name).scheme


def schemes_in(database: Log) -> dict[str, Scheme]:
    """Return every scheme by its name, in its latest version; inside a transaction."""
    return {name: state.scheme for name, state in _states(database).items()}


def check_scheme(text: str, *, name: str) -> Scheme:
    """Return the scheme that a file holds, without keeping it.

    Raises:
        InputError: the name or the content cannot be used; the sentence names every problem.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be a scheme's name. Name the file in 2 to 40 small letters, digits and underscores, "
            "beginning with a letter."
        )
    if name in scheme_names():
        raise InputError(f"{name} is a shipped scheme. Name the file differently.")
    if len(text) > SIZE_LIMIT:
        raise InputError(f"The file of {name} has more than {SIZE_LIMIT:,} characters.")
    return parse_scheme(text, name=name)


def add_scheme(settings: Settings, name: str, text: str, *, actor: str) -> SchemeState:
    """Keep an own scheme, or a new version of one. It is offered to readers only when somebody says so.

    Raises:
        NotAllowedError: the actor may not manage schemes.
        InputError: the name or the content cannot be used.
        ConflictError: another content is known under the same name and version.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_SCHEMES)
        scheme = check_scheme(text, name=name)
        for event in events_of_kind(database, "scheme"):
            if event.entity == scheme_entity(name) and event.payload.get("version") == scheme.version:
                if event.payload.get("text") == text:
                    return _state(database, name)
                raise ConflictError(f"{name} has a version {scheme.version} of other content. Give it a new version.")
        payload = {"version": scheme.version, "text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        append_event(database, Action.SCHEME_ADDED, entity=scheme_entity(name), actor=actor, payload=payload)
        return _state(database, name)


def offer_scheme(settings: Settings, name: str, *, offered: bool, actor: str) -> SchemeState:
    """Let readers choose a scheme, or no longer.

    Raises:
        NotAllowedError: the actor may not manage schemes.
        NotFoundError: there is no such scheme.
        ConflictError: it is the last one that readers are offered.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_SCHEMES)
        known = _state(database, name)
        if known.offered == offered:
            return known
        if not offered and sum(state.offered for state in _states(database).values()) == 1:
            raise ConflictError(f"{known.scheme.title} is the last scheme offered. Offer another one first.")
        action = Action.SCHEME_OFFERED if offered else Action.SCHEME_WITHDRAWN
        payload = {"version": known.scheme.version}
        append_event(database, action, entity=scheme_entity(name), actor=actor, payload=payload)
        return _state(database, name)


def _state(database: Log, name: str) -> SchemeState:
    found = _states(database).get(name)
    if found is None:
        raise NotFoundError(f"There is no reading scheme {name!r}. The screen of people and roles lists them.")
    return found


def _states(database: Log) -> dict[str, SchemeState]:
    found = {name: SchemeState(load_scheme(name), offered=True, own=False) for name in scheme_names()}
    return _replayed(found, events_of_kind(database, "scheme"))


def _replayed(states: dict[str, SchemeState], told: Iterable[EventRecord]) -> dict[str, SchemeState]:
    """Return the states after what the events tell."""
    for event in told:
        name = event.entity.removeprefix(scheme_entity(""))
        known = states.get(name)
        if event.action == Action.SCHEME_ADDED:
            scheme = parse_scheme(str(event.payload["text"]), name=name)
            offered = known is not None and known.offered
            states[name] = SchemeState(scheme, offered, own=True, changed_by=event.actor, changed_at=event.at_utc)
        elif known is not None:
            offered = event.action == Action.SCHEME_OFFERED
            states[name] = replace(known, offered=offered, changed_by=event.actor, changed_at=event.at_utc)
    return states
