"""The overview of a slide: the whole of it in one picture, with the heatmap and the numbered places of the flags.

Drawn from what the analysis stored, so that it stays when the slide file itself is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain import Size
from core.errors import NotFoundError
from core.services.analysis.tile_columns import probability_columns
from core.services.viewing.display import ATTENTION_SENTENCE, cells_of, positive_class
from core.services.viewing.layers import ATTENTION_COLUMN
from core.services.viewing.pictures import SlidePicture
from core.settings import Settings
from core.store.records import FlagRecord, RunRecord, SlideRecord
from pages.parts.common.badges import FLAGS
from pages.parts.common.resources import load_picture, picture_url
from pages.parts.viewer.overview_chart import CONFIG, Marker, add_attention, add_heatmap, add_markers, slide_figure

DEFAULT_OPACITY = 0.4
"""The field's usual heatmap opacity: the tissue stays readable below."""


def flag_markers(flags: Sequence[FlagRecord], *, slide_id: str, size: Size) -> list[Marker]:
    """Return the places of a slide's flags, numbered as in the case's list of flags.

    Args:
        flags: Of the case, in the order of the list.
        slide_id: Which slide.
        size: Level-0 px of the slide: the middle of a tile that reaches beyond it is that of its part on the slide.
    """
    return [
        Marker(
            number,
            (flag.x + min(flag.x + (flag.width or 0), size.width)) / 2,
            (flag.y + min(flag.y + (flag.height or 0), size.height)) / 2,
            f"{number}. {FLAGS[flag.kind].label}",
        )
        for number, flag in enumerate(flags, start=1)
        if flag.slide_id == slide_id and flag.x is not None and flag.y is not None
    ]


@st.fragment
def show_overview(
    settings: Settings, slide: SlideRecord, run: RunRecord | None, *, flags: Sequence[FlagRecord], revealed: bool
) -> None:
    """Show a slide's picture; before the reveal nothing lies on it.

    A fragment, so that moving a slider redraws the picture and nothing else.
    """
    picture = _picture(settings, slide, run, with_model=revealed)
    if picture is None or run is None:
        st.info(
            "The overview is drawn when the slide is analysed; look at it in the microscope until then.",
            icon=":material/hourglass_empty:",
        )
        return
    columns = probability_columns(picture.tiles.columns)
    classes = list(columns)
    name, threshold, opacity, attends = "", 0.0, 0.0, False
    if revealed and classes:
        attends = ATTENTION_COLUMN in picture.tiles and _wants_attention(slide)
        name, threshold, opacity = _controls(slide, run, classes=classes, attends=attends)
    size = picture.size_level0
    figure = slide_figure(
        picture_url(str(settings.home), slide.slide_id, run.run_id, picture.thumbnail),
        width=size.width,
        height=size.height,
        mpp_x=run.mpp_x,
    )
    if opacity > 0:
        column = ATTENTION_COLUMN if attends else columns[name]
        cells = cells_of(picture.tiles, column=column, width=size.width, height=size.height)
        if attends:
            add_attention(figure, cells, opacity=opacity)
        else:
            add_heatmap(figure, cells, name=name, threshold=threshold, opacity=opacity)
    if revealed:
        add_markers(figure, flag_markers(flags, slide_id=slide.slide_id, size=size))
    # Without this, each redraw would throw away the reader's zoom.
    figure.update_layout(uirevision=f"{slide.slide_id}/{run.run_id}")
    st.plotly_chart(
        figure,
        width="content",
        config=CONFIG,
        key=f"slide_{slide.slide_id}",
        alt=f"Slide {slide.slide_id}" + (f" with {_shown(name, attends=attends)}" if opacity > 0 else ""),
    )
    if run.mpp_x is None:
        st.caption("The scale of this slide is unknown: distances are in pixels only.")
    if attends:
        st.caption(f"{ATTENTION_SENTENCE} Each square is one tile. Scroll to zoom, drag to move.")
    elif revealed and classes:
        st.caption(
            "Each square is one tile as the model saw it, coloured by its own probability; "
            "without colour: no tissue, or below the threshold. Scroll to zoom, drag to move."
        )
    elif not picture.tiles.empty:
        st.caption("The model's heatmap is hidden until you record a diagnosis or reveal it.")


def _wants_attention(slide: SlideRecord) -> bool:
    """Let the reader choose between two things that never share a legend."""
    probability, attention = "Probability", "Attention"
    chosen = st.segmented_control(
        "Show", [probability, attention], default=probability, required=True, key=f"layer_{slide.slide_id}"
    )
    return chosen == attention


def _shown(name: str, *, attends: bool) -> str:
    return "the attention of the aggregator" if attends else f"the model's probability of {name}"


def _controls(slide: SlideRecord, run: RunRecord, *, classes: Sequence[str], attends: bool) -> tuple[str, float, float]:
    """Heatmap controls: class and threshold of a probability, opacity (0 when the heatmap is switched off)."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        visible = st.toggle("Heatmap", value=True, key=f"heat_{slide.slide_id}")
        chosen = positive_class(run.model, classes)
        name = st.selectbox(
            "Probability of",
            classes,
            index=classes.index(chosen),
            key=f"class_{slide.slide_id}",
            width=130,
            disabled=attends or not visible,
        )
        threshold = st.slider(
            "Show tiles from",
            0.0,
            1.0,
            0.0,
            0.05,
            key=f"threshold_{slide.slide_id}",
            width=150,
            disabled=attends or not visible,
        )
        opacity = st.slider(
            "Opacity", 0.1, 1.0, DEFAULT_OPACITY, 0.1, key=f"opacity_{slide.slide_id}", width=120, disabled=not visible
        )
    return name, threshold, opacity if visible else 0.0


def _picture(settings: Settings, slide: SlideRecord, run: RunRecord | None, *, with_model: bool) -> SlidePicture | None:
    if run is None or slide.width is None or slide.height is None:
        return None
    try:
        return load_picture(
            settings,
            str(settings.home),
            slide.slide_id,
            run.run_id,
            width=slide.width,
            height=slide.height,
            with_model=with_model,
        )
    except NotFoundError:
        return None
