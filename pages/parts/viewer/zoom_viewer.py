"""The zooming slide viewer as a Streamlit component: what goes in, what comes out, and nothing about cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from core.server.assets import ASSETS_PATH
from core.server.viewer import viewer_assets, viewer_dir

NAME = "second_read_slide_viewer"
HTML = '<div class="sr-viewer" data-ready="false" data-tool="hand">Loading the slide viewer ...</div>'
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerSlide:
    """One slide that the viewer may show."""

    slide_id: str
    title: str
    token: str
    """Permission for the tile routes."""
    run_id: str | None
    """The run whose layers lie on the slide."""
    positive: str | None
    """The class shown first."""
    no_model: str | None
    """Why there is no probability layer, in a sentence; None if there is one."""
    no_attention: str | None
    """Why there is no layer of an aggregator's attention; None if there is one."""
    quality_id: str | None
    """The folder whose artefact map lies on the slide: of a run, or of a measurement of its own."""
    no_quality: str | None
    """Why there is no artefact layer; None if there is one."""
    has_disagreement: bool
    """Whether there is a map of where the artefact network differs from the detectors."""
    artefacts: Sequence[Json]
    """{code, key, name, colour, measured} of the artefact classes; `measured` says how much of it there is."""
    flags: Sequence[Json]
    """{number, title, reason, x, y, width, height}, level-0 px."""
    marks: Sequence[Json]
    """{id, geometry, is_rectangle, label, note, author, at}."""
    galleries: Json
    """Kind -> [{x, y, width, height, p}]."""
    gallery_class: str | None

    def to_json(self) -> Json:
        """Return what the viewer's script reads."""
        return {name: getattr(self, name) for name in self.__slots__}


def zoom_viewer(
    slides: Sequence[ViewerSlide],
    *,
    slide_id: str,
    key: str,
    ack: int,
    token_life_s: float,
    can_mark: bool,
    note_key: str | None = None,
    answer: str | None = None,
    reports_clicks: bool = False,
    jump: Json | None = None,
    height_px: int = 620,
    initial: Json | None = None,
    on_events: Callable[[], None],
) -> None:
    """Show the viewer.

    Args:
        slides: Every slide that may be chosen, the shown one among them.
        slide_id: The shown one.
        key: Identity of this viewer on its page; events arrive in `st.session_state[key].events`.
        ack: Number of the last event that was handled; the viewer sends newer ones until it reads their number here.
        token_life_s: How long the tokens hold; the viewer asks for new ones well before.
        can_mark: Whether the user may add and change marks.
        note_key: Key of the text field that N jumps to.
        answer: The user's answer to the model in words; shown for a moment when it changes.
        reports_clicks: Whether a click on the slide is an event.
        jump: {nonce, slide_id, x, y, width, height}: where to look; acted upon once for every `nonce`.
        height_px: Height of the slide itself, without toolbar and gallery.
        initial: Settings of the layers, such as `{"artefact.on": True}`, where nobody has chosen others in this viewer;
            None shares the settings of the case page.
        on_events: Called when events have arrived.
    """
    _component()(
        key=key,
        data={
            "assets": f"{ASSETS_PATH.lstrip('/')}/{assets_version()}/",
            "viewer_key": key,
            "slides": [slide.to_json() for slide in slides],
            "slide": slide_id,
            "ack": ack,
            "token_life_s": token_life_s,
            "can_mark": can_mark,
            "note_key": note_key,
            "answer": answer,
            "reports_clicks": reports_clicks,
            "jump": jump,
            "height": height_px,
            "initial": initial,
        },
        on_events_change=on_events,
    )


@cache
def assets_version() -> str:
    """Return the version of the viewer's scripts, which is part of their address."""
    return viewer_assets().version


@cache
def _component() -> Callable[..., Any]:
    """Register the component once per process."""
    folder: Path = viewer_dir()
    return st.components.v2.component(
        NAME,
        html=HTML,
        css=(folder / "viewer.css").read_text(encoding="utf-8"),
        js=(folder / "bootstrap.js").read_text(encoding="utf-8"),
    )
