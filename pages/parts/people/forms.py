"""Adding somebody before the first sign-in."""

from __future__ import annotations

import streamlit as st

from core.errors import InputError
from core.roles import ROLE_MEANINGS, ROLE_NAMES, Role
from core.server.auth_settings import AuthSettings, issuer_of
from core.server.identity import NAME_LIMIT
from core.services.people.people import add_person
from core.settings import Settings
from pages.parts.common.actions import attempt


@st.dialog("Add person", icon=":material/person_add:", width="medium")
def show_add_person(settings: Settings, auth: AuthSettings, *, actor: str) -> None:
    """Ask for a name, what the sign-in will know the person by, and roles."""
    issuer = _issuer(settings)
    with st.form("add_person_form", border=False):
        name = st.text_input(
            "Name", key="add_name", max_chars=NAME_LIMIT, help="Printed on signatures and in the log. It never changes."
        )
        email, subject = "", ""
        if auth.is_demonstration:
            st.caption("In the demonstration the name is all there is; at sign-in the person chooses a role anew.")
        else:
            email = st.text_input("E-mail address", key="add_email", help="The provider must have checked it.")
            subject = st.text_input("Or the provider's subject", key="add_subject")
            issuer = st.text_input("Provider (issuer)", value=issuer, key="add_issuer")
        roles = st.pills(
            "Roles",
            list(Role),
            selection_mode="multi",
            format_func=ROLE_NAMES.__getitem__,
            key="add_roles",
            help="  \n".join(f"**{ROLE_NAMES[role]}** {ROLE_MEANINGS[role]}" for role in Role),
        )
        submitted = st.form_submit_button("Add person", type="primary", key="add_submit", icon=":material/person_add:")
    if submitted and attempt(
        lambda: add_person(
            settings, name, issuer=issuer, subject=subject.strip() or None, email=email, roles=roles, actor=actor
        ),
        done=f"{name.strip()} is added.",
    ):
        st.rerun()


def _issuer(settings: Settings) -> str:
    try:
        return issuer_of(settings)
    except InputError:
        return ""
