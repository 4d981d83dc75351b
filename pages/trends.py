"""Trends: quality by day, week, month, scanner, stain and site, with control limits; a click leads to the slides."""

from __future__ import annotations

import streamlit as st

from core.roles import Permission
from core.services.quality.table import quality_table
from core.services.quality.trends import quality_trends
from pages.parts.case.header import end_walk
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.quality.filters import read_query
from pages.parts.quality.list import show_no_slides
from pages.parts.trends.courses import GROUPINGS, show_trends

user = require_permission(Permission.SEE_CASES)
settings = current_settings()
show_notice()
end_walk()

st.title("Trends")
everything = quality_table(settings, actor=user.actor, limit=1)
if not everything.total:
    show_no_slides(user)
    st.stop()
query, _row = read_query(everything.facets)
by = st.segmented_control(
    "Group by",
    list(GROUPINGS),
    default="day",
    required=True,
    format_func=GROUPINGS.__getitem__,
    key="t_by",
    bind="query-params",
    help="Days, weeks and months are those on which slides were added, in UTC.",
)
show_trends(quality_trends(settings, by=by, query=query, actor=user.actor), user=user)
