"""Pictures of agreement: the heat table of readers, statistics with their intervals, confidence against agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.server.identity import short_name
from core.services.agreement.view import CaseSpread, ConfidenceLevel, Estimate, PairAgreement

CONFIG: dict[str, object] = {"displaylogo": False, "displayModeBar": False}
_SCALE = [[0.0, "#f3e3d3"], [0.5, "#8fb9bd"], [1.0, "#0b4f5c"]]
"""From no agreement beyond chance to full agreement; light to dark, so that a grey print reads the same way."""
_TEAL, _ORANGE, _GREY = "#0f6b78", "#d1704a", "#8a9498"
_CELL_PX = (38, 64)
"""Smallest and largest cell of the heat table."""
_SHORT = 18
"""Characters of a reader's name on an axis."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One line of a plot of intervals."""

    label: str
    estimate: Estimate
    accent: bool = False


def heat_table(
    readers: Sequence[str], pairs: Sequence[PairAgreement], reads: Mapping[str, int], *, kappa: str
) -> go.Figure:
    """Return readers x readers: kappa below the diagonal, AC1 above it, on it the number of reads.

    Args:
        readers: In order.
        pairs: Every two of them.
        reads: Reads of each reader.
        kappa: Which of a pair's kappas.
    """
    place = {reader: index for index, reader in enumerate(readers)}
    size = len(readers)
    values: list[list[float | None]] = [[None] * size for _ in readers]
    texts = [[""] * size for _ in readers]
    told = [[""] * size for _ in readers]
    for reader, index in place.items():
        told[index][index] = f"{short_name(reader)}: {reads.get(reader, 0)} reads"
    for pair in pairs:
        first, second = sorted((place[pair.first], place[pair.second]))
        for row, column, name in ((second, first, kappa), (first, second, "ac1")):
            value = pair.statistics[name].value
            values[row][column] = value
            texts[row][column] = "-" if value is None else f"{value:.2f}"
            told[row][column] = _told(pair, kappa=kappa)
    cell = min(max(760 // max(size, 1), _CELL_PX[0]), _CELL_PX[1])
    names = [_short(reader) for reader in readers]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(size)),
            y=list(range(size)),
            zmin=0,
            zmax=1,
            colorscale=_SCALE,
            text=texts,
            texttemplate="%{text}",
            textfont={"size": 14 if cell > 50 else 11},
            customdata=told,
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=True,
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "Kappa (below), AC1 (above)", "side": "right"}, "thickness": 14},
        )
    )
    # The diagonal has no value and so no cell; its number of reads is written all the same.
    for reader, index in place.items():
        figure.add_annotation(
            x=index, y=index, text=f"n {reads.get(reader, 0)}", showarrow=False, font={"size": 11 if cell > 50 else 9}
        )
    ticks = {"tickmode": "array", "tickvals": list(range(size)), "ticktext": names, "showgrid": False}
    figure.update_xaxes(side="top", tickangle=-40, zeroline=False, **ticks)
    figure.update_yaxes(autorange="reversed", zeroline=False, **ticks)
    figure.update_layout(
        height=cell * size + 150, width=cell * size + 260, margin={"l": 10, "r": 10, "t": 110, "b": 10}
    )
    return _clear(figure)


