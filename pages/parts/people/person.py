"""One person: roles, access, sessions and history, with every change confirmed before it is made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import streamlit as st

from core.roles import ROLE_MEANINGS, ROLE_NAMES, Role
from core.server.identity import User, short_name
from core.services.people.people import PersonRow, change_roles, person_history, set_active
from core.services.people.sessions import list_sessions, revoke_everywhere, revoke_session
from core.settings import Settings
from core.store.records import PersonRecord, RolesFrom
from pages.parts.common.actions import attempt
from pages.parts.common.badges import Look, plain, time_in_words
from pages.parts.people.tables import (
    browser_in_words,
    issuer_in_words,
    log_frame,
    sessions_frame,
    state_in_words,
)

_STATES = {
    "Active": Look("Active", "green", ":material/check_circle:"),
    "Invited": Look("Invited", "blue", ":material/mail:"),
    "Waits for a role": Look("Waits for a role", "orange", ":material/hourglass:"),
    "Access closed": Look("Access closed", "gray", ":material/lock:"),
}
_ROLES_FROM = {
    RolesFrom.HAND: "Given by a lead or the command line.",
    RolesFrom.CLAIMS: "Given by the claims of the sign-in, anew at each one. A change here takes that over for good.",
    RolesFrom.SIGN_IN: "Chosen by the person at the demonstration sign-in; the next sign-in chooses anew.",
}


def show_person(settings: Settings, row: PersonRow, *, user: User) -> None:
    """Show everything about one person and take changes."""
    person = row.person
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(short_name(person.log_name)), width="content")
        look = _STATES[state_in_words(person)]
        st.badge(look.label, color=look.colour, icon=look.icon)
    facts = [f"Known by {plain(issuer_in_words(person.issuer))}", f"added {time_in_words(person.added_at)}"]
    facts += [plain(person.email)] if person.email else []
    st.caption(", ".join(facts))
    _show_roles(settings, person, user=user)
    _show_access(settings, person, user=user)
    _show_sessions(settings, person, user=user)
    with st.expander("History", icon=":material/history:"):
        told = log_frame(person_history(settings, person.person_id, actor=user.actor)).drop(columns="Person")
        st.dataframe(told, hide_index=True, key=f"history_{person.person_id}", alt="History of this person")


def _show_roles(settings: Settings, person: PersonRecord, *, user: User) -> None:
    held = [role for role in Role if role in person.roles]
    # The key holds the roles, so that the form begins anew when somebody else changes them.
    with st.form(f"roles_{person.person_id}_{'_'.join(held)}"):
        wanted = st.pills(
            "Roles",
            list(Role),
            selection_mode="multi",
            default=held,
            format_func=ROLE_NAMES.__getitem__,
            help="  \n".join(f"**{ROLE_NAMES[role]}** {ROLE_MEANINGS[role]}" for role in Role),
        )
        because = st.text_input("Reason (optional)", max_chars=200, placeholder="Stands in the history")
        st.caption(_ROLES_FROM[person.roles_from])
        submitted = st.form_submit_button("Change roles", icon=":material/manage_accounts:", key="change_roles")
    if not submitted:
        return
    if set(wanted) == set(held):
        st.info("These are the roles already.", icon=":material/info:")
        return
    _confirm_roles(settings, person, wanted, because, actor=user.actor)


@st.dialog("Change roles", icon=":material/manage_accounts:")
def _confirm_roles(settings: Settings, person: PersonRecord, wanted: list[Role], because: str, *, actor: str) -> None:
    name = plain(short_name(person.log_name))
    given = [ROLE_NAMES[role] for role in Role if role in wanted and role not in person.roles]
    taken = [ROLE_NAMES[role] for role in Role if role in person.roles and role not in wanted]
    st.markdown(f"**{name}**")
    if given:
        st.markdown(f"Will be: {', '.join(given)}")
    if taken:
        st.markdown(f"Will no longer be: {', '.join(taken)}")
    if not wanted:
        st.warning("Without a role the person sees nothing.", icon=":material/visibility_off:")
    _confirmed(
        "Change roles",
        lambda: change_roles(settings, person.person_id, wanted, seen=person.roles, because=because, actor=actor),
        done=f"{short_name(person.log_name)} has the roles now; they hold from the next click on.",
    )


def _show_access(settings: Settings, person: PersonRecord, *, user: User) -> None:
    if person.active:
        if st.button("Close access", key="close_access", icon=":material/lock:"):
            _confirm_access(settings, person, user=user)
    elif st.button("Open access again", key="open_access", icon=":material/lock_open:"):
        done = f"{short_name(person.log_name)} may sign in again."
        if attempt(lambda: set_active(settings, person.person_id, active=True, actor=user.actor), done=done):
            st.rerun()


@st.dialog("Close access", icon=":material/lock:")
def _confirm_access(settings: Settings, person: PersonRecord, *, user: User) -> None:
    name = plain(short_name(person.log_name))
    st.markdown(f"**{name}** is signed out everywhere at once and cannot sign in again until a lead allows it.")
    st.caption("Everything this person recorded stays, under the same name.")
    if person.person_id == user.person.person_id:
        st.warning("This is you. You will lose this page.", icon=":material/warning:")
    because = st.text_input("Reason", key="close_because", max_chars=200, placeholder="Stands in the history")
    _confirmed(
        "Close access",
        lambda: set_active(settings, person.person_id, active=False, because=because, actor=user.actor),
        done=f"The access of {short_name(person.log_name)} is closed.",
    )


def _show_sessions(settings: Settings, person: PersonRecord, *, user: User) -> None:
    now = datetime.now(UTC)
    live = [one for one in list_sessions(settings, person.person_id, actor=user.actor) if one.is_open(now)]
    st.markdown(f"**Sessions** ({len(live)})")
    if not live:
        st.caption("No session holds at present.")
        return
    shown = sessions_frame(live, own=user.session_id)
    st.dataframe(shown, hide_index=True, key=f"sessions_{person.person_id}", alt="Sessions that hold")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        one = st.selectbox(
            "End one session",
            [session.session_id for session in live],
            index=None,
            placeholder="Choose a session",
            format_func={
                session.session_id: f"{browser_in_words(session.user_agent)}, {time_in_words(session.started_at)}"
                for session in live
            }.__getitem__,
            key=f"end_one_{person.person_id}",
            width=280,
        )
        if st.button("End it", key="end_session", icon=":material/logout:", disabled=one is None) and attempt(
            lambda: revoke_session(settings, str(one), because="ended by a lead", actor=user.actor),
            done="The session is ended; its pages and slides close within seconds.",
        ):
            st.rerun()
        if st.button("End all", key="end_all", icon=":material/logout:"):
            _confirm_end_all(settings, person, user=user)


@st.dialog("End all sessions", icon=":material/logout:")
def _confirm_end_all(settings: Settings, person: PersonRecord, *, user: User) -> None:
    st.markdown(f"**{plain(short_name(person.log_name))}** is signed out in every browser and may sign in again.")
    _confirmed(
        "End all sessions",
        lambda: revoke_everywhere(settings, person.person_id, because="ended by a lead", actor=user.actor),
        done="All sessions are ended.",
    )


def _confirmed(label: str, action: Callable[[], object], *, done: str) -> None:
    """Offer the two ends of a dialog; the page is drawn anew when the action worked."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="cancel_dialog"):
            st.rerun()
        if st.button(label, key="confirm_dialog", type="primary") and attempt(action, done=done):
            st.rerun()
