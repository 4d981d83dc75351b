"""The slides of a case in the zooming viewer: permissions, layers, marks and galleries put together for a page.

The model's result reaches the browser only when it is revealed: the token of a slide says so, and the tile routes ask.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import streamlit as st

from core.domain import Region, Stain
from core.errors import NotFoundError, SecondReadError
from core.server.identity import User
from core.server.secret import cookie_secret
from core.server.tile_tokens import LIFETIME_S, grant, sign, subject_of
from core.services.cases.visibility import visibility
from core.services.viewing import annotations
from core.services.viewing.display import positive_class
from core.services.viewing.gallery import gallery
from core.services.viewing.layers import (
    LegendEntry,
    QualitySource,
    artefact_legend,
    class_names,
    has_attention,
    has_disagreement,
    has_quality_map,
    quality_source,
)
from core.settings import Settings
from core.store.records import FlagRecord, RunRecord, SlideRecord
from pages.parts.common.badges import FLAGS
from pages.parts.quality.words import area_text, share_text
from pages.parts.viewer.zoom_viewer import Json, ViewerSlide, zoom_viewer

_HIDDEN = "Hidden until your diagnosis is recorded or you reveal it."
UNDECIDED = 0.5
"""Threshold for the most uncertain tiles where a run states none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """What a page wants to show of a case."""

    slides: Sequence[SlideRecord]
    slide_id: str
    """The slide shown first."""
    runs: Mapping[str, RunRecord]
    """Latest run by slide id."""
    flags: Sequence[FlagRecord]
    """All flags of the case, in the order of their numbers."""
    revealed: bool
    """Whether this reader may see the model's result."""
    answer: str | None = None
    """This reader's answer to the model, in words."""


def slide_viewer(
    settings: Settings,
    view: CaseView,
    *,
    user: User,
    key: str = "slide_viewer",
    note_key: str | None = None,
    on_click: Callable[[str, float, float], None] | None = None,
    lifetime_s: float = LIFETIME_S,
    height_px: int = 620,
    initial: Json | None = None,
    offers_files: bool = True,
) -> None:
    """Show slides of a case and take in what the reader does on them.

    Args:
        settings: Names the home folder.
        view: What to show.
        user: Who looks; marks carry this name.
        key: Identity of the viewer on its page.
        note_key: Key of the text field that N jumps to.
        on_click: Called with slide id and level-0 px when the slide is clicked.
        lifetime_s: How long a permission holds before the viewer asks for a new one.
        height_px: Height of the slide, without toolbar and gallery.
        initial: Which layers are shown at first, see `zoom_viewer`.
        offers_files: Whether annotations can be taken out and in as a file.
    """
    _viewer_fragment(
        settings, view, user, key, note_key, on_click, lifetime_s, height_px, initial, offers_files=offers_files
    )


def show_on_slide(key: str, slide_id: str, region: Region) -> None:
    """Let the viewer with this key move to a place, once. Call it before the viewer is shown in the same run."""
    st.session_state[f"{key}:jump"] = {
        "nonce": secrets.token_hex(8),
        "slide_id": slide_id,
        "x": region.x,
        "y": region.y,
        "width": region.width,
        "height": region.height,
    }


