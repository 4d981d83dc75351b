"""Worklist: one row a case, likely missed disease first."""

from __future__ import annotations

import streamlit as st

from core.domain import CaseStatus
from core.services.worklist import worklist
from pages.parts.actions import show_notice
from pages.parts.badges import CASES, FLAGS
from pages.parts.case_parts import end_walk
from pages.parts.resources import row_thumbnails
from pages.parts.session import current_settings, require_role
from pages.parts.tables import (
    Assignment,
    Filter,
    Order,
    export_csv,
    kinds_present,
    select_rows,
    with_short_names,
    worklist_frame,
)
from pages.parts.worklist_parts import COLUMNS, show_empty, show_failures

user = require_role()
settings = current_settings()
show_notice()
end_walk()

st.title("Worklist")
rows = worklist(settings, actor=user.actor)
if not rows:
    show_empty(user)
    st.stop()

with st.container(horizontal=True, vertical_alignment="bottom"):
    search = st.text_input(
        "Search",
        key="search",
        placeholder="Case, site, diagnosis, reader, reason",
        icon=":material/search:",
        width=300,
        live=True,
        bind="query-params",
    )
    order = st.selectbox("Order", list(Order), key="order", width=240, bind="query-params")
    assignment = st.segmented_control(
        "Assigned to", list(Assignment), default=Assignment.ALL, required=True, key="assignment", bind="query-params"
    )
with st.container(horizontal=True, vertical_alignment="bottom"):
    statuses = st.pills(
        "Status",
        list(CaseStatus),
        selection_mode="multi",
        format_func=lambda status: CASES[status].label,
        key="status",
        bind="query-params",
    )
    flags = st.pills(
        "Flags",
        kinds_present(rows),
        selection_mode="multi",
        format_func=lambda kind: FLAGS[kind].label,
        key="flags",
    )

selected = select_rows(
    rows,
    wanted=Filter(search=search, flags=frozenset(flags), statuses=frozenset(statuses), assignment=assignment),
    order=order,
    actor=user.actor,
)
with st.container(horizontal=True, vertical_alignment="center"):
    st.caption(f"{len(selected)} of {len(rows)} cases. Click a row to open the case.")
    export_slot = st.container(width="content")

if not selected:
    st.info("No case passes these filters. Clear the search, a status or a flag.", icon=":material/filter_alt_off:")
else:
    frame = worklist_frame(selected, thumbnails=row_thumbnails(selected))
    event = st.dataframe(
        with_short_names(frame),
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
    export_slot.download_button(
        "Export CSV",
        export_csv(frame),
        file_name="second-read-worklist.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="export",
    )
    if event.selection.cells:
        opened = selected[event.selection.cells[0][0]].case_id
        st.switch_page("case.py", query_params={"case": opened})

show_failures(selected)
