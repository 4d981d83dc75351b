"""Who is at the screen, and what that role may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.roles import ROLE_MEANINGS, ROLE_NAMES, Role

DEMONSTRATION_ISSUER = "second-read-demonstration"
"""Issuer of names that nobody checked."""

NAME_LIMIT = 60
"""Longest name, in characters, so that the cookie and every table stay readable."""


_MARK = " (demonstration)"
"""Ends a name in the log that nobody checked."""

__all__ = ["ROLE_MEANINGS", "ROLE_NAMES", "Role"]

EVERYONE = frozenset(Role)
READERS = frozenset({Role.PATHOLOGIST, Role.CONSULTANT, Role.LEAD})
"""May record diagnoses and reviews."""
OPERATORS = frozenset({Role.PATHOLOGIST, Role.QC, Role.LEAD})
"""May add slides, manage jobs and assign cases."""


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in person."""

    name: str
    role: Role
    issuer: str
    """Who vouches for the name."""

    @property
    def actor(self) -> str:
        """The name as it is written into the log; one that nobody checked says so."""
        return f"{self.name}{_MARK}" if self.is_demonstration else self.name

    @property
    def is_demonstration(self) -> bool:
        """Whether the name was typed in and checked by nobody."""
        return self.issuer == DEMONSTRATION_ISSUER

    @property
    def can_read_cases(self) -> bool:
        """Whether the role records diagnoses and reviews."""
        return self.role in READERS

    @property
    def can_operate(self) -> bool:
        """Whether the role adds slides, manages jobs and assigns cases."""
        return self.role in OPERATORS


def short_name(actor: str) -> str:
    """Return a name of the log without its mark, for places where the screen's banner says the same."""
    return actor.removesuffix(_MARK)


def clean_name(text: str) -> str | None:
    """Return a printable name with single spaces, or None if nothing usable was typed."""
    name = " ".join(text.split())
    return name if name and len(name) <= NAME_LIMIT and name.isprintable() else None


def user_from_claims(claims: Mapping[str, object]) -> User | None:
    """Read the claims of the signed sign-in cookie.

    Args:
        claims: What the cookie holds; its signature was checked before.

    Returns:
        The user, or None if nobody is signed in or the claims name no known issuer, role or name.
    """
    if claims.get("is_logged_in") is not True or claims.get("iss") != DEMONSTRATION_ISSUER:
        return None
    name, role = clean_name(str(claims.get("name", ""))), str(claims.get("role", ""))
    if name is None or role not in {known.value for known in Role}:
        return None
    return User(name=name, role=Role(role), issuer=DEMONSTRATION_ISSUER)
