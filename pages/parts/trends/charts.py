"""Charts of quality over time and between batches: medians with quantiles, shares, and control limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from pages.parts.quality.charts import MUTED, PALETTE, SIGNAL, laid_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One group of a course: a day, a scanner or a stain."""

    label: str
    n: int
    low: float | None
    """Lower quantile."""
    middle: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A share of the slides of one group, with its interval."""

    label: str
    share: float | None
    """None where there is nothing to take a share of."""
    low: float | None
    high: float | None
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Centre and limits of a course, one a group."""

    centre: float
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    signals: frozenset[int]
    """Places of the groups that are a signal."""


def course_figure(steps: Sequence[Step], *, title: str, form: str, control: Control | None) -> go.Figure:
    """Return medians with their quantiles, group by group, and the control limits as dashed steps.

    Args:
        steps: In their order; groups without a value are left out.
        title: Of the value axis, with its unit.
        form: Format of the values, such as `.0%`.
        control: Limits of the same groups; None where groups have no order in time.
    """
    figure = go.Figure()
    if control is not None:
        _add_limits(figure, [step.label for step in steps], control)
    signals = control.signals if control else frozenset[int]()
    shown = [(place, step) for place, step in enumerate(steps) if step.middle is not None]
    figure.add_scatter(
        x=[step.label for _, step in shown],
        y=[step.middle for _, step in shown],
        customdata=[(step.label, step.n) for _, step in shown],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [(step.high or 0) - (step.middle or 0) for _, step in shown],
            "arrayminus": [(step.middle or 0) - (step.low or 0) for _, step in shown],
            "thickness": 1.4,
            "width": 5,
            "color": MUTED,
        },
        mode="lines+markers" if control else "markers",
        line={"color": PALETTE[0], "width": 1.4},
        marker={
            "color": [SIGNAL if place in signals else PALETTE[0] for place, _ in shown],
            "symbol": ["diamond" if place in signals else "circle" for place, _ in shown],
            "size": [13 if place in signals else 10 for place, _ in shown],
        },
        hovertemplate=f"<b>%{{x}}</b><br>median %{{y:{form}}}<br>n = %{{customdata[1]}}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(type="category", title=None, **_order(steps))
    figure.update_yaxes(title=title, tickformat=form)
    return laid_out(figure, height=310, dragmode=False)


def _order(steps: Sequence[Step]) -> dict[str, object]:
    return {"categoryorder": "array", "categoryarray": [step.label for step in steps]}


def _add_limits(figure: go.Figure, labels: Sequence[str], control: Control) -> None:
    """Add centre and limits; a limit that is not known leaves a gap."""
    lines = {"upper limit": control.high, "centre": [control.centre] * len(labels), "lower limit": control.low}
    for name, values in lines.items():
        figure.add_scatter(
            x=list(labels),
            y=list(values),
            name=name,
            mode="lines",
            line={"color": MUTED, "dash": "dot" if name == "centre" else "dash", "width": 1.4, "shape": "hvh"},
            hovertemplate=name + " %{y:.3f}<extra></extra>",
            showlegend=False,
        )


def share_figure(bars: Sequence[Bar], *, title: str, control: Control | None) -> go.Figure:
    """Return shares with their intervals, a bar a group, and how many slides each is of.

    Args:
        bars: In their order.
        title: Of the value axis.
        control: Limits of the same groups; None where groups have no order in time.
    """
    figure = go.Figure()
    signals = control.signals if control else frozenset[int]()
    figure.add_bar(
        x=[bar.label for bar in bars],
        y=[bar.share for bar in bars],
        customdata=[(bar.label, bar.of) for bar in bars],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [(bar.high or 0) - (bar.share or 0) for bar in bars],
            "arrayminus": [(bar.share or 0) - (bar.low or 0) for bar in bars],
            "thickness": 1.4,
            "width": 4,
            "color": MUTED,
        },
        width=[min(0.8, 0.12 * len(bars))] * len(bars),
        marker={"color": [SIGNAL if place in signals else PALETTE[4] for place in range(len(bars))]},
        hovertemplate="<b>%{x}</b><br>%{y:.0%} of %{customdata[1]}<extra></extra>",
        showlegend=False,
    )
    if control is not None:
        _add_limits(figure, [bar.label for bar in bars], control)
    for bar in bars:
        figure.add_annotation(x=bar.label, y=1.06, text=f"n {bar.of}", showarrow=False, font={"size": 11})
    order = {"categoryorder": "array", "categoryarray": [bar.label for bar in bars]}
    figure.update_xaxes(type="category", title=None, **order)
    figure.update_yaxes(title=title, tickformat=".0%", range=[0, 1.12])
    return laid_out(figure, height=310, dragmode=False)
