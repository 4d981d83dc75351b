"""Demonstration: a guided story of five minutes, told with whatever this cohort and this log hold."""

from __future__ import annotations

import streamlit as st

from core.services.story.story import MINUTES, ChapterKind, story
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_role
from pages.parts.story.chapters import show_chapter, show_start_over, show_steps

user = require_role()
settings = current_settings()
show_notice()

chapters = story(settings, actor=user.actor)
names = [chapter.kind.value for chapter in chapters]
asked = st.query_params.get("chapter", names[0])
number = names.index(asked) if asked in names else 0
chapter = chapters[number]


def _turn(to: int) -> None:
    st.query_params["chapter"] = names[to]


with st.container(horizontal=True, vertical_alignment="center"):
    st.button(
        "Back",
        icon=":material/arrow_back:",
        shortcut="Left",
        disabled=number == 0,
        on_click=_turn,
        args=(max(number - 1, 0),),
        key="story_back",
    )
    st.button(
        "Next",
        icon=":material/arrow_forward:",
        shortcut="Right",
        type="primary",
        disabled=number == len(chapters) - 1,
        on_click=_turn,
        args=(min(number + 1, len(chapters) - 1),),
        key="story_next",
    )
    st.progress(
        (number + 1) / len(chapters),
        text=f"Chapter {number + 1} of {len(chapters)}, {MINUTES} minutes in all",
        width=260,
    )
    with_notes = st.toggle(
        "Speaker notes",
        key="story_notes",
        help="For the presenter's own screen. For the audience: F11 for the full screen, and fold the sidebar away.",
    )

st.title(chapter.title)
show_chapter(settings, chapter, user=user, with_notes=with_notes)
if chapter.kind is ChapterKind.SECOND_OPINION and chapter.case_id is not None:
    show_steps(settings, chapter.case_id, user=user)

st.space("small")
show_start_over(settings, user=user)
