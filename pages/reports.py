"""Reports: what guidelines on second opinions ask a department to count, over time, beside the literature."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from core.documents import to_html, to_pdf
from core.errors import InputError
from core.roles import Permission
from core.services.reports.files import report_csv, report_document, trend_csv
from core.services.reports.periods import Step, label_of, periods_between
from core.services.reports.reports import first_read_at, report, reports_of
from pages.parts.common.session import current_settings, require_permission
from pages.parts.reports.measures import STEPS, choose_period, show_measures, show_trend

user = require_permission(Permission.SEE_REPORTS)
settings = current_settings()

with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Reports", width="stretch")
    export_slot = st.container(horizontal=True, width="content", vertical_alignment="bottom")
first = first_read_at(settings, actor=user.actor)
if first is None:
    st.info(
        "A report counts cases from their first read on. Record diagnoses on the case screen, or import reads.",
        title="Nothing was read yet",
        icon=":material/summarize:",
    )
    st.page_link("worklist.py", label="To the worklist", icon=":material/format_list_bulleted:")
    st.stop()

with st.container(horizontal=True, vertical_alignment="bottom"):
    try:
        period = choose_period(first)
    except InputError as err:
        st.warning(str(err), icon=":material/edit:")
        st.stop()
    step = st.segmented_control(
        "Trend by",
        list(STEPS),
        default=Step.MONTH,
        required=True,
        format_func=STEPS.__getitem__,
        key="report_step",
        bind="query-params",
    )
found = report(settings, period=period, actor=user.actor)
if found.hidden:
    st.caption(f":material/visibility_off: Cases left out: {found.hidden}, on which a blinded opinion is awaited.")
show_measures(found)
st.caption(
    "Intervals are Wilson's for shares and by order statistics for the median. A second opinion is not the truth: of "
    "the revised diagnoses at Mayo that were biopsied again, 15.1 % were not confirmed."
)
step = Step(step)
try:
    cut = periods_between(max(first, period.start or first), period.end or datetime.now(UTC), step=step)
except InputError as err:
    st.warning(str(err), icon=":material/edit:")
    cut = ()
labels = [label_of(one, step=step) for one in cut]
trend = list(zip(labels, reports_of(settings, cut, actor=user.actor), strict=True)) if cut else []
if trend:
    show_trend(trend)

with export_slot:
    department = st.text_input(
        "Department", key="report_department", max_chars=80, width=200, help="For the heading of the printed report."
    )
    document = partial(report_document, found, trend, department=department or "", made_by="Second Read")
    st.download_button(
        "CSV",
        report_csv(found),
        file_name="second-read-report.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="report_csv",
    )
    st.download_button(
        "Trend",
        trend_csv(trend),
        file_name="second-read-trend.csv",
        mime="text/csv",
        icon=":material/show_chart:",
        on_click="ignore",
        disabled=not trend,
        key="trend_csv",
        help="Every measure of every period as CSV.",
    )
    st.download_button(
        "HTML",
        lambda: to_html(document()).encode(),
        file_name="second-read-report.html",
        mime="text/html",
        icon=":material/print:",
        on_click="ignore",
        key="report_html",
        help="One file to print, with figures over time.",
    )
    st.download_button(
        "PDF",
        lambda: to_pdf(document()),
        file_name="second-read-report.pdf",
        mime="application/pdf",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
        key="report_pdf",
    )
