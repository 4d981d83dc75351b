"""The list of people: searching it, and choosing somebody."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.roles import ROLE_NAMES, Role
from core.server.identity import short_name
from core.services.people.people import PersonRow
from pages.parts.common.badges import plain
from pages.parts.people.tables import matching, people_csv, people_frame

_PARAMETER = "person"


def show_waiting(rows: Sequence[PersonRow]) -> None:
    """Say who signed in and has no role yet, with a way to each."""
    waiting = [row.person for row in rows if row.person.active and not row.person.roles]
    if not waiting:
        return
    one = len(waiting) == 1
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/hourglass: **{len(waiting)} {'person waits' if one else 'people wait'} for a role**",
            width="content",
        )
        for person in waiting[:8]:
            if st.button(short_name(person.log_name), key=f"waiting_{person.person_id}"):
                st.query_params[_PARAMETER] = str(person.person_id)
                st.rerun()


def show_people(rows: Sequence[PersonRow]) -> None:
    """Show the list with its search; a chosen row opens that person."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            "Search", key="people_search", placeholder="Name, e-mail or subject", icon=":material/search:", width=260
        )
        roles = st.pills(
            "Role",
            list(Role),
            selection_mode="multi",
            format_func=ROLE_NAMES.__getitem__,
            key="people_roles",
            wrap=True,
        )
        export_slot = st.empty()
    found = matching(rows, words=words, roles=roles)
    if not found:
        st.info("Nobody matches. Clear the search or the roles.", icon=":material/search_off:")
        return
    event = st.dataframe(
        people_frame(found),
        hide_index=True,
        key="people",
        height=min(37 + 33 * len(found), 600),
        on_select="rerun",
        selection_mode="single-cell",
        column_config={"Name": st.column_config.TextColumn(pinned=True)},
        alt="Everybody who may sign in, with roles and state",
    )
    st.caption(f"{len(found)} of {len(rows)}. Click a row, or choose by name on the right.")
    export_slot.download_button(
        "Export CSV",
        people_csv(found),
        file_name="second-read-people.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="people_export",
    )
    cells = event.selection.cells
    if cells:
        chosen = str(found[cells[0][0]].person.person_id)
        # A selection stays in the browser; only a new one moves on.
        if st.session_state.get("people_clicked") != (chosen, cells[0]):
            st.session_state["people_clicked"] = (chosen, cells[0])
            st.query_params[_PARAMETER] = chosen
            st.rerun()


def choose_person(rows: Sequence[PersonRow]) -> PersonRow | None:
    """Return the person whom the address names; a box with the names changes it, with the keyboard as well."""
    by_id = {str(row.person.person_id): row for row in rows}
    wanted = st.query_params.get(_PARAMETER)
    options = list(by_id)
    chosen = st.selectbox(
        "Person",
        options,
        index=options.index(wanted) if wanted in by_id else None,
        format_func=lambda number: plain(short_name(by_id[number].person.log_name)),
        placeholder="Type or choose a name",
        key=f"person_of_{wanted}",
    )
    if chosen is not None and chosen != wanted:
        st.query_params[_PARAMETER] = chosen
        st.rerun()
    if wanted is not None and wanted not in by_id:
        st.warning("There is no such person here. Choose another one.", icon=":material/person_off:")
    return by_id.get(wanted or "")
