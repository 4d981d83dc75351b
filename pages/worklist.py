"""Worklist: one row a case, the second look that is worth most first; a pathologist's day in its first row."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from core.services.cases.day import day_view
from core.services.cases.worklist_pages import WorklistQuery, worklist_names, worklist_page
from core.services.triage.board import UNCALIBRATED
from pages.parts.case.header import end_walk, start_walk
from pages.parts.common.actions import show_notice
from pages.parts.common.resources import row_thumbnails
from pages.parts.common.session import current_settings, require_role
from pages.parts.triage.setting import chosen_on_board, show_choice
from pages.parts.worklist.filters import (
    PAGE,
    PAGE_SIZE,
    choose_order,
    choose_whose,
    filtered,
    page_wanted,
    query_for,
    show_filters,
)
from pages.parts.worklist.pieces import COLUMNS, export_list, show_empty, show_failures, show_nothing_found
from pages.parts.worklist.table import with_short_names, worklist_frame

user = require_role()
settings = current_settings()
show_notice()
end_walk()

with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Worklist", width="stretch")
    start_slot = st.container(width="content")
    export_slot = st.container(width="content")
day = day_view(settings, actor=user.actor)
with st.container(horizontal=True, vertical_alignment="bottom"):
    whose = choose_whose(day)
    text = st.text_input(
        "Search",
        key="search",
        placeholder="Case, slide, site, diagnosis, person",
        icon=":material/search:",
        width=270,
        live=True,
        bind="query-params",
        help="Every word must occur in the case's id, its slides' names, site, diagnosis, reader or assignee.",
    )
    order = choose_order()
query = filtered(query_for(whose, day, text=text or "", actor=user.actor))
choice = chosen_on_board(settings, user=user)
if choice is not None:
    show_choice(choice)
    query = replace(query, cases=tuple(name for name in choice.names if query.cases is None or name in query.cases))

wanted = page_wanted()
page_of = partial(worklist_page, settings, actor=user.actor, query=query, order=order, limit=PAGE_SIZE)
found = page_of(offset=(wanted - 1) * PAGE_SIZE)
pages = max(1, -(-found.total // PAGE_SIZE))
if wanted > pages:
    wanted, found = 1, page_of(offset=0)
    st.session_state[PAGE] = 1
if not found.total and query == WorklistQuery():
    show_empty(user)
    st.stop()
show_filters(found, query)

if not found.total:
    show_nothing_found(whose)
else:
    first = (wanted - 1) * PAGE_SIZE + 1
    st.caption(
        f"{first:,} to {first + len(found.cases) - 1:,} of {found.total:,} cases. Click a row to open the case, then "
        f"J and K walk on. {UNCALIBRATED}"
    )
    rows = [case.row for case in found.cases]
    event = st.dataframe(
        with_short_names(worklist_frame(found.cases, thumbnails=row_thumbnails(rows))),
        key="worklist_table",
        column_config=COLUMNS,
        hide_index=True,
        row_height=56,
        height="content",
        placeholder="-",
        on_select="rerun",
        selection_mode="single-cell",
        alt="Cases of the worklist with flags, diagnosis, model result and status",
    )
    opened = rows[event.selection.cells[0][0]].case_id if event.selection.cells else None
    if start_slot.button(
        "Open the first",
        key="open_first",
        icon=":material/arrow_forward:",
        type="primary",
        shortcut="j",
        help=f"Case {rows[0].case_id}",
    ):
        opened = rows[0].case_id
    if opened is not None:
        start_walk(worklist_names(settings, actor=user.actor, query=query, order=order))
        st.switch_page("case.py", query_params={"case": opened})
    if pages > 1:
        st.pagination(pages, key=PAGE, bind="query-params")
    export_slot.download_button(
        "Export CSV",
        partial(export_list, settings, query=query, order=order, actor=user.actor),
        file_name="second-read-worklist.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="export",
        help=f"All {found.total:,} cases that pass the filters, as far as you may see them",
    )
    show_failures(rows)
