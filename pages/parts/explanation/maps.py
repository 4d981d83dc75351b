"""The maps of one tile beside it, and what is known about whether they can be trusted."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from core.roles import Permission
from core.server.identity import User
from core.services.explanation.export import export_tile
from core.services.explanation.pictures import (
    LEGEND_SENTENCE,
    METHODS,
    agreement_words,
    legend,
    map_picture,
    sanity_words,
)
from core.services.explanation.records import TileExplanation
from core.services.explanation.slide import SlideExplanation
from core.settings import Settings
from pages.parts.common.badges import plain
from pages.parts.explanation.choice import probability_at

_PICTURE_PX = 260
_TWO_DIGITS = {
    name: st.column_config.NumberColumn(format="%.2f") for name in ("Rank correlation", "Overlap of strongest area")
}


def show_explanation(settings: Settings, slide: SlideExplanation, found: TileExplanation, *, user: User) -> None:
    """Show the maps of a tile side by side with it, whether they agree, and the checks of each."""
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
    with st.expander("LIME, superpixel by superpixel", icon=":material/dataset:"):
        spread = found.spread
        st.dataframe(
            pd.DataFrame(
                {
                    "Superpixel": range(1, len(spread.mean) + 1),
                    "Weight (difference of probability)": spread.mean,
                    "Deviation between seeds": spread.deviation,
                }
            ),
            hide_index=True,
            column_config={
                name: st.column_config.NumberColumn(format="%.3f")
                for name in ("Weight (difference of probability)", "Deviation between seeds")
            },
            alt="Weight of every superpixel and its deviation between seeds",
        )
