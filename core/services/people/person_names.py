"""Names of people: which of them may stand in the log, and how names that nobody checked are marked."""

from __future__ import annotations

from core.errors import InputError
from core.roles import COMMAND_LINE_MARK, SYSTEM
from core.store import people as store
from core.store.connection import Log

DEMONSTRATION_ISSUER = "second-read-demonstration"
"""Issuer of names that nobody checked."""
DEMONSTRATION_MARK = " (demonstration)"
"""Ends a name in the log that nobody checked."""
NAME_LIMIT = 60
"""Longest name, in characters, so that the cookie and every table stay readable."""


def clean_name(text: str) -> str | None:
    """Return a printable name with single spaces, or None if nothing usable was typed."""
    name = " ".join(text.split())
    return name if name and len(name) <= NAME_LIMIT and name.isprintable() else None


def person_name(text: str) -> str | None:
    """Return a cleaned name that the log may give to a person, or None if it reads as another kind of actor."""
    name = clean_name(text)
    if name is None:
        return None
    key = store.name_key(name)
    reserved = key == SYSTEM or key.endswith((COMMAND_LINE_MARK.strip(), DEMONSTRATION_MARK.strip()))
    return None if reserved else name


def free_log_name(database: Log, name: str) -> str:
    """Return a name for the log that nobody bears: the given one, or one with the next free number."""
    plain = log_name_of(name)
    number = 1
    found = plain
    while store.find_by_name(database, found) is not None:
        number += 1
        found = f"{plain} {number}"
    return found


def log_name_of(name: str) -> str:
    """Return a name that may stand in the log as a person's.

    Raises:
        InputError: it is empty, too long or not printable, or it reads as another kind of actor.
    """
    found = person_name(name)
    if found is None:
        raise InputError(
            f"{name!r} cannot be a person's name in the log: it needs 1 to {NAME_LIMIT} printable characters, "
            "and must not read as the system, the command line or the demonstration."
        )
    return found
