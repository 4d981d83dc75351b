"""How far calls depend on what should not matter: the plot, the table, and the button that queues the check."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.errors import SecondReadError
from core.evaluation.perturbation import Family
from core.roles import Permission
from core.server.identity import User
from core.services.evaluation.robustness import RobustnessSummary, request_robustness, robustness_summary
from core.services.evaluation.values import SYSTEM_PREFIX, Cohort
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.evaluation.charts import CONFIG

_COLOURS = {
    Family.ORIENTATION: "#0f8a9b",
    Family.STAIN: "#b35a9a",
    Family.FOCUS: "#d1704a",
    Family.COMPRESSION: "#7b8f3a",
    Family.SCALE: "#6a78b8",
}
POLL = "3s"


def show_robustness(settings: Settings, user: User, *, model: str, cohort: Cohort) -> None:
    """Show the summary, and let whoever manages jobs queue what is missing; polls while jobs are in work."""
    if model.startswith(SYSTEM_PREFIX):
        st.info(
            "Imported predictions cannot be computed again. Choose a model of this program.", icon=":material/info:"
        )
        return
    try:
        summary = robustness_summary(settings, model, cohort=cohort, actor=user.actor)
    except SecondReadError as err:
        st.warning(str(err), icon=":material/info:")
        return
    st.fragment(_show, run_every=POLL if summary.waiting else None)(settings, user, model, cohort)


def _show(settings: Settings, user: User, model: str, cohort: Cohort) -> None:
    summary = robustness_summary(settings, model, cohort=cohort, actor=user.actor)
    whole = len(summary.done) + len(summary.missing)
    st.caption(
        f"The same tiles are predicted again under named changes ({summary.version}): {summary.sample} tiles a slide, "
        "half of them its most suspicious, half drawn at random. The slide's score here is that of the sample by the "
        "default rule."
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if whole:
            st.progress(len(summary.done) / whole, text=f"{len(summary.done)} of {whole} slides checked", width=320)
        if summary.waiting:
            st.badge(f"{summary.waiting} in the queue", icon=":material/progress_activity:", color="blue")
        elif summary.missing and user.may(Permission.OPERATE):
            if st.button(
                f"Check {len(summary.missing)} slides",
                key="ev_robustness_run",
                icon=":material/play_arrow:",
                help="Queued for the worker; about ten seconds a slide. It goes on where it stopped after a restart.",
            ) and attempt(
                lambda: request_robustness(settings, model, cohort=cohort, actor=user.actor),
                done=f"{len(summary.missing)} slides queued.",
            ):
                st.rerun()
        elif summary.missing:
            st.caption("Somebody who manages jobs can have the missing slides checked.")
    if not summary.rows:
        st.info("No slide was checked yet.", icon=":material/rotate_90_degrees_ccw:")
        return
    st.plotly_chart(
        _figure(summary),
        config=CONFIG,
        key="ev_robustness_figure",
        alt="Change of the slides' scores under every change",
    )
    st.dataframe(
        _frame(summary),
        hide_index=True,
        height="content",
        column_config={"Tile calls that change": st.column_config.NumberColumn(format="percent")},
        key="ev_robustness_table",
        alt="Prediction change under every change of the picture",
    )
    st.caption("A model that averages over the symmetries of the square does not change under turning and mirroring.")


def _figure(summary: RobustnessSummary) -> go.Figure:
    figure = go.Figure()
    for row in summary.rows:
        figure.add_box(
            y=row.slide_changes,
            name=row.words,
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            marker={"color": _COLOURS[row.family], "size": 5, "opacity": 0.6},
            line={"width": 1.5},
            text=list(summary.done),
            hovertemplate="%{text}: %{y:+.3f}<extra></extra>",
        )
    figure.add_hline(y=0, line={"color": "#8a9498", "width": 1})
    figure.update_layout(
        height=430,
        showlegend=False,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        yaxis_title="Change of the slide's score",
        dragmode=False,
    )
    figure.update_xaxes(tickangle=-35)
    return figure


def _frame(summary: RobustnessSummary) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Kind": row.family.value,
                "Change": row.words,
                "Slides": row.n_slides,
                "Tiles": row.n_tiles,
                "Mean change of a tile": f"{row.mean_change:.3f}",
                "95 % of tiles below": f"{row.p95_change:.3f}",
                "Tile calls that change": row.tile_flips,
                "Mean change of a slide": f"{row.mean_slide_change:.3f}",
                "Slide calls that change": row.slide_flips,
            }
            for row in summary.rows
        ]
    )
