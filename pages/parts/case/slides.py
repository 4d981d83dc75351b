"""The slides of a case on its page: which one, in the microscope or as an overview, and how a flag is found on it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import streamlit as st

from core.domain import Region, SlideStatus
from core.server.identity import User
from core.services.analysis.fit import override_words
from core.services.cases.deep_link import link_of, view_of
from core.services.cases.worklist import CaseDetail
from core.services.consultations.look_at import region_of
from core.services.queue.jobs import enqueue
from core.settings import Settings
from core.store.records import FlagRecord, ReviewRecord, SlideRecord
from pages.parts.case.reading import latest_of
from pages.parts.common.actions import attempt
from pages.parts.common.badges import NOT_ANALYSED, SLIDES, VERDICTS, plain
from pages.parts.viewer.overview import show_overview
from pages.parts.viewer.slide_viewer import CaseView, show_on_slide, slide_viewer

VIEWER_KEY = "slide_viewer"
_LOOK_KEY = "slide_look"
_FOLLOWED = "followed_address"
_HEIGHT_PX = 520
"""Height of the slide in the microscope: with toolbar and status line it fits a window of 900 px below the header."""
_FEW = 4
"""Up to so many slides are all shown at once; more go into a list."""


class Look(StrEnum):
    """Ways to look at a slide."""

    MICROSCOPE = "Microscope"
    OVERVIEW = "Overview"


def choose_slide(slides: Sequence[SlideRecord], *, flags: Sequence[FlagRecord]) -> tuple[SlideRecord, Look]:
    """Let the reader choose among the slides of the case, every one whatever its state, and how to look at it.

    Args:
        slides: The slides of the case.
        flags: Those the reader may see: the slide of the first that has a place comes first.
    """
    by_id = {slide.slide_id: slide for slide in slides}
    default = _first_slide(slides, flags)
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        if len(by_id) == 1:
            chosen = default
            st.markdown(f"**Slide {plain(chosen)}**", width="content")
        elif len(by_id) <= _FEW:
            chosen = st.segmented_control(
                "Slide",
                list(by_id),
                default=default,
                required=True,
                key=_slide_key(slides),
                label_visibility="collapsed",
            )
        else:
            chosen = st.selectbox(
                "Slide", list(by_id), index=list(by_id).index(default), key=_slide_key(slides), width=320
            )
        look = st.segmented_control(
            "Look at the slide in",
            list(Look),
            default=Look.MICROSCOPE,
            required=True,
            key=_LOOK_KEY,
            label_visibility="collapsed",
        )
    if len(by_id) > 1 and st.query_params.get("slide") != chosen:
        for place in ("x", "y", "z"):  # of the slide that was shown before
            st.query_params.pop(place, None)
        st.query_params["slide"] = chosen  # the address leads back to what is on the screen
    return by_id[chosen], Look(look)


def follow_address(slides: Sequence[SlideRecord]) -> None:
    """Move the microscope to the place that the address names, once. Call it before the slide is shown."""
    view = view_of(st.query_params.to_dict())
    region = None if view is None else region_of(view)
    if view is None or region is None or view.slide_id not in {slide.slide_id for slide in slides}:
        return
    if st.session_state.get(_FOLLOWED) != link_of(view):
        st.session_state[_FOLLOWED] = link_of(view)
        show_on_slide(VIEWER_KEY, view.slide_id, region)


def _first_slide(slides: Sequence[SlideRecord], flags: Sequence[FlagRecord]) -> str:
    """Return the slide the address asks for, else the one with a flagged place, else the first."""
    known = {slide.slide_id for slide in slides}
    asked = st.query_params.get("slide")
    flagged = (flag.slide_id for flag in flags if flag.x is not None)
    return next((slide_id for slide_id in (asked, *flagged) if slide_id in known), slides[0].slide_id)


def _slide_key(slides: Sequence[SlideRecord]) -> str:
    """Key of the choice of a slide: another for every case, so that a choice is never carried over."""
    return f"slide_of_{slides[0].case_id}"


def show_case_slide(
    settings: Settings, detail: CaseDetail, slide: SlideRecord, look: Look, *, user: User, revealed: bool
) -> None:
    """Show one slide of a case; what is wrong with it stands above it.

    Args:
        settings: Names the home folder.
        detail: The case.
        slide: Which of its slides.
        look: In the microscope or as an overview.
        user: Who looks.
        revealed: Whether this reader may see the model's result.
    """
    run = detail.runs.get(slide.slide_id)
    if slide.status is not SlideStatus.OK:
        _show_state(slide)
    elif run is not None and (overridden := override_words(run)):
        st.warning(plain(overridden), title="Overridden", icon=":material/rule:")
    if slide.status is SlideStatus.NOT_APPLICABLE and user.can_operate:
        _show_run_anyway(settings, slide, model=run.model if run else None, user=user)
    if slide.status is SlideStatus.UNREADABLE:
        return
    if look is Look.OVERVIEW:
        show_overview(settings, slide, detail.runs.get(slide.slide_id), flags=detail.flags, revealed=revealed)
        return
    own = latest_of(user.actor, detail.reviews)
    view = CaseView(
        slides=[one for one in detail.slides if one.status is not SlideStatus.UNREADABLE],
        slide_id=slide.slide_id,
        runs=detail.runs,
        flags=detail.flags,
        revealed=revealed,
        answer=f"Your answer: {VERDICTS[own.verdict].label.lower()}" if isinstance(own, ReviewRecord) else None,
    )
    field = "note" if revealed else "text"
    slide_viewer(
        settings, view, user=user, key=VIEWER_KEY, note_key=f"{field}_{detail.case.case_id}", height_px=_HEIGHT_PX
    )


def _show_state(slide: SlideRecord) -> None:
    """Say why a slide has no result: it stays visible with its reason."""
    look = SLIDES[slide.status] if slide.status else NOT_ANALYSED
    reason = slide.message or "The analysis has not run yet; its progress is under Add slides and jobs."
    st.warning(reason, title=f"{slide.slide_id}: {look.label.lower()}", icon=look.icon)


def _show_run_anyway(settings: Settings, slide: SlideRecord, *, model: str | None, user: User) -> None:
    """Let an operator have the model run on a slide it is not made for, with a reason that the log keeps."""
    with (
        st.expander("Run the model anyway", icon=":material/rule:"),
        st.form(f"override_{slide.slide_id}", border=False),
    ):
        reason = st.text_input(
            "Why the model is to be run on this slide",
            key=f"override_reason_{slide.slide_id}",
            max_chars=300,
            placeholder="For example: stated as IHC by mistake, it is H&E",
        )
        st.caption("Your name and the reason go into the log, and the result says that it was overridden.")
        submitted = st.form_submit_button(
            "Run anyway", icon=":material/play_arrow:", key=f"override_run_{slide.slide_id}"
        )
    if submitted and attempt(
        lambda: enqueue(settings, [slide.slide_id], model=model, override_reason=reason, actor=user.actor),
        done=f"{slide.slide_id} is queued; its result will say that it was overridden.",
    ):
        st.rerun()


def show_flag_on_slide(slides: Sequence[SlideRecord], flag: FlagRecord) -> None:
    """Choose a flag's slide in the microscope and move to the flag: a callback, run before the page is built."""
    if flag.slide_id is None or flag.x is None or flag.y is None:
        return
    st.session_state[_LOOK_KEY] = Look.MICROSCOPE
    if len(slides) > 1:
        st.session_state[_slide_key(slides)] = flag.slide_id
    show_on_slide(VIEWER_KEY, flag.slide_id, Region(flag.x, flag.y, flag.width or 1, flag.height or 1))
