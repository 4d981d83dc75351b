"""From the signed claims of a sign-in to an identity: who vouches, for whom, since when, with which roles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from core.roles import Role
from core.server.auth_settings import AuthSettings
from core.services.people.person_names import DEMONSTRATION_ISSUER, person_name
from core.services.people.sessions import Identity

_SIGN_IN_CLAIMS = ("iss", "sub", "iat", "nonce", "jti", "sid", "auth_time")
"""What tells one sign-in from the next. OpenID Connect Core 2 requires iss, sub and iat of every ID token."""
_LATEST = 253_402_300_799
"""Unix time of the end of the year 9999: the last that a date can hold."""


def identity_of(claims: Mapping[str, object], auth: AuthSettings) -> Identity | None:
    """Return what signed claims say, or None if they make nobody known here.

    Demonstration names count only where no provider is configured, so that an old cookie does not outlive the change.
    """
    issuer, subject, signed_in_at = claims.get("iss"), claims.get("sub"), _time(claims.get("iat"))
    if claims.get("is_logged_in") is not True or signed_in_at is None:
        return None
    if not (isinstance(issuer, str) and isinstance(subject, str) and issuer and subject):
        return None
    if (issuer == DEMONSTRATION_ISSUER) != auth.is_demonstration:
        return None
    email = _email(claims, auth)
    return Identity(
        issuer=issuer.rstrip("/"),
        subject=subject,
        session_id=session_id_of(claims),
        signed_in_at=signed_in_at,
        name=_name(claims, auth, email=email, subject=subject),
        email=email,
        roles=mapped_roles(claims, auth),
    )


def session_id_of(claims: Mapping[str, object]) -> str:
    """Return the id of the session that a sign-in began: the same for the same claims, another at every sign-in."""
    content = json.dumps([claims.get(name) for name in _SIGN_IN_CLAIMS], default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def mapped_roles(claims: Mapping[str, object], auth: AuthSettings) -> frozenset[Role]:
    """Return the roles that the configured claim stands for; values outside the mapping count for nothing."""
    found = _claim(claims, auth.roles_claim)
    values = cast("list[object]", found) if isinstance(found, list | tuple) else [found]
    return frozenset[Role]().union(*(auth.role_of.get(value, ()) for value in values if isinstance(value, str)))


def _claim(claims: Mapping[str, object], name: str) -> object:
    """Return a claim; one whose name is an address with dots comes before a way into nested claims."""
    if name in claims or "." not in name:
        return claims.get(name)
    first, rest = name.split(".", 1)
    inner = claims.get(first)
    return _claim(cast("Mapping[str, object]", inner), rest) if isinstance(inner, Mapping) else None


def _time(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST:
        return None
    return datetime.fromtimestamp(value, UTC)


def _email(claims: Mapping[str, object], auth: AuthSettings) -> str | None:
    """Return the e-mail address if the provider checked it: an unchecked one could be somebody else's."""
    email = claims.get("email")
    checked = claims.get("email_verified") is True or auth.trust_email
    return email.strip().casefold() or None if isinstance(email, str) and checked else None


def _name(claims: Mapping[str, object], auth: AuthSettings, *, email: str | None, subject: str) -> str:
    """Return a printable name: the claim's, or else what tells the person from others."""
    candidates = (claims.get(auth.name_claim), claims.get("preferred_username"), email, subject)
    names = (person_name(value) for value in candidates if isinstance(value, str))
    return next(filter(None, names), f"Person {session_id_of(claims)[:8]}")
