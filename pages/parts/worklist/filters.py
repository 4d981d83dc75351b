"""The worklist's filters: widgets whose state stands in the address, and the query that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

import streamlit as st

from core.domain import CaseStatus, FlagKind, ReadCategory
from core.services.cases.day import DayView
from core.services.cases.worklist_pages import WorklistOrder, WorklistPage, WorklistQuery
from pages.parts.common.badges import CASES, CATEGORIES, FLAGS

PAGE_SIZE = 25
"""Cases on one page: what is scrolled through without losing one's place."""
PAGE = "list_page"
"""Key of the page number."""


class Whose(StrEnum):
    """Whose cases are listed."""

    ALL = "All"
    YOURS = "Yours"
    UNASSIGNED = "Unassigned"
    WAITING = "Waiting for you"


ORDERS: Mapping[WorklistOrder, str] = {
    WorklistOrder.BENEFIT: "Expected benefit",
    WorklistOrder.PRIORITY: "Likely missed disease",
    WorklistOrder.WAITING: "Waiting longest",
    WorklistOrder.QUALITY: "Lowest quality",
    WorklistOrder.CASE: "Case id",
}


def first_page() -> None:
    """Go back to the first page: another filter makes another list."""
    st.session_state[PAGE] = 1


def page_wanted() -> int:
    """Return the page number that the address or the reader asks for, from 1."""
    found = st.session_state.get(PAGE, st.query_params.get(PAGE, "1"))
    return max(1, int(found)) if str(found).isdigit() else 1


def choose_whose(day: DayView) -> Whose:
    """Let the reader choose whose cases are listed; every choice says how many there are."""
    counts = {
        Whose.ALL: "",
        Whose.YOURS: f" ({day.yours:,})",
        Whose.UNASSIGNED: f" ({day.unassigned:,})",
        Whose.WAITING: f" ({len(day.waiting):,})",
    }
    named = {one.name.lower(): one for one in Whose}
    whose = st.segmented_control(
        "Whose cases",
        list(Whose),
        default=named.get(st.query_params.get("whose", ""), Whose.ALL),
        required=True,
        format_func=lambda whose: f"{whose.value}{counts[whose]}",
        key="whose",
        on_change=first_page,
        help="Yours and unassigned: cases that are not settled. Waiting for you: opinions asked of you, and cases of "
        "your requests to compare, resolve or sign.",
    )
    _tell_address("whose", [] if whose is Whose.ALL else [whose.name.lower()])
    return whose


def choose_order() -> WorklistOrder:
    """Let the reader choose the order."""
    return st.selectbox(
        "Order",
        list(ORDERS),
        format_func=ORDERS.__getitem__,
        key="order",
        width=200,
        on_change=first_page,
        bind="query-params",
        help="Expected benefit of a second look: severity x probability x quality. Cases whose model result is hidden "
        "from you stand by how long they wait, whatever the model says.",
    )


def query_for(whose: Whose, day: DayView, *, text: str, actor: str) -> WorklistQuery:
    """Return the query for a choice and words to search for."""
    query = WorklistQuery(text=text)
    if whose is Whose.YOURS:
        return replace(query, assigned_to=actor, unsettled=True)
    if whose is Whose.UNASSIGNED:
        return replace(query, unassigned=True, unsettled=True)
    return replace(query, cases=day.waiting) if whose is Whose.WAITING else query


def filtered(query: WorklistQuery) -> WorklistQuery:
    """Return a query with the filters that stand in the address, before their widgets are drawn."""
    return replace(
        query,
        statuses=tuple(CaseStatus(one) for one in _kept("status", CaseStatus)),
        kinds=tuple(FlagKind(one) for one in _kept("flags", FlagKind)),
        diagnoses=tuple(ReadCategory(one) for one in _kept("diagnosis", ReadCategory)),
        site=st.session_state.get("site", st.query_params.get("site")) or None,
    )


def show_filters(found: WorklistPage, query: WorklistQuery) -> None:
    """Show the filters with how many cases each would leave; what is chosen stays, even at none."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills(
            "Status",
            [one for one in CASES if found.by_status.get(one) or one in query.statuses],
            selection_mode="multi",
            default=query.statuses,
            format_func=lambda one: f"{CASES[one].label} {found.by_status.get(one, 0):,}",
            key="status",
            on_change=first_page,
            wrap=True,
        )
        st.pills(
            "Flags",
            [one for one in FLAGS if found.by_kind.get(one) or one in query.kinds],
            selection_mode="multi",
            default=query.kinds,
            format_func=lambda one: f"{FLAGS[one].label} {found.by_kind.get(one, 0):,}",
            key="flags",
            on_change=first_page,
            wrap=True,
        )
        _tell_address("status", [one.value for one in query.statuses])
        _tell_address("flags", [one.value for one in query.kinds])
        chosen = len(query.diagnoses) + (query.site is not None)
        with st.popover(f"More filters ({chosen})" if chosen else "More filters", icon=":material/filter_list:"):
            _show_more(found, query)


def _show_more(found: WorklistPage, query: WorklistQuery) -> None:
    st.pills(
        "Diagnosis",
        list(CATEGORIES),
        selection_mode="multi",
        default=query.diagnoses,
        format_func=CATEGORIES.__getitem__,
        key="diagnosis",
        on_change=first_page,
    )
    _tell_address("diagnosis", [one.value for one in query.diagnoses])
    if found.sites:
        st.selectbox(
            "Site",
            found.sites,
            index=None,
            placeholder="All sites",
            key="site",
            width=240,
            on_change=first_page,
            bind="query-params",
        )


def _tell_address(key: str, values: list[str]) -> None:
    """Keep a filter in the address by its words in the log: what the widget shows holds counts, which change.

    Only a change is written: every write is a message that the browser turns into a new address, and one that repeats
    an old choice could arrive after the next.
    """
    if values == st.query_params.get_all(key):
        return
    if values:
        st.query_params[key] = values
    else:
        del st.query_params[key]


def _kept(key: str, vocabulary: type[StrEnum]) -> list[str]:
    """Return what a filter holds: from its widget, or from the address before there is one; unknown words are left."""
    known = {one.value for one in vocabulary}
    found = st.session_state[key] if key in st.session_state else st.query_params.get_all(key)
    return [one for one in found or () if one in known]
