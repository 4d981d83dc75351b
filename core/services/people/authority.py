"""May this actor do this? Every service function that writes asks here first, inside the transaction of its change.

An actor is a name in the log. People bear their log name; the command line and the worker are actors of their own kind,
with grants of their own, so that nothing needs a person who is not there.
"""

from __future__ import annotations

from enum import StrEnum

from core.errors import NotAllowedError
from core.roles import (
    COMMAND_LINE_GRANTS,
    COMMAND_LINE_MARK,
    PERMISSION_WORDS,
    ROLE_NAMES,
    SYSTEM,
    SYSTEM_GRANTS,
    Permission,
    roles_with,
)
from core.settings import Settings
from core.store.connection import Log, open_log
from core.store.people import find_actor


class ActorKind(StrEnum):
    """What stands behind a name in the log."""

    PERSON = "person"
    COMMAND_LINE = "command_line"
    SYSTEM = "system"


def kind_of(actor: str) -> ActorKind:
    """Tell what an actor is by its name; no person can be given a name of the other kinds."""
    if actor == SYSTEM:
        return ActorKind.SYSTEM
    return ActorKind.COMMAND_LINE if actor.endswith(COMMAND_LINE_MARK) else ActorKind.PERSON


def permissions_of_actor(database: Log, actor: str) -> frozenset[Permission]:
    """Return everything an actor may do now; nothing for a name that nobody bears or whose bearer is not active."""
    kind = kind_of(actor)
    if kind is not ActorKind.PERSON:
        return SYSTEM_GRANTS if kind is ActorKind.SYSTEM else COMMAND_LINE_GRANTS
    person = find_actor(database, actor)
    return frozenset() if person is None else person.permissions


def require(database: Log, actor: str, permission: Permission) -> None:
    """Go on only if an actor may do something. Call it first, inside the transaction of the change.

    Raises:
        NotAllowedError: the actor may not; the sentence says who may.
    """
    if permission not in permissions_of_actor(database, actor):
        raise NotAllowedError(refusal(actor, permission))


def require_now(settings: Settings, actor: str, permission: Permission) -> None:
    """Go on only if an actor may do something, for steps that hold no transaction.

    Raises:
        NotAllowedError: the actor may not; the sentence says who may.
    """
    with open_log(settings) as database:
        require(database, actor, permission)


def refusal(actor: str, permission: Permission) -> str:
    """Return the sentence that says what an actor may not do and who may."""
    able = ", ".join(ROLE_NAMES[role] for role in roles_with(permission))
    who = actor.strip() or "Somebody without a name"
    return f"{who} may not do this: {PERMISSION_WORDS[permission].lower()}. It is for: {able}. Ask a lead for the role."