@st.fragment
def _viewer_fragment(
    settings: Settings,
    view: CaseView,
    user: User,
    key: str,
    note_key: str | None,
    on_click: Callable[[str, float, float], None] | None,
    lifetime_s: float,
    height_px: int,
    initial: Json | None,
    *,
    offers_files: bool,
) -> None:
    subject = subject_of(st.user.to_dict())
    if subject is None:
        st.error("Sign in again to see slides.", icon=":material/lock:")
        return
    secret = cookie_secret(settings)
    # A fragment runs on its own, long after its page: what may be seen is asked anew.
    seen = visibility(settings, view.slides[0].case_id, actor=user.actor)
    view = replace(view, revealed=view.revealed and seen.model)
    hidden = None if view.revealed else (seen.because or _HIDDEN)
    slides = [
        _viewer_slide(
            settings,
            view,
            slide,
            hidden=hidden,
            token=sign(secret, grant(slide.slide_id, user=subject, model=view.revealed, lifetime_s=lifetime_s)),
            actor=user.actor,
        )
        for slide in view.slides
    ]
    zoom_viewer(
        slides,
        slide_id=view.slide_id,
        key=key,
        ack=int(st.session_state.get(f"{key}:ack", 0)),
        token_life_s=lifetime_s,
        can_mark=user.can_read_cases,
        note_key=note_key,
        answer=view.answer,
        reports_clicks=on_click is not None,
        jump=st.session_state.get(f"{key}:jump"),
        height_px=height_px,
        initial=initial,
        on_events=partial(_take, settings, view, user, key, on_click),
    )
    for message in st.session_state.pop(f"{key}:refusals", ()):
        st.error(message, icon=":material/error:")
    if offers_files:
        _exchange(settings, view.slide_id, user=user, key=key)


def _viewer_slide(
    settings: Settings, view: CaseView, slide: SlideRecord, *, hidden: str | None, token: str, actor: str
) -> ViewerSlide:
    run = view.runs.get(slide.slide_id)
    classes = () if run is None else class_names(settings, slide.slide_id, run.run_id)
    positive = positive_class(run.model, classes) if run is not None and classes else None
    source = quality_source(settings, slide.slide_id)
    no_result = "No model result on this slide yet." if not classes else None
    return ViewerSlide(
        slide_id=slide.slide_id,
        title=_title(slide),
        token=token,
        run_id=None if run is None else run.run_id,
        positive=positive,
        no_model=no_result or hidden,
        no_attention=_no_attention(settings, run) or hidden,
        quality_id=source.folder,
        no_quality=_no_quality(settings, slide.slide_id, source),
        has_disagreement=source.folder is not None and has_disagreement(settings, slide.slide_id, source.folder),
        artefacts=_artefacts(source),
        flags=_flags(view, slide.slide_id) if view.revealed else [],
        marks=[_mark(record) for record in annotations.list_annotations(settings, slide.slide_id, actor=actor)],
        galleries=_galleries(settings, run, slide, positive) if view.revealed and classes else {},
        gallery_class=positive,
    )


def _no_attention(settings: Settings, run: RunRecord | None) -> str | None:
    if run is not None and has_attention(settings, run.slide_id, run.run_id):
        return None
    return "No aggregator with attention scored this slide."


def _no_quality(settings: Settings, slide_id: str, source: QualitySource) -> str | None:
    if source.folder is not None and has_quality_map(settings, slide_id, source.folder):
        return None
    return "No artefact map of this slide yet."


def _artefacts(source: QualitySource) -> list[Json]:
    return [
        {
            "code": entry.code,
            "key": entry.key,
            "name": entry.title,
            "colour": "#{:02x}{:02x}{:02x}".format(*entry.colour),
            "measured": _measured(entry),
        }
        for entry in artefact_legend(source.report)
    ]


def _measured(entry: LegendEntry) -> str:
    if entry.area_mm2 is None:
        return "not measured"
    if not entry.area_mm2:
        return "none found"
    return f"{area_text(entry.area_mm2)}, {share_text(entry.fraction_of_tissue)}"


def _title(slide: SlideRecord) -> str:
    stains = {Stain.HE: " · H&E", Stain.IHC: " · IHC"}
    return slide.slide_id + stains.get(slide.stain, "")


def _flags(view: CaseView, slide_id: str) -> list[Json]:
    return [
        {
            "number": number,
            "title": FLAGS[flag.kind].label,
            "reason": flag.reason,
            "x": flag.x,
            "y": flag.y,
            "width": flag.width or 1,
            "height": flag.height or 1,
        }
        for number, flag in enumerate(view.flags, start=1)
        if flag.slide_id == slide_id and flag.x is not None and flag.y is not None
    ]


def _mark(record: annotations.AnnotationRecord) -> Json:
    return {
        "id": record.annotation_id,
        "geometry": record.geometry,
        "is_rectangle": record.shape == "rectangle",
        "label": record.label,
        "note": record.note,
        "author": record.author,
        "at": f"{record.created_at:%d %b %Y %H:%M} UTC",
    }


