"""Who is signed in, and under which settings the dashboard runs: read anew on every run, kept nowhere."""

from __future__ import annotations

import streamlit as st

from core.roles import PERMISSION_WORDS, Permission, in_words, roles_with
from core.server.auth_settings import read_auth_settings
from core.server.claims import identity_of
from core.server.identity import EVERYONE, Role, User, user_of
from core.services.people.sessions import Visit, visit
from core.settings import Settings


def current_settings() -> Settings:
    """Return the settings of this process."""
    return Settings.from_environment()


def current_visit() -> Visit | None:
    """Return who shows signed claims and where that person stands; None if nobody does.

    The signature of the cookie was checked by the server; whether the session still holds is asked of the log.
    """
    settings = current_settings()
    auth = read_auth_settings(settings)
    identity = identity_of(st.user.to_dict(), auth)
    if identity is None:
        return None
    return visit(
        settings,
        identity,
        hours=auth.session_hours,
        first_lead=auth.first_lead,
        user_agent=st.context.headers.get("User-Agent") or "",
    )


def current_user() -> User | None:
    """Return who is signed in and may go on, or None."""
    found = current_visit()
    return None if found is None else user_of(found)


def require_role(roles: frozenset[Role] = EVERYONE) -> User:
    """Return the signed-in user if one of the roles is among `roles`; otherwise say so and stop the page.

    Every page calls this itself, so that no page depends on the router alone.
    """
    user = _signed_in()
    if not user.roles & roles:
        _refuse(user, f"this page is for: {in_words(roles)}")
    return user


def require_permission(permission: Permission) -> User:
    """Return the signed-in user if the person holds the permission; otherwise say so and stop the page."""
    user = _signed_in()
    if not user.may(permission):
        able = in_words(roles_with(permission))
        _refuse(user, f'this page is for: {able}. It needs the permission "{PERMISSION_WORDS[permission]}"')
    return user


def _signed_in() -> User:
    user = current_user()
    if user is None:
        st.error("Sign in first: open the start page of the dashboard.", icon=":material/lock:")
        st.stop()
    return user


def _refuse(user: User, why: str) -> None:
    way_out = "Sign out and choose another role." if user.is_demonstration else "Ask a lead for the role."
    st.error(f"Your role is {user.roles_in_words}; {why}. {way_out}", icon=":material/lock:")
    st.stop()
