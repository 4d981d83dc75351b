"""Pieces of the worklist screen."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.server.identity import User
from core.services.cases.worklist import CaseRow
from core.services.cases.worklist_pages import PAGE_LIMIT, PagedCase, WorklistOrder, WorklistQuery, worklist_page
from core.settings import Settings
from pages.parts.common.badges import CASES, FLAGS, Look, plain
from pages.parts.worklist.filters import Whose
from pages.parts.worklist.table import export_csv, worklist_frame


def _badge_column(label: str, looks: Sequence[Look], *, width: int, tooltip: str) -> object:
    return st.column_config.MultiselectColumn(
        label,
        options=[look.label for look in looks],
        color=[look.colour for look in looks],
        width=width,
        help=tooltip,
    )


COLUMNS = {
    "Slide": st.column_config.ImageColumn(
        "Slide", width=64, pinned=True, help="Thumbnail of the case's most suspicious slide"
    ),
    "Case": st.column_config.TextColumn("Case", width=92, pinned=True),
    "Flags": _badge_column("Flags", list(FLAGS.values()), width=176, tooltip="Why the case deserves a second look"),
    "Status": _badge_column("Status", list(CASES.values()), width=142, tooltip="Where the case stands in its review"),
    "Diagnosis": st.column_config.TextColumn("Diagnosis", width=88, help="The diagnosis recorded last"),
    "Model result": st.column_config.TextColumn(
        "Model result",
        width=128,
        help="The call, and the slide score (0-1) of what the model looks for, on the most suspicious slide. "
        "Hidden until the case has a first diagnosis or you reveal it on the case.",
    ),
    "Benefit": st.column_config.TextColumn(
        "Benefit",
        width=150,
        help="Expected benefit of a second look = severity of the difference (2 major, 1 minor) x probability of a "
        "difference x share of the decisive tissue without artefact. Nothing while the model's result is hidden.",
    ),
    "QC score": st.column_config.NumberColumn(
        "QC score", width=74, format="%.2f", help="Quality of the case's worst slide: 0 unusable to 1 good"
    ),
    "Slides": st.column_config.TextColumn("Slides", width=76, help="All slides, and how many of them failed or wait"),
    "Site": st.column_config.TextColumn("Site", width=72),
    "Assigned to": st.column_config.TextColumn("Assigned to", width=92),
    "Waiting since": st.column_config.DatetimeColumn(
        "Waiting since", width=104, format="YYYY-MM-DD", help="Day the case was added (UTC); empty once it is reviewed"
    ),
}


def show_empty(user: User) -> None:
    """Say what to do when there is no case at all."""
    st.info(
        "There are no cases yet. Add slides by folder, manifest or upload; each becomes a case as its analysis runs."
        if user.can_operate
        else "There are no cases yet. Ask a pathologist, quality control or the lead to add slides.",
        title="Nothing to read",
        icon=":material/inbox:",
    )
    st.page_link("slides.py", label="Add slides", icon=":material/upload_file:")


_NOTHING = {
    Whose.ALL: "No case passes these filters. Clear the search, a status or a flag.",
    Whose.YOURS: "No case of yours is open and passes these filters. Open an unassigned case and choose Assign to me.",
    Whose.UNASSIGNED: "Every open case that passes these filters has somebody.",
    Whose.WAITING: "Nothing waits for you here. Requests of groups stand on the page Second opinions.",
}


def show_nothing_found(whose: Whose) -> None:
    """Say that no case passes, and what to do."""
    st.info(_NOTHING[whose], icon=":material/filter_alt_off:")


def export_list(settings: Settings, *, query: WorklistQuery, order: WorklistOrder, actor: str) -> bytes:
    """Return every case that passes the filters as CSV, as far as the person may see it."""
    cases: list[PagedCase] = []
    while True:
        found = worklist_page(settings, actor=actor, query=query, order=order, offset=len(cases), limit=PAGE_LIMIT)
        cases += found.cases
        if len(cases) >= found.total or not found.cases:
            return export_csv(worklist_frame(cases, thumbnails={}))


def show_failures(rows: Sequence[CaseRow]) -> None:
    """List every slide without a result with its reason: none disappears."""
    failures = [(row.case_id, slide_id, reason) for row in rows for slide_id, reason in row.slides_failed]
    if not failures:
        return
    st.subheader("Slides without a result")
    st.table(
        {
            "Case": [plain(case_id) for case_id, _, _ in failures],
            "Slide": [plain(slide_id) for _, slide_id, _ in failures],
            "Reason": [plain(reason) for _, _, reason in failures],
        },
        border="horizontal",
        hide_index=True,
        alt="Slides that could not be analysed, with the reason",
    )
