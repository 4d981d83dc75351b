"""How people sign in here: the demonstration, or an OpenID Connect provider with claims that name roles.

Read from the TOML file that SECOND_READ_AUTH_FILE names (default: auth.toml in the home folder) and from variables
SECOND_READ_OIDC_..., which come first, so that the client's secret need not lie in a file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from core.errors import InputError
from core.roles import Role
from core.services.people.person_names import DEMONSTRATION_ISSUER
from core.settings import Settings

FILE_VARIABLE = "SECOND_READ_AUTH_FILE"
FIRST_LEAD_VARIABLE = "SECOND_READ_FIRST_LEAD"
FILE_NAME = "auth.toml"
SESSION_HOURS = 12.0
"""A working day. NIST SP 800-63B, 4.2.3, asks at assurance level 2 for a new sign-in every 12 hours at least."""
_VARIABLES: Mapping[str, str] = {
    "client_id": "SECOND_READ_OIDC_CLIENT_ID",
    "client_secret": "SECOND_READ_OIDC_CLIENT_SECRET",
    "server_metadata_url": "SECOND_READ_OIDC_METADATA_URL",
    "redirect_uri": "SECOND_READ_OIDC_REDIRECT_URI",
}
_PROVIDER_KEYS = ("client_id", "client_secret", "server_metadata_url")
_CALLBACK = "/oauth2callback"
_WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """How people sign in."""

    secrets: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Section `auth` for Streamlit, without the cookie's secret; empty in a demonstration."""
    providers: tuple[str, ...] = ()
    """Names to hand to `st.login`; "default" for the one without a name."""
    roles_claim: str = "groups"
    """Claim that names groups or roles; dots lead into nested claims."""
    role_of: Mapping[str, frozenset[Role]] = field(default_factory=dict[str, frozenset[Role]])
    """Value of that claim -> roles."""
    name_claim: str = "name"
    trust_email: bool = False
    """Whether an e-mail address counts although the provider does not say that it checked it."""
    ask: str = "the lead of your department"
    """Whom somebody without access is sent to."""
    session_hours: float = SESSION_HOURS
    first_lead: str | None = None

    @property
    def is_demonstration(self) -> bool:
        """Whether names are typed in and checked by nobody."""
        return not self.providers


def read_auth_settings(settings: Settings, environ: Mapping[str, str] = os.environ) -> AuthSettings:
    """Read how people sign in here.

    Raises:
        InputError: the file or a variable cannot be used; the sentence names it.
    """
    path = Path(environ.get(FILE_VARIABLE) or settings.home / FILE_NAME).expanduser()
    content = _read(path, must_exist=bool(environ.get(FILE_VARIABLE)))
    secrets = _secrets(content, environ, path)
    roles, people = _table(content, "roles", path), _table(content, "people", path)
    hours = people.get("session_hours", SESSION_HOURS)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= 24 * 30:
        raise InputError(f"{path}: session_hours is {hours!r}; it must be a number of hours above 0 and up to 720.")
    return AuthSettings(
        secrets=secrets,
        providers=_providers(secrets, path),
        roles_claim=str(roles.get("claim", "groups")),
        role_of=_role_of(roles, path),
        name_claim=str(people.get("name_claim", "name")),
        trust_email=people.get("trust_email") is True,
        ask=str(people.get("ask", "the lead of your department")),
        session_hours=float(hours),
        first_lead=environ.get(FIRST_LEAD_VARIABLE) or None,
    )


def issuer_of(settings: Settings) -> str:
    """Return the issuer of whoever vouches for people here, as the address of its metadata gives it.

    OpenID Connect Discovery 4 puts the metadata below the issuer; slashes at the end do not count here.

    Raises:
        InputError: there are several providers, or the metadata lie elsewhere; then the issuer must be named.
    """
    auth = read_auth_settings(settings)
    if auth.is_demonstration:
        return DEMONSTRATION_ISSUER
    section = auth.secrets if auth.providers == ("default",) else auth.secrets.get(auth.providers[0], {})
    url = str(section.get("server_metadata_url", ""))
    if len(auth.providers) > 1 or not url.endswith(_WELL_KNOWN):
        raise InputError("The provider's issuer cannot be told from the sign-in settings. Name it with --issuer.")
    return url.removesuffix(_WELL_KNOWN).rstrip("/")


def _read(path: Path, *, must_exist: bool) -> Mapping[str, Any]:
    if not path.exists() and not must_exist:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise InputError(f"The sign-in settings {path} cannot be read ({err}). Correct the file.") from err


def _table(content: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise InputError(f"{path}: {name} must be a table, written [{name}].")
    return cast("Mapping[str, Any]", found)


def _secrets(content: Mapping[str, Any], environ: Mapping[str, str], path: Path) -> Mapping[str, Any]:
    """Return the section for Streamlit; variables replace what the file says."""
    given = {key: environ[name] for key, name in _VARIABLES.items() if environ.get(name)}
    secrets = {**_table(content, "auth", path), **given}
    secrets.pop("cookie_secret", None)  # the home's own, which signs tile permissions as well
    return secrets


def _providers(secrets: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Name the providers and check that each is complete, before anybody stands before a sign-in that fails."""
    if not secrets:
        return ()
    named = {
        name: cast("Mapping[str, Any]", section)
        for name, section in secrets.items()
        if isinstance(section, Mapping) and name != "client_kwargs"
    }
    sections = named or {"default": secrets}
    for name, section in sections.items():
        missing = [key for key in _PROVIDER_KEYS if not section.get(key)]
        if missing or "_" in name:
            what = f"lacks {', '.join(missing)}" if missing else "may have no underscore in its name"
            raise InputError(f"The sign-in provider {name!r} {what}. Complete [auth] in {path} or the variables.")
    redirect = urlsplit(str(secrets.get("redirect_uri", "")))
    if redirect.scheme not in ("http", "https") or not redirect.netloc or redirect.path != _CALLBACK:
        raise InputError(
            f"redirect_uri is {secrets.get('redirect_uri')!r}; "
            f"it must be the dashboard's address followed by {_CALLBACK}."
        )
    return tuple(sections)


def _role_of(roles: Mapping[str, Any], path: Path) -> Mapping[str, frozenset[Role]]:
    """Turn `role = [values of the claim]` round."""
    unknown = sorted(set(roles) - {role.value for role in Role} - {"claim"})
    if unknown:
        raise InputError(f"{path}: {', '.join(unknown)} in [roles] is no role; there are {', '.join(Role)}.")
    found: dict[str, frozenset[Role]] = {}
    for role in Role:
        values = roles.get(role.value, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in cast("list[object]", values)):
            raise InputError(f"{path}: {role.value} in [roles] must be a list of texts.")
        for value in cast("list[str]", values):
            found[value] = found.get(value, frozenset()) | {role}
    return found
