"""The gate before every page: signing in, and what is said to somebody who may not go on."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import streamlit as st

from core.roles import Permission
from core.server.auth_settings import AuthSettings, read_auth_settings
from core.server.identity import DEMONSTRATION_ISSUER, NAME_LIMIT, ROLE_MEANINGS, ROLE_NAMES, Role, short_name
from core.server.return_to import return_cookie
from core.server.sign_in import login_url
from core.services.people.people import people_who_may
from core.services.people.person_names import person_name
from core.services.people.sessions import Standing, Visit
from pages.parts.common.badges import plain
from pages.parts.common.session import current_settings

_ENDED = {
    Standing.ENDED: "Your session was ended: you signed out elsewhere, or a lead ended it. Sign in again.",
    Standing.EXPIRED: "Your sign-in has expired. Sign in again.",
}


def show_gate(url_path: str, *, visit: Visit | None) -> None:
    """Ask for a sign-in, or say why the one there is does not open the page.

    Args:
        url_path: Path of the wanted page; its query parameters are read from the address.
        visit: Where the person at the screen stands; None if nobody is signed in.
    """
    auth = read_auth_settings(current_settings())
    st.title("Second Read")
    if visit is not None and visit.standing in (Standing.NO_ROLE, Standing.INACTIVE):
        _show_no_access(visit, auth)
        return
    st.markdown("Which cases deserve a second pair of eyes: model against diagnosis, slide quality, and a review log.")
    if visit is not None:
        st.info(_ENDED[visit.standing], icon=":material/history:")
    if auth.is_demonstration:
        _show_demonstration(url_path)
    else:
        _remember(_wanted(url_path))
        _show_providers(auth)


def _remember(target: str) -> None:
    """Have this browser come back here after signing in: every provider returns to the start page."""
    script = f"document.cookie = {json.dumps(return_cookie(target))}"
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)


def _show_demonstration(url_path: str) -> None:
    """Ask for a name and a role, then send the browser through the sign-in route and on to the page it wanted."""
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
    cleaned = person_name(name)
    if cleaned is None:
        st.warning(
            f"Type a name of 1 to {NAME_LIMIT} printable characters, as a person has it.", icon=":material/edit:"
        )
        return
    _leave_for(login_url(cleaned, role=role, target=_wanted(url_path)))


def _show_providers(auth: AuthSettings) -> None:
    """Hand over to whoever vouches for people here."""
    with st.container(border=True, width=520):
        st.subheader("Sign in")
        for provider in auth.providers:
            label = "Sign in" if provider == "default" else f"Sign in with {provider}"
            if st.button(label, key=f"sign_in_{provider}", type="primary", icon=":material/login:"):
                st.login(None if provider == "default" else provider)
        st.caption("A lead gives the roles:  \n" + "  \n".join(f"**{ROLE_NAMES[r]}** {ROLE_MEANINGS[r]}" for r in Role))


def _show_no_access(visit: Visit, auth: AuthSettings) -> None:
    """Say to somebody whose name is known that nothing is open yet, and whom to ask."""
    settings = current_settings()
    name = "" if visit.person is None else f", {plain(short_name(visit.person.log_name))}"
    if visit.standing is Standing.INACTIVE:
        st.warning(f"Your access is closed{name}.", icon=":material/lock:")
    else:
        st.info(
            f"No access yet{name}. You are signed in, but nobody has given you a role here.", icon=":material/lock:"
        )
    leads = [
        plain(short_name(person.log_name))
        for person in people_who_may(settings, Permission.MANAGE_PEOPLE)
        if (person.issuer == DEMONSTRATION_ISSUER) == auth.is_demonstration
    ]
    st.markdown(f"Ask {plain(auth.ask)}." + (f" Leads here: {', '.join(leads)}." if leads else ""))
    if st.button("Look again", key="look_again", icon=":material/refresh:"):
        st.rerun()
    if st.button("Sign out", key="sign_out", icon=":material/logout:"):
        st.logout()


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
