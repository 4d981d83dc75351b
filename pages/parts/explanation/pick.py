"""Choosing a tile to explain: from the suspicious ones, those near the threshold, those at flags, or on the slide."""

from __future__ import annotations

import streamlit as st

from core.domain import Region
from core.server.identity import User
from core.services.analysis.tile_columns import probability_columns
from core.services.explanation.explain import explained_regions, region_at
from core.services.explanation.slide import SlideExplanation
from core.services.viewing.display import cells_of, positive_class
from core.settings import Settings
from models.cards import load_card
from pages.parts.common.badges import FLAGS
from pages.parts.common.resources import load_picture, picture_url
from pages.parts.explanation.charts import add_tile_points
from pages.parts.explanation.choice import Chosen, ask_for, probability_at
from pages.parts.explanation.strip import tile_strip
from pages.parts.viewer.overview_chart import CONFIG, add_heatmap, slide_figure

_SHOWN = 7
_SUSPICIOUS, _NEAR, _FLAGS, _PLACE = "Most suspicious", "Nearest the threshold", "At flags", "On the slide"
_DONE = "Explained already"


def choose_tile(
    settings: Settings, slide: SlideExplanation, chosen: Chosen, *, asked: Region | None, user: User
) -> None:
    """Let the reader choose a tile; the choice goes into the address."""
    done = [one for model, one in explained_regions(settings, slide.slide_id, actor=user.actor) if model == slide.model]
    ways = [_SUSPICIOUS, _NEAR, *([_FLAGS] if chosen.flags else []), *([_DONE] if done else []), _PLACE]
    way = st.segmented_control(
        "Tiles",
        ways,
        default=_SUSPICIOUS,
        required=True,
        key=f"explain_way_{slide.slide_id}",
        help="Tiles of the analysis to choose from, or a click on the slide.",
    )
    if way == _PLACE:
        _choose_on_slide(settings, slide, chosen)
        return
    regions, captions = (done[:_SHOWN], _captions(slide, done)) if way == _DONE else _offered(slide, chosen, str(way))
    tile_strip(
        settings,
        slide.slide_id,
        chosen.slide.sha256,
        regions,
        captions,
        key=f"tile_{ways.index(str(way))}",
        user=user,
        chosen=asked,
    )


def _captions(slide: SlideExplanation, regions: list[Region]) -> list[str]:
    """Return what stands below tiles that are explained already."""
    values = [probability_at(slide, region) for region in regions[:_SHOWN]]
    return ["between tiles" if value is None else f"probability {value:.2f}" for value in values]


def _offered(slide: SlideExplanation, chosen: Chosen, way: str) -> tuple[list[Region], list[str]]:
    """Return tiles to choose from and what stands below each."""
    target = slide.tiles.target
    if way == _FLAGS:
        places = [_tile_at(slide, flag.x or 0, flag.y or 0) for flag in chosen.flags][:_SHOWN]
        return [_region(slide, row) for row in places], [
            f"{FLAGS[flag.kind].label}, {target[row]:.2f}" for flag, row in zip(chosen.flags, places, strict=False)
        ]
    order = target.argsort(kind="stable")[::-1]
    if way == _NEAR:
        order = abs(target - slide.statistics.threshold).argsort(kind="stable")
    rows = [int(row) for row in order[:_SHOWN]]
    return [_region(slide, row) for row in rows], [f"probability {target[row]:.2f}" for row in rows]


def _tile_at(slide: SlideExplanation, x: float, y: float) -> int:
    """Return the row of the tile whose corner lies nearest to a place."""
    return int(abs(slide.tiles.xy_level0 - (x, y)).sum(axis=1).argmin())


def _region(slide: SlideExplanation, row: int) -> Region:
    return Region(*slide.regions[row])


def _choose_on_slide(settings: Settings, slide: SlideExplanation, chosen: Chosen) -> None:
    record, run = chosen.slide, chosen.run
    if record.width is None or record.height is None or run is None:
        st.caption("The slide has no picture.")
        return
    home = str(settings.home)
    picture = load_picture(
        settings, home, slide.slide_id, slide.run_id, width=record.width, height=record.height, with_model=True
    )
    figure = slide_figure(
        picture_url(home, slide.slide_id, slide.run_id, picture.thumbnail),
        width=record.width,
        height=record.height,
        mpp_x=run.mpp_x,
    )
    columns = probability_columns(picture.tiles.columns)
    name = positive_class(slide.model, list(columns))
    cells = cells_of(picture.tiles, column=columns[name], width=record.width, height=record.height)
    add_heatmap(figure, cells, name=name, threshold=0.0, opacity=0.4)
    add_tile_points(figure, slide)
    figure.update_layout(uirevision=slide.run_id, clickmode="event+select", dragmode="pan")
    picked = st.plotly_chart(
        figure,
        width="content",
        config=CONFIG,
        key=f"explain_pick_{slide.slide_id}",
        on_select="rerun",
        selection_mode="points",
        alt=f"Slide {slide.slide_id} with its tiles; a click chooses one",
    )
    points = picked["selection"]["points"]
    st.caption("Click a tile to choose it; scroll to zoom. Or type its place:")
    with st.form("explain_place", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.number_input("x (level-0 px)", 0, record.width - 1, key="explain_x", width=140)
        y = st.number_input("y (level-0 px)", 0, record.height - 1, key="explain_y", width=140)
        typed = st.form_submit_button("Choose this place", icon=":material/my_location:", key="explain_place_go")
    if typed:
        _go_to(region_at(record, load_card(slide.model), x=x, y=y))
    elif points and "customdata" in points[0]:
        data = points[0]["customdata"]
        _go_to(_region(slide, int(data[0] if isinstance(data, list) else data)))


def _go_to(region: Region) -> None:
    """Choose a tile and run the page anew, once."""
    if st.query_params.get("tile") != f"{region.x},{region.y}":
        ask_for(region)
        st.rerun()
