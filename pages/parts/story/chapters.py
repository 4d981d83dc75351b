"""The pieces of the demonstration's story: a chapter with its slide, the second opinion in steps, and starting over."""

from __future__ import annotations

import streamlit as st

from core.domain import Size
from core.errors import NotFoundError
from core.roles import Permission
from core.server.identity import User
from core.services.analysis.tile_columns import probability_columns
from core.services.cases.worklist import CaseDetail, case_detail
from core.services.story.planted import planted_outlines
from core.services.story.play import STEPS, play_next, steps_done
from core.services.story.start import start_over
from core.services.story.story import Chapter
from core.services.viewing.display import cells_of, positive_class
from core.settings import Settings
from core.store.records import RunRecord, SlideRecord
from pages.parts.common.actions import attempt
from pages.parts.common.badges import FLAGS, plain
from pages.parts.common.resources import load_picture, picture_url
from pages.parts.viewer.overview import DEFAULT_OPACITY, flag_markers
from pages.parts.viewer.overview_chart import CONFIG, add_heatmap, add_markers, add_outlines, slide_figure


def show_chapter(settings: Settings, chapter: Chapter, *, user: User, with_notes: bool) -> None:
    """Show what a chapter tells: one sentence, the slide, and what is on the case."""
    st.markdown(f"#### {plain(chapter.statement)}")
    picture, facts = st.columns([3, 2], gap="large")
    with facts:
        if chapter.flag is not None:
            look = FLAGS[chapter.flag.kind]
            st.badge(look.label, icon=look.icon, color=look.colour)
        for label, value in chapter.facts:
            st.markdown(f"**{plain(label)}**  \n{plain(value)}")
        if chapter.case_id is not None:
            st.page_link(
                "case.py",
                label=f"Open {chapter.case_id}",
                icon=":material/biotech:",
                query_params={"case": chapter.case_id},
            )
        if chapter.others:
            st.caption(f"{chapter.others} more of this cohort's cases could tell the same.")
        if with_notes:
            with st.container(border=True):
                st.markdown("**Speaker notes**")
                st.markdown("\n".join(f"- {note}" for note in chapter.notes))
    with picture:
        if chapter.case_id is not None:
            _show_slide(settings, case_detail(settings, chapter.case_id, actor=user.actor), chapter)


def _show_slide(settings: Settings, detail: CaseDetail, chapter: Chapter) -> None:
    """Show the slide of the flag; heatmap, numbered places and planted outlines each at the press of a key."""
    slide = next((one for one in detail.slides if one.slide_id == chapter.slide_id), detail.slides[0])
    run = detail.runs.get(slide.slide_id)
    if run is None or slide.width is None or slide.height is None:
        st.info(f"{slide.slide_id} has no picture: {slide.message or 'it was not analysed.'}", icon=":material/image:")
        return
    with st.container(horizontal=True):
        heat = st.toggle("Heatmap", value=True, key=f"story_heat_{chapter.kind.value}")
        planted = st.toggle(
            "Planted truth", key=f"story_truth_{chapter.kind.value}", help="Outlines of what was drawn into the slide."
        )
    _draw(settings, slide, run, detail, heat=heat, planted=planted, key=chapter.kind.value)


def _draw(
    settings: Settings, slide: SlideRecord, run: RunRecord, detail: CaseDetail, *, heat: bool, planted: bool, key: str
) -> None:
    size = Size(slide.width or 1, slide.height or 1)
    try:
        picture = load_picture(
            settings,
            str(settings.home),
            slide.slide_id,
            run.run_id,
            width=size.width,
            height=size.height,
            with_model=True,
        )
    except NotFoundError as err:
        st.info(str(err), icon=":material/image:")
        return
    url = picture_url(str(settings.home), slide.slide_id, run.run_id, picture.thumbnail)
    figure = slide_figure(url, width=size.width, height=size.height, mpp_x=run.mpp_x)
    columns = probability_columns(picture.tiles.columns)
    if heat and columns:
        name = positive_class(run.model, list(columns))
        cells = cells_of(picture.tiles, column=columns[name], width=size.width, height=size.height)
        add_heatmap(figure, cells, name=name, threshold=0.0, opacity=DEFAULT_OPACITY)
        add_markers(figure, flag_markers(detail.flags, slide_id=slide.slide_id, size=size))
    outlines = planted_outlines(slide) if planted else ()
    add_outlines(figure, outlines)
    if planted and not outlines:
        st.caption("Nothing was planted on this slide.")
    st.plotly_chart(
        figure, width="content", config=CONFIG, key=f"story_slide_{key}", alt=f"Slide {slide.slide_id} of the chapter"
    )


def show_steps(settings: Settings, case_id: str, *, user: User) -> None:
    """Show how far the second opinion is, and let a lead play the next step."""
    done = steps_done(settings, case_id, actor=user.actor)
    st.subheader("The second opinion, step by step")
    with st.container(horizontal=True):
        for index, step in enumerate(STEPS):
            st.badge(
                step.title,
                icon=":material/check:" if index < done else ":material/radio_button_unchecked:",
                color="green" if index < done else "gray",
            )
    if done:
        st.markdown(f"{STEPS[done - 1].done}")
    if done == len(STEPS):
        st.success("Signed. The case's history shows every step, who took it and when.", icon=":material/verified:")
        return
    if not user.may(Permission.MANAGE_PEOPLE):
        st.caption("A lead can play the steps here; or take them yourself on the case page.")
        return
    if st.button("Next step", icon=":material/play_arrow:", shortcut="Enter", key="story_step"):
        title = STEPS[done].title
        if attempt(lambda: play_next(settings, case_id, actor=user.actor), done=f"{title}: done, and in the log."):
            st.rerun()
    st.caption("The people in these steps belong to the demonstration; the colleague answers with what was planted.")


def show_start_over(settings: Settings, *, user: User) -> None:
    """Let a lead put the demonstration back to its start, after asking once more."""
    if not user.may(Permission.MANAGE_PEOPLE):
        return
    with st.popover("Start over", icon=":material/restart_alt:"):
        st.markdown(
            "Reads, opinions, reviews and sessions since the demonstration was prepared are set aside, and the log is "
            "as it was at the start. Slides and results stay. Everybody signs in anew."
        )
        if st.button("Set aside and start over", type="primary", key="story_start_over"):
            attempt(lambda: start_over(settings, actor=user.actor), done="The demonstration starts over.")
            st.rerun()
