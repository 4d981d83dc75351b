"""The explanation of one tile: which one and by which model, asking the worker for its maps, and showing them."""

from __future__ import annotations

import streamlit as st

from core.domain import JobState, Region
from core.errors import SecondReadError
from core.server.identity import User
from core.services.explanation.explain import live_job, place_of, region_at, request_tile, tile_explanation
from core.services.explanation.pictures import NOT_A_REASON
from core.services.explanation.slide import SlideExplanation
from core.settings import Settings
from models.cards import ModelCard, list_cards
from pages.parts.common.actions import attempt
from pages.parts.common.badges import plain
from pages.parts.explanation.choice import Chosen, tile_asked
from pages.parts.explanation.maps import show_explanation
from pages.parts.explanation.pick import choose_tile

POLL_S = 2.0


def show_tile(settings: Settings, slide: SlideExplanation, chosen: Chosen, *, user: User) -> None:
    """Let the reader choose a tile and show why the model answered as it did there, as far as that can be shown."""
    st.caption(NOT_A_REASON)
    asked = tile_asked(slide)
    choose_tile(settings, slide, chosen, asked=asked, user=user)
    if asked is None:
        st.info(
            "Choose a tile above: the worker computes its maps, which takes some seconds.", icon=":material/grid_on:"
        )
        return
    card = _choose_model(slide)
    region = asked if card.name == slide.model else region_at(chosen.slide, card, x=asked.centre.x, y=asked.centre.y)
    try:
        found = tile_explanation(settings, slide.slide_id, region, model=card.name, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    if found is None:
        _show_request(settings, slide.slide_id, region, card, user=user)
        return
    show_explanation(settings, slide, found, user=user)


def _choose_model(slide: SlideExplanation) -> ModelCard:
    cards = {card.name: card for card in list_cards() if card.for_slides or card.name == slide.model}
    name = st.selectbox(
        "Model",
        list(cards),
        index=list(cards).index(slide.model) if slide.model in cards else 0,
        key=f"explain_model_{slide.slide_id}",
        width=260,
        help="The model that judged the slide, or another one on a tile of its own size around the same middle.",
    )
    return cards[name]


def _show_request(settings: Settings, slide_id: str, region: Region, card: ModelCard, *, user: User) -> None:
    """Offer to compute the maps, or show how far the worker is."""
    payload = place_of(settings, slide_id, region, model=card.name, actor=user.actor).payload
    job = live_job(settings, slide_id, payload)
    if job is None or job.state in (JobState.FAILED, JobState.CANCELLED):
        if job is not None:
            st.warning(plain(job.message), title="The last attempt ended without maps", icon=":material/warning:")
        networks = "1 network" if len(card.members) == 1 else f"{len(card.members)} networks"
        asked = st.button(
            "Compute the maps of this tile",
            key="explain_request",
            type="primary",
            icon=":material/insights:",
            help=f"A job for the worker: {networks}, some seconds for each. The dashboard itself never runs a model.",
        )
        if asked and attempt(
            lambda: request_tile(settings, slide_id, region, model=card.name, actor=user.actor),
            done="The maps are queued.",
        ):
            st.rerun()
        return
    _show_progress(settings, slide_id, region, card, user)


@st.fragment(run_every=POLL_S)
def _show_progress(settings: Settings, slide_id: str, region: Region, card: ModelCard, user: User) -> None:
    try:
        place = place_of(settings, slide_id, region, model=card.name, actor=user.actor)
    except SecondReadError as err:  # the result was hidden meanwhile
        st.error(str(err), icon=":material/error:")
        return
    job = live_job(settings, slide_id, place.payload)
    if job is None or job.state in (JobState.FAILED, JobState.CANCELLED):
        st.rerun()
    elif job.state is JobState.QUEUED:
        st.progress(0.0, text=f"Job {job.job_id} waits for the worker.")
    else:
        share = min(job.done / job.total, 1.0) if job.total else 0.0
        st.progress(share, text=f"Computing: step {job.done} of {job.total}." if job.total else "Starting.")
