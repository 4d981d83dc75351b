"""The starting state of a demonstration: kept once, and put back when a presenter starts over.

Nothing is lost by that: the log as it was is set aside beside the kept one, whole and verifiable.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from core.errors import ConflictError
from core.roles import Permission
from core.services.people.authority import require_now
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.copies import copy_log, restore_log
from core.store.events import Action, append_event, last_event

ENTITY = "demonstration"
"""What the events of starting over are about."""


def keep_start(settings: Settings) -> None:
    """Keep the log as the starting state, unless one is kept already.

    Raises:
        StorageError: the copy cannot be written.
    """
    if not is_demonstration(settings):
        copy_log(settings, _start(settings))


def is_demonstration(settings: Settings) -> bool:
    """Say whether this home was prepared as a demonstration, and can therefore be put back."""
    return _start(settings).is_file()


def start_over(settings: Settings, *, actor: str) -> Path:
    """Put the starting state back and return where the log was set aside. Everybody signs in anew afterwards.

    Raises:
        NotAllowedError: the actor may not manage people and sessions.
        ConflictError: this home is no demonstration.
        StorageError: the log cannot be copied or put back; it is then as it was.
    """
    require_now(settings, actor, Permission.MANAGE_PEOPLE)
    if not is_demonstration(settings):
        raise ConflictError(
            "This home is no demonstration, so nothing is put back. Prepare one with `second-read demo`."
        )
    aside = _start(settings).with_name(f"log-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.db")
    copy_log(settings, aside)
    with open_log(settings) as database:
        ended = last_event(database)
    restore_log(settings, _start(settings))
    with open_log(settings) as database, writing(database):
        payload = {"set_aside": aside.name, "its_last_event": ended.seq, "its_last_hash": ended.hash}
        append_event(database, Action.DEMONSTRATION_STARTED_OVER, entity=ENTITY, actor=actor, payload=payload)
    return aside


def _start(settings: Settings) -> Path:
    return settings.home / "demonstration" / "start.db"
