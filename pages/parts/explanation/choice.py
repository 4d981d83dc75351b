"""Which slide, and which tile of it, is explained: chosen here or named by the address (`?case=&slide=&tile=x,y`)."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain import Region, SlideStatus
from core.errors import NotFoundError
from core.server.identity import User
from core.services.cases.worklist import CaseDetail, case_detail
from core.services.cases.worklist_pages import PAGE_LIMIT, worklist_page
from core.services.explanation.slide import SlideExplanation
from core.settings import Settings
from core.store.records import FlagRecord, RunRecord, SlideRecord
from pages.parts.worklist.pieces import show_empty


class Chosen:
    """The slide that is explained, with its case as far as the person may see it."""

    def __init__(self, detail: CaseDetail, slide: SlideRecord) -> None:
        """Take a case and one of its slides."""
        self.detail = detail
        self.slide = slide

    @property
    def slide_id(self) -> str:
        """The slide."""
        return self.slide.slide_id

    @property
    def case_id(self) -> str:
        """Its case."""
        return self.detail.case.case_id

    @property
    def run(self) -> RunRecord | None:
        """The slide's latest run."""
        return self.detail.runs.get(self.slide_id)

    @property
    def flags(self) -> Sequence[FlagRecord]:
        """Flags of the case that have a place on this slide."""
        return [flag for flag in self.detail.flags if flag.slide_id == self.slide_id and flag.x is not None]


def choose_slide(settings: Settings, *, user: User) -> Chosen:
    """Let the reader choose a case and a slide; stop the page where there is nothing to explain.

    Cases stand in the order of their names: any other order would tell of results that are hidden from the reader.
    """
    found = worklist_page(settings, actor=user.actor, limit=PAGE_LIMIT)
    if not found.total:
        show_empty(user)
        st.stop()
    asked = st.query_params.get("case")
    seen = sorted({paged.row.case_id for paged in found.cases if paged.row.revealed} | ({asked} if asked else set()))
    if not seen:
        st.info(
            "An explanation tells of the model's result, and every result is still hidden from you. "
            "Record a diagnosis first, or reveal a result on the case's page.",
            icon=":material/visibility_off:",
        )
        st.page_link("worklist.py", label="To the worklist", icon=":material/format_list_bulleted:")
        st.stop()
    left, right = st.columns([1, 1], vertical_alignment="bottom")
    with left:
        case_id = st.selectbox(
            "Case",
            seen,
            index=seen.index(asked) if asked in seen else 0,
            key=f"explain_case_{asked}",
            help="Only cases whose model result you may see. Others appear once you have read or revealed them.",
        )
    try:
        detail = case_detail(settings, case_id, actor=user.actor)
    except NotFoundError as err:
        st.error(str(err), icon=":material/error:")
        st.stop()
    slides = {slide.slide_id: slide for slide in detail.slides}
    wanted = st.query_params.get("slide")
    first = wanted if wanted in slides else _first(detail)
    with right:
        slide_id = st.selectbox(
            "Slide",
            list(slides),
            index=list(slides).index(first),
            key=f"explain_slide_{case_id}_{wanted}",
            help="The slide whose result is explained.",
        )
    if (case_id, slide_id) != (asked, wanted):
        st.query_params.from_dict({"case": case_id, "slide": slide_id})  # a tile of another slide means nothing here
    return Chosen(detail, slides[slide_id])


def _first(detail: CaseDetail) -> str:
    """Return the slide with the highest score, or else the first."""
    scored = {slide_id: run.decision_score for slide_id, run in detail.runs.items() if run.status is SlideStatus.OK}
    best = max(scored, key=lambda slide_id: scored[slide_id] or 0.0, default=None)
    return best or detail.slides[0].slide_id


def tile_asked(slide: SlideExplanation) -> Region | None:
    """Return the tile that the address names by its top left corner, or None."""
    try:
        x, y = (int(part) for part in st.query_params.get("tile", "").split(","))
    except ValueError:
        return None
    width, height = slide.tiles.size_level0
    return Region(x, y, width, height)


def ask_for(region: Region) -> None:
    """Put a tile into the address: a callback, run before the page is built anew."""
    st.query_params["tile"] = f"{region.x},{region.y}"


def probability_at(slide: SlideExplanation, region: Region) -> float | None:
    """Return the stored probability of a tile of the run; None for a place between its tiles."""
    for row, (x, y, _, _) in enumerate(slide.regions):
        if (x, y) == (region.x, region.y):
            return float(slide.tiles.target[row])
    return None
