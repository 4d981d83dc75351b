"""The list of slides on the quality screen: filters, pages, what is chosen, actions on it, and its export."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import streamlit as st

from core.roles import Permission
from core.server.identity import User
from core.services.quality.export import cohort_csv, histoqc_table
from core.services.quality.table import UNJUDGED, QualityPage, QualityQuery, QualityRow, quality_table
from core.settings import Settings
from pages.parts.quality.bulk import choice_round, show_bulk_actions, show_last_bulk
from pages.parts.quality.filters import choose_order, is_filtered, read_query
from pages.parts.quality.masks_import import show_import_button
from pages.parts.quality.pictures import row_pictures
from pages.parts.quality.slide import end_quality_walk
from pages.parts.quality.table import PAGE_ROWS, choose_page, export_table, show_table, show_unit
from pages.parts.quality.words import DISPOSITIONS, NO_VERDICT

_EXPORT_STEP = 1000
"""Slides asked for at once."""


def show_list(settings: Settings, facets: Mapping[str, Mapping[str, int]], *, user: User) -> None:
    """Show the slides that fit the filters, a page at a time.

    Args:
        settings: Names the home folder.
        facets: Of all slides, for the choices of the filters.
        user: Who looks.
    """
    query, filters = read_query(facets)
    with filters:
        query = choose_order(query)
    show_last_bulk(settings, user=user)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        show_unit()
        actions = st.container(horizontal=True, width="content", vertical_alignment="bottom", gap="small")
        st.space("stretch")
        export = st.container(horizontal=True, width="content", gap="small")
    if user.may(Permission.IMPORT_READS):
        with export:
            show_import_button(settings, user=user)
    count = quality_table(settings, actor=user.actor, query=query, limit=1)
    if not count.total:
        st.info("No slide passes these filters. Clear the search, a choice or a day.", icon=":material/filter_alt_off:")
        return
    _show_count(count, query)
    paging = st.container()
    with paging:
        offset = choose_page(count.total)
    page = quality_table(settings, actor=user.actor, query=query, offset=offset, limit=PAGE_ROWS)
    end_quality_walk(query)
    shown = "|".join((*(row.entry.slide_id for row in page.rows), str(choice_round())))
    key = f"qc_table_{crc32(shown.encode())}"  # of these very rows: a choice never moves to others
    chosen = show_table(page.rows, thumbnails=row_pictures(settings, page.rows), key=key)
    if user.may(Permission.JUDGE_QUALITY):
        with actions:
            show_bulk_actions(settings, chosen, user=user)
    if user.may(Permission.EXPORT):
        with export:
            _show_export(settings, query, user=user)


def _show_count(page: QualityPage, query: QualityQuery) -> None:
    """Say how many slides there are and what is decided about them."""
    named = {UNJUDGED: NO_VERDICT.label, **{one.value: look.label for one, look in DISPOSITIONS.items()}}
    parts = [f"{count} {named[value].lower()}" for value, count in page.facets["verdict"].items() if value in named]
    slides = f"{page.total} slides" if page.total != 1 else "1 slide"
    st.caption(f"{slides}{' pass the filters' if is_filtered(query) else ''}: {', '.join(parts)}.")


def _show_export(settings: Settings, query: QualityQuery, *, user: User) -> None:
    def table() -> bytes:
        found: list[QualityRow] = []
        while True:
            page = quality_table(settings, actor=user.actor, query=query, offset=len(found), limit=_EXPORT_STEP)
            found += page.rows
            if len(found) >= page.total or not page.rows:
                return export_table(found)

    with st.popover("Export", icon=":material/download:"):
        st.caption("Every slide that passes the filters.")
        for label, name, mime, content, meaning in (
            ("This table as CSV", "second-read-quality.csv", "text/csv", table, "With shares and mm², for people."),
            (
                "All parts as CSV",
                "second-read-quality-all.csv",
                "text/csv",
                lambda: cohort_csv(settings, query=query, actor=user.actor).encode(),
                "Every figure that was measured, for programs.",
            ),
            (
                "HistoQC results.tsv",
                "results.tsv",
                "text/tab-separated-values",
                lambda: histoqc_table(settings, query=query, actor=user.actor).encode(),
                "In the layout of HistoQC; our own columns begin with sr_.",
            ),
        ):
            st.download_button(
                label,
                content,
                file_name=name,
                mime=mime,
                on_click="ignore",
                key=f"qc_export_{name}",
                type="tertiary",
                help=meaning,
            )


def show_no_slides(user: User) -> None:
    """Say what to do when there is no slide at all."""
    st.info(
        "There are no slides yet. Add slides by folder, manifest or upload; their quality is measured as they are "
        "analysed."
        if user.can_operate
        else "There are no slides yet. Ask a pathologist, quality control or the lead to add slides.",
        title="Nothing to judge",
        icon=":material/inbox:",
    )
    st.page_link("slides.py", label="Add slides", icon=":material/upload_file:")
