"""One slide on the quality screen: the slide under its artefact map, the verdict, and everything that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.domain import SlideStatus
from core.errors import SecondReadError
from core.roles import Permission
from core.server.identity import User
from core.services.cases.visibility import visibility
from core.services.catalogue import get_slide, slide_runs
from core.services.quality.document import qc_report_html, qc_report_pdf
from core.services.quality.table import QualityQuery, QualityRow, quality_row, slide_order
from core.services.quality.verdicts import SlideVerdicts, slide_verdicts
from core.settings import Settings
from pages.parts.common.badges import STAINS, plain, show_badges
from pages.parts.quality.bulk import show_measure
from pages.parts.quality.masked import show_with_and_without
from pages.parts.quality.reference import show_references
from pages.parts.quality.report import show_findings, show_measures, show_stain, show_suggestion
from pages.parts.quality.verdict import (
    Suggestion,
    note_key,
    show_standing,
    show_verdict_form,
    show_verdict_history,
)
from pages.parts.quality.words import DISPOSITIONS, NO_VERDICT
from pages.parts.viewer.slide_viewer import CaseView, slide_viewer

VIEWER_KEY = "quality_viewer"
_HEIGHT_PX = 400
"""With its toolbar it leaves the verdict on a screen of 900 px."""
_LAYERS = {"artefact.on": True, "artefact.opacity": 0.5, "heat.on": False, "gallery": False}
"""What lies on the slide at first: quality is judged before what a model says."""
_WALK = "qc_walk"
_WALK_QUERY = "qc_walk_query"


def end_quality_walk(query: QualityQuery) -> None:
    """Let the next walk with J and K follow the table as it is then."""
    st.session_state.pop(_WALK, None)
    st.session_state[_WALK_QUERY] = query


def _walking_order(settings: Settings, slide_id: str, *, user: User) -> Sequence[str]:
    """Return the order of the table as it was when the walk began: a verdict moves its slide at once."""
    kept: Sequence[str] | None = st.session_state.get(_WALK)
    if kept is None or slide_id not in kept:
        kept = slide_order(settings, actor=user.actor, query=st.session_state.get(_WALK_QUERY))
        st.session_state[_WALK] = kept
    return kept


def show_slide(settings: Settings, slide_id: str, *, user: User) -> None:
    """Show one slide with its verdict and its measurement."""
    try:
        row = quality_row(settings, slide_id, actor=user.actor)
        verdicts = slide_verdicts(settings, slide_id, actor=user.actor)
    except SecondReadError as err:
        st.title("Slide not found")
        st.error(str(err), icon=":material/error:")
        _back()
        return
    order = _walking_order(settings, slide_id, user=user)
    place = order.index(slide_id) if slide_id in order else -1
    before = order[place - 1] if place > 0 else None
    after = order[place + 1] if 0 <= place < len(order) - 1 else None
    _show_header(settings, row, verdicts, before=before, after=after, user=user)
    show_suggestion(row)
    show_standing(settings, verdicts, user=user)
    _show_viewer(settings, row, user=user)
    found = row.entry.quality
    suggested = Suggestion(*(None, None, None) if found is None else (found.disposition, found.reason, found.origin))
    with st.container(border=True, key="qc_verdict_box"):
        show_verdict_form(settings, verdicts, suggested, after=after, user=user)
    _show_details(settings, row, verdicts, user=user)


def _back() -> None:
    if st.button("Table", key="qc_back", icon=":material/arrow_back:", type="tertiary"):
        st.query_params.pop("slide", None)
        st.rerun()


def _show_header(
    settings: Settings, row: QualityRow, verdicts: SlideVerdicts, *, before: str | None, after: str | None, user: User
) -> None:
    entry = row.entry
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _back()
        st.space("stretch")
        st.page_link(
            "case.py",
            label="Case",
            icon=":material/biotech:",
            query_params={"case": entry.case_id, "slide": entry.slide_id},
            help=f"Open case {entry.case_id} at this slide",
        )
        if user.can_operate:
            show_measure(settings, [entry.slide_id], user=user)
        if user.may(Permission.EXPORT) and row.report is not None:
            _show_report(settings, entry.slide_id, user=user)
        _show_neighbours(before, after)
    facts = [f"Case {plain(entry.case_id)}", STAINS[entry.stain]]
    facts += [f"scanner {plain(entry.scanner)}" if entry.scanner else "scanner not stated"]
    facts += [f"site {plain(entry.site)}" if entry.site else "site not stated"]
    facts += [f"added {entry.added_at:%d %b %Y}"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(f"Slide {plain(entry.slide_id)}", width="content")
        standing = [DISPOSITIONS[one.disposition] for one in verdicts.standing if one.disposition]
        with st.container(width="content"):
            show_badges(standing or [NO_VERDICT])
        st.caption(", ".join(facts), width="content")


def _show_report(settings: Settings, slide_id: str, *, user: User) -> None:
    """Offer the quality report of the slide; it is made when it is asked for."""
    with st.popover("Report", icon=":material/description:", type="tertiary"):
        for label, ending, mime, made in (
            ("PDF to print", "pdf", "application/pdf", qc_report_pdf),
            ("HTML page", "html", "text/html", qc_report_html),
        ):
            st.download_button(
                label,
                partial(made, settings, slide_id, actor=user.actor),
                file_name=f"quality-{slide_id}.{ending}",
                mime=mime,
                on_click="ignore",
                key=f"qc_report_{ending}",
                type="tertiary",
                icon=":material/download:",
            )


def _show_neighbours(before: str | None, after: str | None) -> None:
    previous = st.button(
        "Previous",
        key="qc_previous",
        icon=":material/chevron_left:",
        disabled=before is None,
        shortcut="k",
        help=f"Slide {before} in the order of the table" if before else "This is the first slide of the table",
    )
    following = st.button(
        "Next",
        key="qc_next",
        icon=":material/chevron_right:",
        icon_position="right",
        disabled=after is None,
        shortcut="j",
        help=f"Slide {after} in the order of the table" if after else "This is the last slide of the table",
    )
    target = before if previous else after if following else None
    if target is not None:
        st.query_params["slide"] = target
        st.rerun()


def _show_viewer(settings: Settings, row: QualityRow, *, user: User) -> None:
    entry = row.entry
    if entry.status in (SlideStatus.UNREADABLE, SlideStatus.NO_MPP):
        st.warning(plain(entry.message), title="This slide has no picture to judge", icon=":material/broken_image:")
        if entry.status is SlideStatus.UNREADABLE:
            return
    slide = get_slide(settings, entry.slide_id)
    runs = slide_runs(settings, entry.slide_id)
    view = CaseView(
        slides=[slide],
        slide_id=entry.slide_id,
        runs={entry.slide_id: runs[0]} if runs else {},
        flags=(),
        revealed=visibility(settings, entry.case_id, actor=user.actor).model,
    )
    slide_viewer(
        settings,
        view,
        user=user,
        key=VIEWER_KEY,
        note_key=note_key(entry.slide_id),
        height_px=_HEIGHT_PX,
        initial=_LAYERS,
        offers_files=False,
    )


def _show_details(settings: Settings, row: QualityRow, verdicts: SlideVerdicts, *, user: User) -> None:
    names = ["Artefacts and score", "Stain", "With and without", "Reference", "History", "Measures"]
    tabs = dict(zip(names, st.tabs(names, key="qc_details"), strict=True))
    with tabs["Artefacts and score"]:
        show_findings(row)
    with tabs["Stain"]:
        show_stain(row)
    with tabs["With and without"]:
        runs = slide_runs(settings, row.entry.slide_id)
        seen = visibility(settings, row.entry.case_id, actor=user.actor)
        show_with_and_without(runs[0] if runs else None, seen)
    with tabs["Reference"]:
        show_references(settings, row, user=user)
    with tabs["History"]:
        show_verdict_history(verdicts)
    with tabs["Measures"]:
        show_measures(row)
