"""People of the tests: whoever acts in one is enrolled by a few words."""

from __future__ import annotations

from core.roles import Role
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.people import change_person, find_by_name, insert_person
from core.store.records import RolesFrom

ISSUER = "https://accounts.example"
CLERK = "clerk (command line)"
"""An actor who may add slides and manage jobs in any home, because nobody need be enrolled."""


def enrol(settings: Settings, *names: str, roles: tuple[Role, ...] = (Role.LEAD,), active: bool = True) -> None:
    """Let these names act with these roles; a name that is known already gets them instead of its own."""
    with open_log(settings) as database, writing(database):
        for name in names:
            known = find_by_name(database, name) or insert_person(
                database,
                issuer=ISSUER,
                subject=name,
                log_name=name,
                roles=roles,
                roles_from=RolesFrom.HAND,
                actor=CLERK,
            )
            change_person(database, known.person_id, roles=roles, active=active, because="for a test", actor=CLERK)
