"""The viewer alone on a page, as the browser tests open it. What it hands to Python stands below it as JSON."""

from __future__ import annotations

import json

import streamlit as st
from viewer_kit import CASE, FIRST, flags

from core.services.catalogue import list_slides, slide_runs
from pages.parts.common.session import current_settings, current_user
from pages.parts.viewer.slide_viewer import CaseView, slide_viewer

st.set_page_config(layout="wide", page_title="Viewer")
user = current_user()
if user is None:
    st.write("signed out")
    st.stop()
settings = current_settings()
slides = [slide for slide in list_slides(settings) if slide.case_id == CASE]
runs = {slide.slide_id: found[0] for slide in slides if (found := slide_runs(settings, slide.slide_id))}


def clicked(slide_id: str, x: float, y: float) -> None:
    st.session_state["clicked"] = [slide_id, x, y]


view = CaseView(
    slides=slides,
    slide_id=st.query_params.get("slide", FIRST),
    runs=runs,
    flags=flags(),
    revealed=st.query_params.get("hidden") is None,
)
slide_viewer(
    settings,
    view,
    user=user,
    note_key="note",
    on_click=clicked,
    lifetime_s=float(st.query_params.get("lifetime", 900)),
    height_px=int(st.query_params.get("height", 620)),
)
st.text_area("Note", key="note", height=80)


@st.fragment(run_every=0.5)
def report() -> None:
    state = {"clicked": st.session_state.get("clicked")}
    st.code(json.dumps(state), language=None)


with st.container(key="report"):
    report()
