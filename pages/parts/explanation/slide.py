"""The explanation of a slide: the heatmap in numbers, the removal test, groups of tiles, attention."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.server.identity import User
from core.services.explanation.export import export_slide
from core.services.explanation.groups import tile_groups
from core.services.explanation.index import GROUPS
from core.services.explanation.pictures import KEPT_WORDS
from core.services.explanation.slide import REMOVAL_SENTENCE, SlideExplanation
from core.services.viewing.display import ATTENTION_SENTENCE, RULE_MEANINGS
from core.settings import Settings
from pages.parts.common.badges import in_words, plain
from pages.parts.explanation.charts import CONFIG, attention_histogram, score_curve
from pages.parts.explanation.choice import Chosen
from pages.parts.explanation.strip import tile_strip

_MOST_REGIONS = 10


def regions_to_remove(slide_id: str) -> int:
    """Return how many regions the reader wants taken away; the control itself stands below."""
    return int(st.session_state.get(f"explain_remove_{slide_id}", 1))


def show_slide(settings: Settings, slide: SlideExplanation, chosen: Chosen, *, user: User) -> None:
    """Show what the call of a slide rests on."""
    _show_call(slide)
    _show_statistics(slide)
    _show_removal(slide)
    _show_groups(settings, slide, chosen, user=user)
    _show_attention(slide)
    st.download_button(
        "Download as JSON",
        data=partial(
            export_slide, settings, slide.slide_id, remove=slide.removal.regions_removed or 1, actor=user.actor
        ),
        file_name=f"{slide.slide_id}_explanation.json",
        mime="application/json",
        icon=":material/download:",
        key="explain_slide_json",
        disabled=not user.may(Permission.EXPORT),
        help="Statistics, scores of the removal test and its curve.",
        on_click="ignore",
    )


def _show_call(slide: SlideExplanation) -> None:
    call = f"{slide.target} called" if slide.called else f"{slide.target} not called"
    score = "-" if slide.score is None else f"{slide.score:.2f}"
    threshold = "no threshold" if slide.threshold is None else f"threshold {slide.threshold:.2f}"
    rule = plain(in_words(slide.rule).lower())
    st.markdown(f"**{plain(call)}** by {plain(slide.model)}: score {score} under {rule}, {threshold}.")
    turning = slide.turning
    for number, sentence in enumerate(slide.sentences):
        if number == 0 and turning is not None and turning.rests_on_few:
            st.warning(sentence, title="Rests on few tiles", icon=":material/warning:")
        else:
            st.info(sentence, icon=":material/info:")


def _show_statistics(slide: SlideExplanation) -> None:
    found = slide.statistics
    st.subheader("The heatmap in numbers")
    largest = found.largest
    with st.container(horizontal=True):
        st.metric(
            "Suspicious tissue",
            f"{found.above_mm2:.2f} mm²",
            f"{found.share_above:.1%} of {found.mm2:.2f} mm² looked at",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=f"Tiles with a probability of at least {found.threshold:.2f}, the tile threshold of the model.",
        )
        st.metric(
            "Regions",
            len(found.regions),
            "no tile reaches the threshold" if largest is None else f"largest {largest.mm2:.2f} mm²",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help="Suspicious tiles that touch each other, corners included, are one region.",
        )
        st.metric(
            "Most suspicious region",
            found.where or "-",
            "of the looked-at tissue",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help="Where its middle lies within the box around all tiles.",
        )
        st.metric(
            "How unsure",
            f"{found.entropy_bits:.2f} bit",
            "0 = sure of every tile, 1 = of none",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help="Mean over tiles of the binary entropy of their probability.",
        )
        st.metric(
            "How spread out",
            f"{found.spread_bits:.2f}",
            "near 0 = one tile has it all, 1 = even",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help="Evenness (entropy divided by its highest value) of how probability is shared among tiles.",
        )
    if found.regions:
        with st.expander(f"Regions ({len(found.regions)})", icon=":material/bubble_chart:"):
            st.dataframe(
                _regions_frame(slide), hide_index=True, alt="Connected suspicious regions, most suspicious first"
            )


def _show_removal(slide: SlideExplanation) -> None:
    st.subheader("Removal test")
    st.caption(REMOVAL_SENTENCE)
    count = len(slide.statistics.regions)
    if count > 1:
        st.slider(
            "Regions that are taken away as the top regions",
            1,
            min(count, _MOST_REGIONS),
            1,
            key=f"explain_remove_{slide.slide_id}",
            width=360,
            help="The most suspicious first, by the sum of their probabilities.",
        )
    st.dataframe(
        _removal_frame(slide),
        hide_index=True,
        column_config={
            in_words(rule): st.column_config.NumberColumn(format="%.3f", help=RULE_MEANINGS.get(rule))
            for rule in RULE_MEANINGS
        },
        placeholder="no tile",
        alt="Scores of the slide under every rule, from all tiles and from parts of them",
    )
    rules = [rule.value for rule in slide.removal.curve.without]
    drawn = st.pills(
        "Rules in the chart",
        rules,
        selection_mode="multi",
        default=[slide.rule] if slide.rule in rules else rules[:1],
        format_func=in_words,
        key="explain_rules",
        help="Solid: the score without the most suspicious tiles. Dotted: from these alone. Dashed: the threshold.",
    )
    st.plotly_chart(
        score_curve(slide, rules=list(drawn)),
        config=CONFIG,
        key="explain_curve",
        alt="Score of the slide while its most suspicious tiles are taken away",
    )
    if slide.not_recomputed:
        names = ", ".join(plain(name) for name in slide.not_recomputed)
        st.caption(f"Trained aggregators are not recomputed here: {names}.")


def _show_groups(settings: Settings, slide: SlideExplanation, chosen: Chosen, *, user: User) -> None:
    st.subheader("Tiles that look alike")
    count = st.select_slider(
        "Groups", GROUPS, value=4, key="explain_groups", width=360, help="Into how many groups all tiles are put."
    )
    try:
        found = tile_groups(settings, slide.slide_id, count=int(count), actor=user.actor)
    except SecondReadError as err:
        st.info(str(err), icon=":material/info:")
        return
    st.caption(f"K-means on {plain(found.by)}. The tiles nearest to the middle of each group are shown.")
    for group in found.groups:
        mean = "" if group.probability is None else f", mean probability {group.probability:.2f}"
        st.markdown(f"**Group {group.number}**: {group.tiles} tiles, {group.mm2:.2f} mm²{mean}")
        shown = group.shown[:6]
        tile_strip(
            settings,
            slide.slide_id,
            chosen.slide.sha256,
            shown,
            ["" for _ in shown],
            key=f"group_{count}_{group.number}",
            user=user,
            choose=False,
        )


def _show_attention(slide: SlideExplanation) -> None:
    st.subheader("Attention")
    st.caption(ATTENTION_SENTENCE)
    figure = attention_histogram(slide)
    if figure is None:
        st.caption("No aggregator with attention scored this slide.")
        return
    st.plotly_chart(figure, config=CONFIG, key="explain_attention", alt="Attention against probability of every tile")


def _regions_frame(slide: SlideExplanation) -> pd.DataFrame:
    regions = slide.statistics.regions
    return pd.DataFrame(
        {
            "Region": range(1, len(regions) + 1),
            "Tiles": [len(region.rows) for region in regions],
            "mm²": [round(region.mm2, 3) for region in regions],
            "Highest probability": [round(region.highest, 3) for region in regions],
            "Middle x (px)": [round(region.centre_level0[0]) for region in regions],
            "Middle y (px)": [round(region.centre_level0[1]) for region in regions],
        }
    )


def _removal_frame(slide: SlideExplanation) -> pd.DataFrame:
    rows = slide.removal.recomputed
    rules = [rule.value for rule in slide.removal.curve.without]
    scores = [{rule.value: score for rule, score in row.scores.items()} for row in rows]
    table = {
        "Looked at": [KEPT_WORDS[row.kept] for row in rows],
        "Tiles": [row.tiles for row in rows],
        "mm²": [round(row.mm2, 2) for row in rows],
    }
    return pd.DataFrame(table | {in_words(rule): [one.get(rule) for one in scores] for rule in rules})
