"""Second opinions: what is asked of whoever looks, what that person asked for, what is late, and what waits."""

from __future__ import annotations

import streamlit as st

from core.roles import Permission
from core.services.consultations.inbox import consult_inbox, matching
from core.vocabulary import Urgency
from pages.parts.case.header import end_walk
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.consultations.lines import (
    View,
    choose_view,
    lines_csv,
    lines_of,
    open_line,
    show_cards,
    show_empty_view,
    show_table,
)
from pages.parts.consultations.words import URGENCIES

user = require_permission(Permission.GIVE_OPINION)
settings = current_settings()
show_notice()
end_walk()

box = consult_inbox(settings, actor=user.actor)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Second opinions", width="stretch")
    first = next(iter((*box.to_do, *box.to_take)), None)
    if first is not None and st.button(
        "Open the next one", key="open_next", icon=":material/arrow_forward:", type="primary", shortcut="w"
    ):
        open_line(first)
view = choose_view(box)
lines = lines_of(box, view)

with st.container(horizontal=True, vertical_alignment="bottom"):
    words = st.text_input(
        "Search",
        key="opinion_search",
        placeholder="Case, question or person",
        icon=":material/search:",
        width=300,
        live=True,
        bind="query-params",
    )
    urgencies = st.pills(
        "Urgency",
        list(Urgency),
        selection_mode="multi",
        format_func=lambda one: URGENCIES[one].label,
        key="opinion_urgency",
        bind="query-params",
    )
    export_slot = st.container(width="content")
found = matching(lines, words=words or "", urgencies=frozenset(urgencies))

if not lines:
    show_empty_view(view)
elif not found:
    st.info("Nothing passes these filters. Clear the search or the urgency.", icon=":material/filter_alt_off:")
else:
    if view in (View.TO_DO, View.TO_TAKE):
        show_cards(found, actor=user.actor)
    else:
        show_table(found, view=view)
    export_slot.download_button(
        "Export CSV",
        lines_csv(found),
        file_name="second-read-opinions.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="opinions_export",
    )
