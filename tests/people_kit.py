"""People of the tests: put into the log without events, so that tests can count their own."""

from __future__ import annotations

import json

from core.roles import Role
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.people import name_key

ISSUER = "https://accounts.example"
CLERK = "clerk (command line)"
"""An actor who may add slides and manage jobs in any home, because nobody need be enrolled."""


def enrol(settings: Settings, *names: str, roles: tuple[Role, ...] = (Role.LEAD,), active: bool = True) -> None:
    """Let these names act with these roles; a name that is known already gets them instead of its own."""
    with open_log(settings) as database, writing(database):
        for name in names:
            database.conn.execute(
                """INSERT INTO people (issuer, subject, log_name, name_key, roles, roles_from, active, added_at)
                   VALUES (?, ?, ?, ?, ?, 'hand', ?, '2030-01-01T00:00:00.000000+00:00')
                   ON CONFLICT (name_key) DO UPDATE SET roles = excluded.roles, active = excluded.active""",
                (ISSUER, name, name, name_key(name), json.dumps(sorted(roles)), int(active)),
            )
