"""Who is at the screen, and what that person may do."""

from __future__ import annotations

from dataclasses import dataclass

from core.roles import ROLE_MEANINGS, ROLE_NAMES, Permission, Role, in_words, roles_with
from core.services.people.person_names import DEMONSTRATION_ISSUER, DEMONSTRATION_MARK, NAME_LIMIT, clean_name
from core.services.people.sessions import Standing, Visit
from core.store.records import PersonRecord

__all__ = ["DEMONSTRATION_ISSUER", "NAME_LIMIT", "ROLE_MEANINGS", "ROLE_NAMES", "Role", "clean_name"]

EVERYONE = frozenset(Role)
READERS = frozenset(roles_with(Permission.RECORD_READS))
"""May record diagnoses and reviews."""
OPERATORS = frozenset(roles_with(Permission.OPERATE))
"""May add slides, manage jobs and assign cases."""


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in person, as the log knew that person when the page began to run."""

    person: PersonRecord
    session_id: str

    @property
    def name(self) -> str:
        """The name without the mark of a demonstration."""
        return short_name(self.person.log_name)

    @property
    def actor(self) -> str:
        """The name as it is written into the log; one that nobody checked says so."""
        return self.person.log_name

    @property
    def roles(self) -> frozenset[Role]:
        """What the person does in the department."""
        return self.person.roles

    @property
    def roles_in_words(self) -> str:
        """The roles as a phrase."""
        return in_words(self.person.roles)

    @property
    def is_demonstration(self) -> bool:
        """Whether the name was typed in and checked by nobody."""
        return self.person.issuer == DEMONSTRATION_ISSUER

    def may(self, permission: Permission) -> bool:
        """Say whether the person may do something."""
        return permission in self.person.permissions

    @property
    def can_read_cases(self) -> bool:
        """Whether the person records diagnoses and reviews."""
        return self.may(Permission.RECORD_READS)

    @property
    def can_operate(self) -> bool:
        """Whether the person adds slides, manages jobs and assigns cases."""
        return self.may(Permission.OPERATE)


def user_of(visit: Visit) -> User | None:
    """Return who may go on, or None if the visit's standing does not let anybody."""
    if visit.standing is not Standing.WELCOME or visit.person is None or visit.session is None:
        return None
    return User(visit.person, visit.session.session_id)


def short_name(actor: str) -> str:
    """Return a name of the log without its mark, for places where the screen's banner says the same."""
    return actor.removesuffix(DEMONSTRATION_MARK)
