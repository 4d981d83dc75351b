"""Who is signed in, and under which settings the dashboard runs: read anew on every run, kept nowhere."""

from __future__ import annotations

import streamlit as st

from core.server.identity import EVERYONE, ROLE_NAMES, Role, User, user_from_claims
from core.settings import Settings


def current_settings() -> Settings:
    """Return the settings of this process."""
    return Settings.from_environment()


def current_user() -> User | None:
    """Return who is signed in, or None. The signature of the cookie was checked by the server."""
    return user_from_claims(st.user.to_dict())


def require_role(roles: frozenset[Role] = EVERYONE) -> User:
    """Return the signed-in user if the role is among `roles`; otherwise say so and stop the page.

    Every page calls this itself, so that no page depends on the router alone.
    """
    user = current_user()
    if user is None:
        st.error("Sign in first: open the start page of the dashboard.", icon=":material/lock:")
        st.stop()
    if user.role not in roles:
        allowed = ", ".join(ROLE_NAMES[role] for role in Role if role in roles)
        st.error(
            f"Your role is {ROLE_NAMES[user.role]}; this page is for: {allowed}. Sign out and choose another role.",
            icon=":material/lock:",
        )
        st.stop()
    return user
