"""Pictures of an evaluation: ROC and precision-recall curves, reliability, the threshold's trade-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.evaluation.calibration import Calibration
from core.evaluation.operating import Operating
from core.services.evaluation.values import ReaderPoint

CONFIG: dict[str, object] = {"displaylogo": False, "displayModeBar": False}
_TEAL, _ORANGE, _GREY = "#0f8a9b", "#d1704a", "#8a9498"
_SIDE_PX = 400


@dataclass(frozen=True, slots=True)
class Curve:
    """A model's curve with its name in the legend."""

    name: str
    operating: Operating


@dataclass(frozen=True, slots=True)
class Spot:
    """A point on a curve, with what stands beside the pointer."""

    x: float
    y: float
    text: str


def roc_figure(curves: Sequence[Curve], *, spot: Spot | None = None, readers: Sequence[ReaderPoint] = ()) -> go.Figure:
    """Return sensitivity over false positive rate; readers are points with their names.

    Args:
        curves: The first in the accent colour.
        spot: The threshold chosen.
        readers: Those whose sensitivity and specificity are both defined are drawn.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": _GREY, "dash": "dot", "width": 1},
        name="chance",
        hoverinfo="skip",
    )
    for curve, colour in zip(curves, (_TEAL, _ORANGE), strict=False):
        of = curve.operating
        figure.add_scatter(
            x=of.false_positive_rate,
            y=of.sensitivity,
            customdata=of.thresholds,
            mode="lines",
            line={"color": colour, "width": 2.5, "shape": "linear"},
            name=curve.name,
            hovertemplate="from %{customdata:.3f} on<br>sensitivity %{y:.3f}<br>FPR %{x:.3f}<extra></extra>",
        )
    drawn = [
        (one, one.specificity.value, one.sensitivity.value)
        for one in readers
        if one.specificity.value is not None and one.sensitivity.value is not None
    ]
    if drawn:
        figure.add_scatter(
            x=[1 - specificity for _, specificity, _ in drawn],
            y=[sensitivity for _, _, sensitivity in drawn],
            text=[one.reader for one, _, _ in drawn],
            customdata=[one.n for one, _, _ in drawn],
            mode="markers",
            marker={"symbol": "diamond", "size": 11, "color": _ORANGE, "line": {"color": "white", "width": 1}},
            name="readers",
            hovertemplate="%{text}, %{customdata} cases<br>sensitivity %{y:.3f}<br>FPR %{x:.3f}<extra></extra>",
        )
    _add_spot(figure, spot)
    return _square(figure, x="False positive rate (1 - specificity)", y="Sensitivity")


def precision_recall_figure(curves: Sequence[Curve], *, spot: Spot | None = None) -> go.Figure:
    """Return precision over recall, with the precision of calling everything."""
    figure = go.Figure()
    for curve, colour in zip(curves, (_TEAL, _ORANGE), strict=False):
        of = curve.operating
        figure.add_scatter(
            x=of.sensitivity[1:],
            y=of.precision[1:],
            customdata=of.thresholds[1:],
            mode="lines",
            # Between two thresholds precision is not a straight line; steps promise nothing that was not measured.
            line={"color": colour, "width": 2.5, "shape": "vh"},
            name=curve.name,
            hovertemplate="from %{customdata:.3f} on<br>precision %{y:.3f}<br>recall %{x:.3f}<extra></extra>",
        )
    if curves and curves[0].operating.positives:
        of = curves[0].operating
        share = of.positives / (of.positives + of.negatives)
        figure.add_scatter(
            x=[0, 1],
            y=[share, share],
            mode="lines",
            line={"color": _GREY, "dash": "dot", "width": 1},
            name=f"calling everything ({share:.2f})",
            hoverinfo="skip",
        )
    _add_spot(figure, spot)
    return _square(figure, x="Recall (sensitivity)", y="Precision (PPV)")


def calibration_figure(found: Calibration) -> go.Figure:
    """Return the observed frequency over the stated score, with Wilson intervals and the number in each bin."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": _GREY, "dash": "dot", "width": 1},
        name="ideal",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[one.mean_probability for one in found.bins],
        y=[one.frequency for one in found.bins],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one.frequency_high - one.frequency for one in found.bins],
            "arrayminus": [one.frequency - one.frequency_low for one in found.bins],
            "color": _TEAL,
            "thickness": 1.2,
        },
        customdata=[(one.n, one.positives) for one in found.bins],
        text=[f"{one.n:,}" for one in found.bins],
        textposition="top left",
        mode="lines+markers+text",
        line={"color": _TEAL, "width": 2},
        marker={"size": 9, "color": _TEAL},
        name="observed",
        hovertemplate="stated %{x:.2f}, found %{y:.2f}<br>%{customdata[1]} of %{customdata[0]}<extra></extra>",
    )
    return _square(figure, x="Score stated", y="Share with the target")


def cost_figure(operating: Operating, *, cost: float, threshold: float) -> go.Figure:
    """Return the cost of every threshold and the share that it calls."""
    figure = go.Figure()
    inside = operating.thresholds <= 1
    figure.add_scatter(
        x=operating.thresholds[inside],
        y=operating.cost(cost)[inside],
        mode="lines",
        line={"color": _ORANGE, "width": 2.5, "shape": "hv"},
        name="cost",
        hovertemplate="from %{x:.3f} on: cost %{y:.0f}<extra></extra>",
    )
    figure.add_scatter(
        x=operating.thresholds[inside],
        y=100 * operating.flag_rate[inside],
        yaxis="y2",
        mode="lines",
        line={"color": _TEAL, "width": 2, "dash": "dash", "shape": "hv"},
        name="called, %",
        hovertemplate="from %{x:.3f} on: %{y:.0f} %% called<extra></extra>",
    )
    figure.add_vline(x=threshold, line={"color": _GREY, "width": 1.5})
    figure.update_layout(
        # Ticks of its own: those of the left axis would fall on odd shares.
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "range": [0, 102],
            "tickmode": "linear",
            "dtick": 20,
            "title": "Called, %",
            "showgrid": False,
        }
    )
    _dress(figure, x="Threshold", y="Cost, in false alarms")
    figure.update_xaxes(range=[0, 1])
    return figure


def _add_spot(figure: go.Figure, spot: Spot | None) -> None:
    if spot is not None:
        figure.add_scatter(
            x=[spot.x],
            y=[spot.y],
            mode="markers",
            marker={"size": 13, "color": "rgba(0,0,0,0)", "line": {"color": _ORANGE, "width": 3}},
            name=spot.text,
            hovertemplate=f"{spot.text}<extra></extra>",
        )


def _square(figure: go.Figure, *, x: str, y: str) -> go.Figure:
    _dress(figure, x=x, y=y)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.02, 1.04])
    return figure


def _dress(figure: go.Figure, *, x: str, y: str) -> None:
    figure.update_layout(
        height=_SIDE_PX,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title=x,
        yaxis_title=y,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode=False,
    )
