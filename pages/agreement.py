"""Agreement: readers by readers, the model as one more, the spread of cases, profiles, what the model changes."""

from __future__ import annotations

import streamlit as st

from core.roles import Permission
from core.services.agreement.files import agreement_csv, agreement_json
from pages.parts.agreement.profiles import show_influence, show_literature, show_readers
from pages.parts.agreement.source import from_log
from pages.parts.agreement.tables import show_cases, show_overall, show_pairs
from pages.parts.agreement.upload import from_tables
from pages.parts.common.session import current_settings, require_permission

ORIGINS = {"Reads in this log": from_log, "Tables of mine": from_tables}
VIEWS = {
    "All readers": show_overall,
    "Reader by reader": show_pairs,
    "Cases": show_cases,
    "Each reader": show_readers,
    "Before and after the model": show_influence,
    "Literature": show_literature,
}

user = require_permission(Permission.SEE_REPORTS)
settings = current_settings()

with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Agreement", width="stretch")
    export_slot = st.container(horizontal=True, width="content")
origin = st.segmented_control(
    "Reads", list(ORIGINS), default="Reads in this log", required=True, key="reads_of", bind="query-params"
)
shown = ORIGINS[str(origin)](settings, user=user)
if shown is None:
    st.stop()

with st.container(horizontal=True):
    st.metric("Cases", f"{shown.cases:,}", width="content")
    st.metric("Readers", shown.readers, width="content")
    st.metric("Reads missing", f"{shown.missing:,}", width="content", help="Cells of cases and readers without a read.")
    if shown.report is not None and shown.report.model is not None:
        st.metric("Calls of the model", f"{shown.report.model.profile.reads:,}", width="content")
view = st.segmented_control(
    "View",
    list(VIEWS),
    default="All readers",
    required=True,
    key="view",
    bind="query-params",
    label_visibility="collapsed",
)
VIEWS[str(view)](shown)
if shown.report is not None:
    st.caption(
        f"Intervals: {shown.content['intervals']}. Agreement with a named reader or with most readers, not with truth."
    )

with export_slot:
    st.download_button(
        "CSV",
        agreement_csv(shown.overall, shown.report, shown.influence, facts=shown.facts),
        file_name="second-read-agreement.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="agreement_csv",
        help="Every statistic with its interval and number of cases.",
    )
    st.download_button(
        "JSON",
        agreement_json(shown.content, facts=shown.facts),
        file_name="second-read-agreement.json",
        mime="application/json",
        icon=":material/data_object:",
        on_click="ignore",
        key="agreement_json",
        help="Everything on this page.",
    )
