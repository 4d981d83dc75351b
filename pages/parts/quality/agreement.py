"""Second quality reads: what waits for whom, and how far first and second readers agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from core.roles import Permission
from core.server.identity import User, short_name
from core.services.quality.agreement import QcAgreement, qc_agreement
from core.services.quality.second_reads import (
    SecondReadRecord,
    awaited_second_reads,
    second_reads_to_do,
    withdraw_second_read,
)
from core.settings import Settings
from core.vocabulary import QcDisposition
from pages.parts.common.badges import plain, time_in_words
from pages.parts.common.forms import ask_reason
from pages.parts.quality.bulk import show_draw
from pages.parts.quality.charts import CONFIG
from pages.parts.quality.words import DISPOSITIONS

_NAMES = {"po": "Same verdict (Po)", "kappa": "Cohen's kappa", "ac1": "Gwet's AC1"}
_FEW_ASKS = 20
"""Awaited reads shown at once; more are counted."""


def show_second_reads(settings: Settings, *, user: User) -> None:
    """Show what second reads wait for this person and for others, and the agreement of those that are done."""
    may_judge = user.may(Permission.JUDGE_QUALITY)
    if may_judge and st.button(
        "Draw slides for a second read",
        key="qc_draw",
        icon=":material/casino:",
        help="A random share of the slides with one verdict is read again, blinded: the honest way to know agreement.",
    ):
        show_draw(settings, user=user)
    mine = second_reads_to_do(settings, actor=user.actor)
    others = [ask for ask in awaited_second_reads(settings, actor=user.actor) if ask not in mine]
    if may_judge:
        st.subheader(f"Waiting for you ({len(mine)})")
        if not mine:
            st.caption("No second read waits for you.")
        _show_asks(settings, mine, user=user)
    st.subheader(f"Waiting for others ({len(others)})")
    if not others:
        st.caption("No second read waits for anybody else.")
    _show_asks(settings, others, user=user)
    st.subheader("Agreement")
    if not user.may(Permission.SEE_REPORTS):
        st.caption("Agreement is for those who may see reports.")
        return
    show_agreement(qc_agreement(settings, actor=user.actor))


def _show_asks(settings: Settings, asks: Sequence[SecondReadRecord], *, user: User) -> None:
    for ask in asks[:_FEW_ASKS]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{plain(ask.slide_id)}**", width="content")
            of = plain(short_name(ask.reader)) if ask.reader else "anybody who has not judged it"
            asked = f"asked of {of} by {plain(short_name(ask.asked_by))}, {time_in_words(ask.created_at)}"
            st.caption(f"{asked}. {plain(ask.reason)}" if ask.reason else asked, width="content")
            st.space("stretch")
            if st.button("Open", key=f"qc_ask_{ask.ask_id}", icon=":material/open_in_new:", type="tertiary"):
                st.query_params["slide"] = ask.slide_id
                st.rerun()
            if ask.asked_by == user.actor and st.button(
                "Withdraw", key=f"qc_ask_off_{ask.ask_id}", icon=":material/undo:", type="tertiary"
            ):
                _withdraw(settings, ask, user=user)
    if len(asks) > _FEW_ASKS:
        st.caption(f"{_FEW_ASKS} of {len(asks)} are shown.")


def _withdraw(settings: Settings, ask: SecondReadRecord, *, user: User) -> None:
    ask_reason(
        "Withdraw the request",
        icon=":material/undo:",
        told=f"Nobody owes a second read of {plain(ask.slide_id)} any more.",
        label="Reason (optional)",
        button="Withdraw",
        name=f"qc_ask_{ask.ask_id}",
        action=lambda reason: withdraw_second_read(settings, ask.ask_id, reason=reason, actor=user.actor),
        done="The request is withdrawn.",
    )


def show_agreement(found: QcAgreement) -> None:
    """Show Po, kappa and AC1 over independent reads with their tables, and what was left out."""
    n = len(found.pairs)
    told = f"n = {n} independent pairs of verdicts."
    told += f" {found.left_out} second verdicts were given in sight of the first and are left out." * bool(
        found.left_out
    )
    told += f" {found.hidden} slides are hidden from you for now." * bool(found.hidden)
    st.caption(told)
    if not n:
        st.info(
            "Choose slides in the table and ask for a second read, or draw some at random. Agreement stands here as "
            "soon as one slide has two verdicts that were given independently.",
            title="No slide has two independent verdicts yet",
            icon=":material/group:",
        )
        return
    st.dataframe(
        agreement_frame(found),
        hide_index=True,
        height="content",
        width=760,
        alt="Agreement of first and second quality readers with 95 % intervals",
    )
    st.caption("95 % intervals by bootstrap over slides. Kappa falls where one verdict is rare; AC1 does not.")
    dispositions, acceptance = st.columns([3, 2], gap="medium")
    with dispositions:
        st.plotly_chart(
            _table_figure(found.table, [DISPOSITIONS[QcDisposition(name)].label for name in found.categories]),
            config=CONFIG,
            key="qc_agreement_table",
            alt="Verdicts of the first reader against those of the second",
        )
    with acceptance:
        st.plotly_chart(
            _table_figure(found.acceptance, ["Accepted", "Not accepted"]),
            config=CONFIG,
            key="qc_acceptance_table",
            alt="Accepted or not by the first reader against the second",
        )
    differ = [pair for pair in found.pairs if not pair.agrees]
    if differ:
        st.markdown("**Slides on which the readers differ**")
        st.dataframe(
            pd.DataFrame(
                {
                    "Slide": [pair.slide_id for pair in differ],
                    "First": [_label(pair.first.disposition) for pair in differ],
                    "Second": [_label(pair.second.disposition) for pair in differ],
                    "First reader": [short_name(pair.first.reader) for pair in differ],
                    "Second reader": [short_name(pair.second.reader) for pair in differ],
                }
            ),
            hide_index=True,
            height="content",
            alt="Slides on which first and second quality reader differ",
        )


def agreement_frame(found: QcAgreement) -> pd.DataFrame:
    """Return one row a statistic, over the six verdicts and over accepted or not."""
    parts: Mapping[str, Mapping[str, object]] = {
        "Six verdicts": found.by_disposition,
        "Accepted or not": found.by_acceptance,
    }
    return pd.DataFrame(
        [
            {"Over": over, "Statistic": _NAMES[name], **_interval(estimate)}
            for over, statistics in parts.items()
            for name, estimate in statistics.items()
        ]
    )


def _interval(estimate: object) -> dict[str, object]:
    value, low, high = (getattr(estimate, name) for name in ("value", "low", "high"))
    known = low is not None and high is not None
    return {
        "Value": "not defined" if value is None else f"{value:.3f}",
        "95 % interval": f"{low:.3f} to {high:.3f}" if known else "-",
        "Note": getattr(estimate, "reason", ""),
    }


def _label(disposition: QcDisposition | None) -> str:
    return DISPOSITIONS[disposition].label if disposition else "Taken back"


def _table_figure(table: NDArray[np.float64], labels: Sequence[str]) -> go.Figure:
    figure = go.Figure(
        go.Heatmap(
            z=table,
            x=list(labels),
            y=list(labels),
            text=table.astype(int),
            texttemplate="%{text}",
            colorscale=[[0, "rgba(0,114,178,0.04)"], [1, "rgba(0,114,178,0.9)"]],
            showscale=False,
            hovertemplate="first %{y}<br>second %{x}<br>%{z} slides<extra></extra>",
        )
    )
    figure.update_xaxes(title="Second reader", side="top", fixedrange=True)
    figure.update_yaxes(title="First reader", autorange="reversed", fixedrange=True)
    figure.update_layout(
        height=60 + 46 * len(labels) + 60,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure
