"""The table of slide quality: its rows, pages, order, and what leaves it as a file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core.domain import NOT_FOR_DIAGNOSIS
from core.qc.classes import ARTEFACTS
from core.server.identity import short_name
from core.services.quality.table import QualityRow
from core.vocabulary import QcDisposition
from pages.parts.common.badges import NOT_ANALYSED, SLIDES, STAINS, Look
from pages.parts.common.frame import PHANTOM_SENTENCE
from pages.parts.common.tables import harmless
from pages.parts.quality.words import DISPOSITIONS, NO_VERDICT

PAGE_ROWS = 25
"""Slides on one page of the table: their pictures and figures are drawn within a second."""
OPEN_KEY = "qc_open_row"
_PAGE_KEY = "q_page"
_DISPUTED = Look("Verdicts differ", "red", ":material/group:")
_HIDDEN = Look("Hidden from you", "violet", ":material/visibility_off:")
_AREAS = {"Share of tissue": "percent", "Area in mm²": "%.3f"}


def quality_frame(rows: Sequence[QualityRow], *, areas: bool) -> pd.DataFrame:
    """Return one table row a slide.

    Args:
        rows: Of one page, or of all that is exported.
        areas: Artefacts in mm² instead of as a share of tissue.
    """
    return pd.DataFrame([_cells(row, areas=areas) for row in rows])


def _cells(row: QualityRow, *, areas: bool) -> dict[str, object]:
    entry, found = row.entry, row.entry.quality
    parts = {} if found is None else (found.areas_mm2 if areas else found.fractions)
    return {
        "Slide": entry.slide_id,
        "Case": entry.case_id,
        "Suggested": _suggested(row),
        "Verdict": verdict_labels(row),
        "Score": found.score if found else None,
        "Usable": found.usable_fraction if found else None,
        **{kind.about.title: parts.get(kind.value) for kind in ARTEFACTS},
        "Tissue": found.tissue_mm2 if found else None,
        "Usable mm²": found.usable_mm2 if found else None,
        "Sections": found.sections if found else None,
        "Stain": STAINS[entry.stain],
        "Looks like": found.stain_kind.upper() if found and found.stain_kind else None,
        "Dye 1": found.stain_amounts[0] if found else None,
        "Dye 2": found.stain_amounts[1] if found else None,
        "Scanner": entry.scanner or "-",
        "Site": entry.site or "-",
        "Added": entry.added_at,
        "Judged by": ", ".join(short_name(one.reader) for one in row.verdicts),
        "Limits": found.limits_version if found else None,
    }


def _suggested(row: QualityRow) -> list[str]:
    found = row.entry.quality
    if found is not None and found.disposition is not None:
        return [DISPOSITIONS[found.disposition].label]
    return [(SLIDES[row.entry.status] if row.entry.status else NOT_ANALYSED).label]


def verdict_labels(row: QualityRow) -> list[str]:
    """Return the states of a slide's verdicts as labels."""
    entry = row.entry
    if entry.hidden:
        return [_HIDDEN.label]
    labels = [DISPOSITIONS[entry.verdict].label if entry.verdict else NO_VERDICT.label]
    return [*labels, _DISPUTED.label] if entry.disputed else labels


def show_table(rows: Sequence[QualityRow], *, thumbnails: Mapping[str, str | None], key: str) -> list[str]:
    """Show a page of slides and return the ids of those that are chosen; the button of a row opens its slide.

    Args:
        rows: Of this page.
        thumbnails: Slide id -> picture address.
        key: Of this page's table, so that what is chosen on it stays apart from other pages.
    """
    unit = st.session_state.get("qc_unit") or next(iter(_AREAS))
    frame = quality_frame(rows, areas=unit != next(iter(_AREAS)))
    frame.insert(0, "Map", [thumbnails.get(row.entry.slide_id) for row in rows])
    frame.insert(1, "Open", ["Open"] * len(rows))
    event = st.dataframe(
        frame.drop(columns=["Judged by", "Limits"]),
        key=key,
        column_config=_columns(_AREAS[unit]),
        hide_index=True,
        row_height=58,
        height="content",
        placeholder="-",
        on_select="rerun",
        selection_mode="multi-row",
        alt="Slides with their quality, suggestion and verdict; rows can be chosen and opened",
    )
    clicked = st.session_state.get(OPEN_KEY)
    if clicked is not None:
        st.query_params["slide"] = rows[clicked.row].entry.slide_id
        st.rerun()
    return [rows[place].entry.slide_id for place in event.selection.rows if place < len(rows)]


def show_unit() -> None:
    """Let the reader choose how artefacts are counted in the table."""
    st.segmented_control(
        "Artefacts as",
        list(_AREAS),
        default=next(iter(_AREAS)),
        required=True,
        key="qc_unit",
        label_visibility="collapsed",
    )


def choose_page(total: int) -> int:
    """Let the reader walk the pages of the table; return how many slides to skip."""
    pages = max(1, -(-total // PAGE_ROWS))
    if int(st.session_state.get(_PAGE_KEY) or 1) > pages:
        st.session_state[_PAGE_KEY] = pages  # the filters left fewer pages than before
    if pages == 1:
        return 0
    return (st.pagination(pages, key=_PAGE_KEY, bind="query-params") - 1) * PAGE_ROWS


def _badges(label: str, looks: Sequence[Look], *, width: int, tooltip: str) -> object:
    colours = {look.label: look.colour for look in looks}
    return st.column_config.MultiselectColumn(
        label, options=list(colours), color=list(colours.values()), width=width, help=tooltip
    )


def _columns(form: str) -> dict[str, object]:
    dispositions = [DISPOSITIONS[one] for one in QcDisposition]
    number = st.column_config.NumberColumn
    return {
        "Map": st.column_config.ImageColumn("Map", width=72, pinned=True, help="The slide under its artefact map"),
        "Open": st.column_config.ButtonColumn("Open", width=70, pinned=True, type="tertiary", key=OPEN_KEY),
        "Slide": st.column_config.TextColumn("Slide", width=104, pinned=True),
        "Case": st.column_config.TextColumn("Case", width=84),
        "Suggested": _badges(
            "Suggested", [*dispositions, *SLIDES.values(), NOT_ANALYSED], width=150, tooltip="By the limits in force"
        ),
        "Verdict": _badges(
            "Verdict", [*dispositions, NO_VERDICT, _DISPUTED, _HIDDEN], width=150, tooltip="What people decided"
        ),
        "Score": st.column_config.ProgressColumn(
            "Score", min_value=0, max_value=1, format="%.2f", width=92, help="0 unusable to 1 no artefact found"
        ),
        "Usable": number("Usable", format="percent", width=72, help="Share of tissue that no artefact spoils"),
        **{
            kind.about.title: number(kind.about.title, format=form, width=96, help=f"{kind.about.title}, of the tissue")
            for kind in ARTEFACTS
        },
        "Tissue": number("Tissue mm²", format="%.2f", width=84),
        "Usable mm²": number("Usable mm²", format="%.2f", width=84),
        "Sections": number("Sections", width=72),
        "Dye 1": number("Dye 1", format="%.2f", width=64, help="99th percentile in tissue, optical density"),
        "Dye 2": number("Dye 2", format="%.2f", width=64, help="99th percentile in tissue, optical density"),
        "Added": st.column_config.DatetimeColumn("Added", format="YYYY-MM-DD", width=92),
    }


def export_table(rows: Sequence[QualityRow]) -> bytes:
    """Return slides as CSV (UTF-8 with a mark for spreadsheets) with shares and areas, under the two sentences."""
    shares, areas = quality_frame(rows, areas=False), quality_frame(rows, areas=True)
    for kind in ARTEFACTS:
        title = kind.about.title
        shares[f"{title} mm²"] = areas[title] if len(areas) else None
        shares = shares.rename(columns={title: f"{title} share of tissue"})
    for column in ("Suggested", "Verdict"):
        shares[column] = ["; ".join(labels) for labels in shares[column]]
    for column in shares.select_dtypes(exclude=["number", "datetime", "datetimetz"]):
        shares[column] = [harmless(value) for value in shares[column]]
    text = io.StringIO()
    text.write(f"# {NOT_FOR_DIAGNOSIS} {PHANTOM_SENTENCE}\n")
    shares.to_csv(text, index=False)
    return text.getvalue().encode("utf-8-sig")
