"""Pieces of the reports page: which time, the measures as a table, one of them over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.errors import InputError
from core.services.reports.periods import Period, Step
from core.services.reports.reports import Measure, Report

_SPANS = {"All time": None, "Last 30 days": 30, "Last 90 days": 90, "Last year": 365}
_OWN = "From and to"
STEPS = {Step.WEEK: "Weeks", Step.MONTH: "Months", Step.QUARTER: "Quarters", Step.YEAR: "Years"}
_TEAL = "#0f6b78"


def choose_period(first: datetime) -> Period:
    """Let somebody choose the time that the report is about; both days of an own choice are in it.

    Args:
        first: When the first case was read.

    Raises:
        InputError: the period ends before it begins.
    """
    span = st.segmented_control(
        "Time", [*_SPANS, _OWN], default="All time", required=True, key="report_span", bind="query-params"
    )
    if span != _OWN:
        days = _SPANS[str(span)]
        return Period() if days is None else Period(start=datetime.now(UTC) - timedelta(days=days))
    today = datetime.now(UTC).date()
    begin = st.date_input("From", value=first.date(), max_value=today, key="report_from", width=150)
    until = st.date_input("To", value=today, key="report_to", width=150)
    if not isinstance(begin, date) or not isinstance(until, date):
        raise InputError("Choose both days.")
    return Period(_midnight(begin), _midnight(until) + timedelta(days=1))


def show_measures(report: Report) -> None:
    """Show every measure with its interval, what it is of, and the literature beside it."""
    st.table(
        measures_frame(report.measures).set_index("Measure"),
        border="horizontal",
        alt="Measures of second opinions with intervals, numbers of cases and the literature",
    )


def measures_frame(measures: Sequence[Measure]) -> pd.DataFrame:
    """Return the measures as a table."""
    return pd.DataFrame(
        {
            "Measure": [one.title for one in measures],
            "Value": [value_words(one) for one in measures],
            "95 % interval": [
                "" if one.low is None or one.high is None else f"{one.low:.1f} to {one.high:.1f}" for one in measures
            ],
            "n": [str(one.n) if one.count is None else f"{one.count}\u00a0of\u00a0{one.n}" for one in measures],
            "Literature": [one.literature or "no figure" for one in measures],
            "Of what": [f"{one.meaning}. {one.detail}".strip(" .") for one in measures],
        }
    )


def value_words(one: Measure) -> str:
    """Return a measure's value with its unit."""
    return "none yet" if one.value is None else f"{one.value:.1f} {one.unit}"


def show_trend(labelled: Sequence[tuple[str, Report]]) -> None:
    """Show one measure over the periods, with intervals and n; the choice of the measure above."""
    titles = {one.name: one.title for one in labelled[0][1].measures}
    chosen = st.selectbox(
        "Measure over time",
        list(titles),
        format_func=titles.__getitem__,
        key="report_measure",
        bind="query-params",
        width=320,
        help="With 95 % intervals. Few cases make wide ones: look at n before you see a trend.",
    )
    points = [(label, next(one for one in report.measures if one.name == chosen)) for label, report in labelled]
    if all(one.value is None for _, one in points):
        st.caption("Nothing to count in any of these periods.")
        return
    st.plotly_chart(
        trend_plot(points),
        config={"displaylogo": False, "displayModeBar": False},
        key="report_trend",
        alt=f"{titles[str(chosen)]} by period with 95 % intervals",
    )


def trend_plot(points: Sequence[tuple[str, Measure]]) -> go.Figure:
    """Return a measure by period: value, interval and n; a period without cases has no point."""
    unit = points[0][1].unit

    def reach(high: float | None, low: float | None) -> float:
        return 0.0 if high is None or low is None else max(high - low, 0.0)

    figure = go.Figure(
        go.Scatter(
            x=[label for label, _ in points],
            y=[one.value for _, one in points],
            text=["" if one.value is None else f"n {one.n}" for _, one in points],
            mode="lines+markers+text",
            textposition="middle right",
            connectgaps=False,
            line={"color": _TEAL},
            marker={"size": 9},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [reach(one.high, one.value) for _, one in points],
                "arrayminus": [reach(one.value, one.low) for _, one in points],
                "color": _TEAL,
                "thickness": 1.3,
            },
            hovertemplate="%{x}: %{y:.1f} " + unit + ", %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title=None)
    figure.update_yaxes(title=unit, rangemode="tozero")
    figure.update_layout(
        height=330,
        margin={"l": 10, "r": 10, "t": 20, "b": 20},
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
