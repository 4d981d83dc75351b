"""What stands around every page: the demonstration banner, who is signed in, and the two sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import Page

from core.domain import NOT_FOR_DIAGNOSIS
from core.roles import Permission
from core.server.identity import User
from core.services.people.sessions import revoke_everywhere, revoke_session
from pages.parts.common.session import current_settings

PHANTOM_SENTENCE = "Generated phantom slides say nothing about clinical accuracy."
"""Stands on every page, because the demonstration cohort is made of such slides."""
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<circle cx="12" cy="16" r="9" fill="none" stroke="#0f6b78" stroke-width="3.4"/>'
    '<circle cx="20" cy="16" r="9" fill="none" stroke="#d1704a" stroke-width="3.4"/></svg>'
)
"""Two readers' fields that overlap. Drawn here, because the browser would fetch a Material icon from another host."""
SIDEBAR_PX = 215
"""Wide enough for its longest link, and no wider: the worklist needs the room."""
DEMONSTRATION_BANNER = "Demonstration sign-in, not authenticated"


@dataclass(frozen=True, slots=True)
class Link:
    """A page in the sidebar."""

    page: Page
    icon: str
    needs: Permission | None = None
    """Without this permission a person does not find the link; None = everybody does. The page asks once more."""


@dataclass(frozen=True, slots=True)
class Group:
    """Pages that belong together, in the order of the sidebar."""

    title: str
    links: tuple[Link, ...]


def show_banner(user: User | None) -> None:
    """Show that names were checked by nobody, for as long as that is so."""
    if user is None or user.is_demonstration:
        st.badge(
            DEMONSTRATION_BANNER,
            icon=":material/warning:",
            color="orange",
            help="Anybody at this machine can choose any name and role. What is recorded is marked as a demonstration.",
        )


def show_sidebar(user: User, *, groups: Sequence[Group], counts: Mapping[str, int]) -> None:
    """Show the pages, who is signed in, and the way out.

    Args:
        user: The signed-in person.
        groups: The pages; a group of which the person may open none is left out.
        counts: Path of a page -> how much waits there for this person; shown beside its name.
    """
    st.logo(ICON, size="large")
    with st.sidebar:
        st.subheader("Second Read")
        for group in groups:
            links = [link for link in group.links if link.needs is None or user.may(link.needs)]
            if links:
                with st.container(gap="xxsmall"):
                    st.caption(group.title)
                    for link in links:
                        _show_link(link, waits=counts.get(link.page.url_path, 0))
        st.space("small")
        st.markdown(f"**{user.name}**  \n{user.roles_in_words}")
        _show_way_out(user)


def _show_link(link: Link, *, waits: int) -> None:
    label = f"{link.page.title} :orange-badge[{waits}]" if waits else None
    st.page_link(link.page, label=label, icon=link.icon)


def _show_way_out(user: User) -> None:
    """Let the person end this session, or every session there is; either way it is ended in the log as well."""
    settings = current_settings()
    if st.button("Sign out", key="sign_out", icon=":material/logout:", width="stretch"):
        revoke_session(settings, user.session_id, because="signed out", actor=user.actor)
        st.logout()
    everywhere = st.button(
        "Sign out everywhere",
        key="sign_out_everywhere",
        type="tertiary",
        width="stretch",
        help="Ends this session and every other one of yours, in all browsers and on all machines.",
    )
    if everywhere:
        revoke_everywhere(settings, user.person.person_id, because="signed out everywhere", actor=user.actor)
        st.logout()


def show_footer() -> None:
    """Show the two sentences that no page goes without."""
    st.space("small")
    st.caption(f":material/info: {NOT_FOR_DIAGNOSIS} {PHANTOM_SENTENCE}")