def interval_plot(dots: Sequence[Dot], *, title: str, zero: bool = False) -> go.Figure:
    """Return one line a statistic: the value as a dot, its interval as a bar."""
    shown = [dot for dot in dots if dot.estimate.value is not None]
    figure = go.Figure()
    for accent, colour in ((False, _TEAL), (True, _ORANGE)):
        some = [dot for dot in shown if dot.accent is accent]
        figure.add_scatter(
            x=[dot.estimate.value for dot in some],
            y=[dot.label for dot in some],
            mode="markers",
            marker={"size": 9, "color": colour},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_reach(dot.estimate.high, dot.estimate.value) for dot in some],
                "arrayminus": [_reach(dot.estimate.value, dot.estimate.low) for dot in some],
                "color": colour,
                "thickness": 1.6,
            },
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
            showlegend=False,
        )
    figure.update_yaxes(
        categoryorder="array", categoryarray=[dot.label for dot in reversed(shown)], title=None, automargin=True
    )
    figure.update_xaxes(title=title, zeroline=zero, zerolinecolor=_GREY)
    if zero:
        figure.add_vline(x=0, line={"color": _GREY, "dash": "dot", "width": 1})
    figure.update_layout(height=90 + 27 * len(shown), margin={"l": 10, "r": 20, "t": 10, "b": 40})
    return _clear(figure)


def confidence_plot(levels: Sequence[ConfidenceLevel]) -> go.Figure:
    """Return how often reads of each stated confidence agree with the others, with Wilson intervals and n."""
    figure = go.Figure(
        go.Scatter(
            x=[level.confidence for level in levels],
            y=[level.agreeing.value for level in levels],
            text=[f"n {level.agreeing.of}" for level in levels],
            mode="markers+text",
            textposition="top right",
            marker={"size": 10, "color": _TEAL},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [_reach(level.agreeing.high, level.agreeing.value) for level in levels],
                "arrayminus": [_reach(level.agreeing.value, level.agreeing.low) for level in levels],
                "color": _TEAL,
            },
            hovertemplate="confidence %{x}: %{y:.0%} agree, %{text}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_xaxes(title="Confidence stated (1 guess, 5 certain)", range=[0.5, 5.7], dtick=1)
    figure.update_yaxes(title="Agrees with the others", range=[0, 1.05], tickformat=".0%")
    figure.update_layout(height=330, margin={"l": 10, "r": 10, "t": 10, "b": 40})
    return _clear(figure)


def spread_plot(cases: Sequence[CaseSpread], categories: Sequence[str]) -> go.Figure:
    """Return a bar a case: how many readers gave each category, least severe first."""
    figure = go.Figure()
    for index, category in enumerate(categories):
        part = index / max(len(categories) - 1, 1)
        figure.add_bar(
            y=[case.case for case in cases],
            x=[case.counts[index] for case in cases],
            name=category,
            orientation="h",
            marker={"color": f"rgb({_mix(part)})", "line": {"width": 0}},
            hovertemplate=f"%{{y}}: %{{x}} readers said {category}<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", type="category", title=None, automargin=True)
    figure.update_xaxes(title="Readers")
    figure.update_layout(
        barmode="stack",
        height=110 + 19 * len(cases),
        margin={"l": 10, "r": 10, "t": 40, "b": 40},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        bargap=0.15,
    )
    return _clear(figure)


def _mix(part: float) -> str:
    """Return a colour between light teal (0) and strong orange (1); the categories are ordinal."""
    low, high = (158, 201, 205), (178, 70, 30)
    return ", ".join(str(round(a + (b - a) * part)) for a, b in zip(low, high, strict=True))


def _told(pair: PairAgreement, *, kappa: str) -> str:
    lines = [f"<b>{short_name(pair.first)}</b> and <b>{short_name(pair.second)}</b>, n {pair.cases} cases"]
    for name, title in ((kappa, "kappa"), ("ac1", "AC1"), ("po", "Po")):
        one = pair.statistics[name]
        if one.value is None:
            lines.append(f"{title}: {one.reason}")
        else:
            interval = "" if one.low is None or one.high is None else f" ({one.low:.2f} to {one.high:.2f})"
            lines.append(f"{title} {one.value:.2f}{interval}")
    return "<br>".join(lines)


def _reach(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(high - low, 0.0)


def _short(reader: str) -> str:
    name = short_name(reader)
    return name if len(name) <= _SHORT else f"{name[: _SHORT - 1]}…"


def _clear(figure: go.Figure) -> go.Figure:
    return figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