def _galleries(settings: Settings, run: RunRecord | None, slide: SlideRecord, positive: str | None) -> Json:
    if run is None or positive is None:
        return {}
    threshold = run.threshold if run.threshold is not None else UNDECIDED
    try:
        return _chosen_tiles(settings, str(settings.home), slide.slide_id, run.run_id, positive, threshold)
    except NotFoundError:
        return {}


@st.cache_data(max_entries=64, show_spinner=False)
def _chosen_tiles(
    _settings: Settings, home: str, slide_id: str, run_id: str, class_name: str, threshold: float
) -> Json:
    """Galleries of a run, which never change; `home` tells the runs of two homes apart."""
    del home
    found = gallery(_settings, slide_id, run_id, class_name=class_name, threshold=threshold)
    return {
        kind.value: [
            {
                "x": tile.region.x,
                "y": tile.region.y,
                "width": tile.region.width,
                "height": tile.region.height,
                "p": round(tile.probability, 4),
            }
            for tile in tiles
        ]
        for kind, tiles in found.items()
    }


def _take(
    settings: Settings,
    view: CaseView,
    user: User,
    key: str,
    on_click: Callable[[str, float, float], None] | None,
) -> None:
    """Handle what the viewer sent, each event once, however often it was sent."""
    events = cast("list[Mapping[str, Any]]", st.session_state[key].get("events") or [])
    done = int(st.session_state.get(f"{key}:ack", 0))
    for event in sorted(events, key=lambda one: int(one["id"])):
        if int(event["id"]) <= done:
            continue
        done = int(event["id"])
        try:
            _handle(settings, view, user, event, on_click)
        except SecondReadError as err:
            st.session_state.setdefault(f"{key}:refusals", []).append(str(err))
    st.session_state[f"{key}:ack"] = done


def _handle(
    settings: Settings,
    view: CaseView,
    user: User,
    event: Mapping[str, Any],
    on_click: Callable[[str, float, float], None] | None,
) -> None:
    kind, slide_id = event["kind"], event.get("slide_id")
    if slide_id not in {slide.slide_id for slide in view.slides}:
        return
    if kind == "click" and on_click is not None:
        on_click(str(slide_id), float(event["x"]), float(event["y"]))
    elif kind == "mark" and user.can_read_cases:
        annotations.save_drawn(settings, str(slide_id), event["mark"], actor=user.actor)
    elif kind == "unmark" and user.can_read_cases:
        annotations.remove_annotation(settings, str(slide_id), annotation_id=str(event["mark"]["id"]), actor=user.actor)


def _exchange(settings: Settings, slide_id: str, *, user: User, key: str) -> None:
    """Offer the slide's annotations as a QuPath file, and take one in."""
    with st.popover("Annotations as a file", icon=":material/swap_vert:"):
        st.download_button(
            "Export for QuPath",
            data=partial(annotations.export_geojson, settings, slide_id, actor=user.actor),
            file_name=f"{slide_id}.geojson",
            mime="application/geo+json",
            key=f"{key}_export",
            icon=":material/download:",
            on_click="ignore",
        )
        if not user.can_read_cases:
            return
        st.file_uploader(
            "Import QuPath GeoJSON",
            type=["geojson", "json"],
            key=f"{key}_import",
            on_change=partial(_import, settings, slide_id, user, key),
        )
        message = st.session_state.pop(f"{key}:imported", None)
        if message:
            st.success(message)


def _import(settings: Settings, slide_id: str, user: User, key: str) -> None:
    upload = st.session_state.get(f"{key}_import")
    if upload is None:
        return
    try:
        count = annotations.import_geojson(settings, slide_id, upload.getvalue(), actor=user.actor)
    except SecondReadError as err:
        st.session_state.setdefault(f"{key}:refusals", []).append(str(err))
        return
    st.session_state[f"{key}:imported"] = f"{count} annotations are new or changed." if count else "Nothing new in it."
