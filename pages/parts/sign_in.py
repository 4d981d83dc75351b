"""The demonstration sign-in screen that stands before every page."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import streamlit as st

from core.server.identity import NAME_LIMIT, ROLE_MEANINGS, ROLE_NAMES, Role, clean_name
from core.server.sign_in import login_url


def show_sign_in(url_path: str) -> None:
    """Ask for a name and a role, then send the browser through the sign-in route and on to the page it wanted.

    Args:
        url_path: Path of the wanted page; its query parameters are read from the address.
    """
    st.title("Second Read")
    st.markdown("Which cases deserve a second pair of eyes: model against diagnosis, slide quality, and a review log.")
    with st.form("sign_in", width=520):
        st.subheader("Sign in")
        name = st.text_input("Your name", key="sign_in_name", max_chars=NAME_LIMIT, placeholder="For example A. Reader")
        role = st.radio(
            "Role",
            list(Role),
            format_func=ROLE_NAMES.__getitem__,
            captions=[ROLE_MEANINGS[role] for role in Role],
            key="sign_in_role",
        )
        submitted = st.form_submit_button("Sign in", key="sign_in_submit", type="primary", icon=":material/login:")
    if not submitted:
        return
    cleaned = clean_name(name)
    if cleaned is None:
        st.warning(f"Type a name of 1 to {NAME_LIMIT} printable characters.", icon=":material/edit:")
        return
    _leave_for(login_url(cleaned, role=role, target=_wanted(url_path)))


def _wanted(url_path: str) -> str:
    """Address, inside the dashboard, of the page that was asked for."""
    query = urlencode([(key, value) for key in st.query_params for value in st.query_params.get_all(key)])
    return f"/{url_path}{'?' if query else ''}{query}"


def _leave_for(url: str) -> None:
    """Send this browser tab to a route of ours. Streamlit has no element that leaves in the same tab.

    `url` is percent-encoded by its maker, so it holds nothing that could end the string or the script.
    """
    st.caption("Signing in...")
    st.html(f"<script>window.location.assign({json.dumps(url)})</script>", unsafe_allow_javascript=True)
