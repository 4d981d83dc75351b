"""Explanation: what a slide's call rests on, where the networks looked on a tile, and what looks alike elsewhere."""

from __future__ import annotations

from enum import StrEnum

import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.services.explanation.slide import slide_explanation
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.explanation.choice import choose_slide
from pages.parts.explanation.similar import show_similar
from pages.parts.explanation.slide import regions_to_remove, show_slide
from pages.parts.explanation.tile import show_tile


class Part(StrEnum):
    """What the page shows."""

    SLIDE = "The slide"
    TILE = "One tile"
    SIMILAR = "What looks alike"


user = require_permission(Permission.SEE_CASES)
settings = current_settings()
show_notice()

with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
    st.title("Explanation", width="content")
    part = st.segmented_control(
        "Part",
        list(Part),
        default=Part.TILE if "tile" in st.query_params else Part.SLIDE,
        required=True,
        key="explain_part",
        label_visibility="collapsed",
    )
chosen = choose_slide(settings, user=user)
try:
    remove = regions_to_remove(chosen.slide_id) if part == Part.SLIDE else 1
    slide = slide_explanation(settings, chosen.slide_id, remove=remove, actor=user.actor)
except SecondReadError as err:
    st.info(str(err), icon=":material/info:")
    st.page_link("case.py", label="Open the case", icon=":material/biotech:", query_params={"case": chosen.case_id})
    st.stop()

if part == Part.SLIDE:
    show_slide(settings, slide, chosen, user=user)
elif part == Part.TILE:
    show_tile(settings, slide, chosen, user=user)
else:
    show_similar(settings, slide, chosen, user=user)
