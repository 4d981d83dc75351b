"""The explanation of one tile: choosing it, asking the worker, and the maps beside the tile with their checks."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from core.domain import JobState, Region
from core.errors import SecondReadError
from core.roles import Permission
from core.server.identity import User
from core.services.display import cells_of, positive_class
from core.services.explain import live_job, place_of, region_at, request_tile, tile_explanation
from core.services.explain_export import export_tile
from core.services.explain_pictures import (
    LEGEND_SENTENCE,
    METHODS,
    NOT_A_REASON,
    agreement_words,
    legend,
    map_picture,
    sanity_words,
)
from core.services.explain_records import TileExplanation
from core.services.explain_slide import SlideExplanation
from core.services.tile_columns import probability_columns
from core.settings import Settings
from models.cards import ModelCard, list_cards, load_card
from pages.parts.actions import attempt
from pages.parts.badges import FLAGS, plain
from pages.parts.charts import CONFIG, add_heatmap, slide_figure
from pages.parts.explain_charts import add_tile_points
from pages.parts.explain_choice import Chosen, ask_for, probability_at, tile_asked
from pages.parts.explain_words import tile_strip
from pages.parts.resources import load_picture, picture_url

POLL_S = 2.0
_SHOWN = 7
_PICTURE_PX = 260
_TWO_DIGITS = {
    name: st.column_config.NumberColumn(format="%.2f") for name in ("Rank correlation", "Overlap of strongest area")
}
_SUSPICIOUS, _NEAR, _FLAGS, _PLACE = "Most suspicious", "Nearest the threshold", "At flags", "On the slide"


def show_tile(settings: Settings, slide: SlideExplanation, chosen: Chosen, *, user: User) -> None:
    """Let the reader choose a tile and show why the model answered as it did there, as far as that can be shown."""
    st.caption(NOT_A_REASON)
    asked = tile_asked(slide)
    _choose_tile(settings, slide, chosen, asked=asked, user=user)
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
    _show_explanation(settings, slide, found, user=user)


def _choose_tile(
    settings: Settings, slide: SlideExplanation, chosen: Chosen, *, asked: Region | None, user: User
) -> None:
    ways = [_SUSPICIOUS, _NEAR, *([_FLAGS] if chosen.flags else []), _PLACE]
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
    regions, captions = _offered(slide, chosen, str(way))
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


def _show_explanation(settings: Settings, slide: SlideExplanation, found: TileExplanation, *, user: User) -> None:
    stored = probability_at(slide, found.region) if found.model == slide.model else None
    said = "" if stored is None else f"; the analysis stored {stored:.2f}"
    st.markdown(
        f"**{plain(found.target)}: probability {found.probability:.2f}** by {plain(found.model)}{said}. "
        f"Tile at {found.region.x}, {found.region.y} (level-0 px)."
    )
    disagree, words = agreement_words(found)
    if disagree:
        st.warning(words, title="The maps disagree", icon=":material/call_split:")
    else:
        st.success(words, icon=":material/check_circle:")
    opacity = st.slider(
        "Opacity of the maps", 0.0, 1.0, 0.6, 0.05, key="explain_opacity", width=260, help="0 shows the tile alone."
    )
    _show_maps(found, opacity=opacity)
    st.image(legend(), width=240, alt="Legend: brown against the target, clear no influence, green for it")
    st.caption(LEGEND_SENTENCE)
    _show_checks(found)
    region, may = found.region, user.may(Permission.EXPORT)
    st.download_button(
        "Download maps and figures (ZIP)",
        data=partial(
            export_tile, settings, slide.slide_id, region, model=found.model, opacity=opacity, actor=user.actor
        ),
        file_name=f"{slide.slide_id}_{region.x}_{region.y}_{found.model}.zip",
        mime="application/zip",
        icon=":material/download:",
        key="explain_zip",
        disabled=not may,
        help="PNG pictures, maps as numbers, and a JSON with every figure." if may else "Your role does not export.",
        on_click="ignore",
    )


def _show_maps(found: TileExplanation, *, opacity: float) -> None:
    with st.container(horizontal=True, gap="small"):
        with st.container(width=_PICTURE_PX, gap="xxsmall"):
            st.image(found.view, width=_PICTURE_PX, alt="The tile without a map")
            st.markdown("**The tile**")
            st.caption(f"The network reads it with {found.tile.shape[1]} x {found.tile.shape[0]} px.")
        for one in found.maps:
            facts = METHODS[one.method]
            with st.container(width=_PICTURE_PX, gap="xxsmall"):
                picture = map_picture(found, one.method, opacity=opacity)
                st.image(picture, width=_PICTURE_PX, alt=f"{facts.title} over the tile")
                st.markdown(f"**{facts.title}**", help=f"{facts.asks} Source: {facts.source}.")
                st.caption(f"Grain: {one.grain}.")
                if one.method in found.uninformative:
                    st.badge("Uninformative", icon=":material/block:", color="red")
    if found.networks > 1:
        st.caption(
            f"{found.networks} networks: Grad-CAM and Grad-CAM++ are computed in each network's own layer, divided by "
            "their strongest cell and averaged; the other maps ask the mean probability of all networks."
        )


def _show_checks(found: TileExplanation) -> None:
    st.subheader("Can these maps be trusted?")
    for sentence in sanity_words(found):
        st.markdown(f"- {sentence}")
    left, right = st.columns(2)
    with left:
        st.markdown("**Map against map**")
        st.dataframe(
            pd.DataFrame(
                {
                    "Map": [METHODS[pair.first].title for pair in found.agreement.pairs],
                    "Other map": [METHODS[pair.second].title for pair in found.agreement.pairs],
                    "Rank correlation": [pair.correlation for pair in found.agreement.pairs],
                    "Overlap of strongest area": [pair.overlap for pair in found.agreement.pairs],
                }
            ),
            hide_index=True,
            column_config=_TWO_DIGITS,
            alt="Agreement of every two maps",
        )
    with right:
        st.markdown("**Trained against random weights**")
        st.dataframe(
            pd.DataFrame(
                {
                    "Map": [METHODS[one.method].title for one in found.randomised],
                    "Rank correlation": [one.correlation for one in found.randomised],
                    "Draws": [len(one.correlations) for one in found.randomised],
                    "Says something": ["yes" if one.is_informative else "NO" for one in found.randomised],
                }
            ),
            hide_index=True,
            column_config=_TWO_DIGITS,
            alt="How far each map changes when the weights are random",
        )
