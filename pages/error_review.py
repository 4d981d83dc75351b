"""Error review: what a model missed or called wrongly, the worst first, and why, as two readers see it."""

from __future__ import annotations

import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.services.error_review.reviews import error_gallery
from core.services.error_review.values import Level
from core.services.evaluation.choices import evaluation_choices
from core.services.evaluation.values import SYSTEM_PREFIX, EvaluationRequest, Unit
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.errors.gallery import (
    AT,
    WORDS,
    codes_frame,
    show_export,
    show_gallery,
    show_item,
    show_summary,
    show_walk,
)
from pages.parts.evaluation.controls import show_hidden

SIZE = 12
LEVELS = {"Tiles": Level.TILE, "Slides": Level.SLIDE}
DIRECTIONS = {words: direction for direction, words in WORDS.items()}

user = require_permission(Permission.SEE_REPORTS)
settings = current_settings()
show_notice()

st.title("Errors of a model")
choices = evaluation_choices(settings, actor=user.actor)
models = [name for name, _ in choices.models if not name.startswith(SYSTEM_PREFIX)]
if not models:
    st.info("No model has a result yet. Add slides and analyse them first.", icon=":material/query_stats:")
    st.stop()
references = {words: name for name, words in choices.references}
with st.container(horizontal=True, vertical_alignment="bottom"):
    model = st.selectbox("Model", models, key="err_model", width=230, bind="query-params")
    direction = st.segmented_control(
        "Kind", list(DIRECTIONS), default=next(iter(DIRECTIONS)), required=True, key="err_kind", bind="query-params"
    )
    level = st.segmented_control(
        "Of", list(LEVELS), default=next(iter(LEVELS)), required=True, key="err_level", bind="query-params"
    )
    reference = st.selectbox(
        "Reference of slides",
        list(references),
        key="err_reference",
        width=300,
        bind="query-params",
        help="Tiles are always compared with the outlines beside their slides.",
    )
    page = st.number_input("Page", min_value=1, value=1, step=1, key="err_page", width=110, bind="query-params")
    show_export(settings, user, model=model)
show_hidden(settings, user, choices)

start = (int(page) - 1) * SIZE
request = EvaluationRequest(model=model, reference=references[reference], unit=Unit.SLIDE)
try:
    gallery = error_gallery(
        settings,
        request,
        direction=DIRECTIONS[direction],
        level=LEVELS[level],
        start=start,
        size=SIZE,
        actor=user.actor,
    )
except SecondReadError as err:
    st.warning(str(err), icon=":material/info:")
    st.stop()

show_summary(gallery, direction=DIRECTIONS[direction], level=LEVELS[level])
if not gallery.items:
    words = "No error of this kind here." if gallery.total == 0 else "This page is behind the last error."
    st.success(f"{words} {gallery.n_units:,} {LEVELS[level].value}s were compared.", icon=":material/check_circle:")
    st.stop()
at = min(max(0, int(st.session_state.get(AT, 0))), len(gallery.items) - 1)
left, right = st.columns([5, 4])
with left:
    show_gallery(settings, user, gallery, at=at, start=start)
    st.caption(
        f"{start + 1} to {start + len(gallery.items)} of {gallery.total:,}, the farthest from the threshold first. "
        "Keys: J next, K previous, 1 to 9 the reasons in their order."
    )
with right:
    show_walk(len(gallery.items), at)
    show_item(settings, user, gallery.items[at], count=len(gallery.items), at=at)
with st.expander("As a table"):
    st.dataframe(
        codes_frame(gallery.items), hide_index=True, key="err_table", alt="Errors of this page with their codes"
    )
