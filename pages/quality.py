"""Quality: every slide with what spoils it, the verdicts on it, the cohort, second reads and limits; and one slide."""

from __future__ import annotations

from enum import StrEnum

import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.services.quality.cohort import cohort_view
from core.services.quality.table import quality_table
from pages.parts.case.header import end_walk
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.quality.agreement import show_second_reads
from pages.parts.quality.cohort import BATCHES, METHODS, show_cohort
from pages.parts.quality.filters import follow_link, read_query
from pages.parts.quality.limits import show_limits
from pages.parts.quality.list import show_list, show_no_slides
from pages.parts.quality.slide import show_slide


class View(StrEnum):
    """What the page shows."""

    SLIDES = "Slides"
    COHORT = "Cohort"
    SECOND = "Second reads"
    LIMITS = "Limits"


user = require_permission(Permission.SEE_CASES)
settings = current_settings()
show_notice()
end_walk()

follow_link()
slide_id = st.query_params.get("slide")
if slide_id is not None:
    show_slide(settings, slide_id, user=user)
    st.stop()

with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
    st.title("Quality", width="content")
    view = st.segmented_control(
        "View",
        list(View),
        default=View.SLIDES,
        required=True,
        key="q_view",
        bind="query-params",
        label_visibility="collapsed",
    )
everything = quality_table(settings, actor=user.actor, limit=1)
if not everything.total:
    show_no_slides(user)
elif view == View.SLIDES:
    show_list(settings, everything.facets, user=user)
elif view == View.COHORT:
    query, _row = read_query(everything.facets)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        batch = st.segmented_control(
            "Colour by",
            list(BATCHES),
            default="scanner",
            required=True,
            format_func=BATCHES.__getitem__,
            key="q_batch",
            bind="query-params",
        )
        method = st.segmented_control(
            "Map", list(METHODS), default="pca", required=True, format_func=METHODS.__getitem__, key="q_map"
        )
    try:
        cohort = cohort_view(settings, actor=user.actor, query=query, batch=batch, method=method)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        st.stop()
    show_cohort(settings, cohort, user=user)
elif view == View.SECOND:
    show_second_reads(settings, user=user)
else:
    show_limits(settings, user=user)
