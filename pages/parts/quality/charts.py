"""Charts of a cohort's quality: a line a slide over all features, and features drawn as a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a5ba8", "#8c6d46")
"""Of batches: the colours of Okabe and Ito (2008) and two more; told apart with any colour vision."""
MUTED = "#8a979b"
"""Of slides without a batch, and of limits."""
SIGNAL = "#c1121f"
"""Of outliers and of signals."""
MOST_LINES = 1500
"""Lines drawn at once; more cannot be told apart, and slow the browser down."""
_BUTTONS = ["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]
CONFIG: dict[str, object] = {"displaylogo": False, "modeBarButtonsToRemove": _BUTTONS}
"""No picture export from here: exports carry the two sentences, and this button's picture would not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One slide over all axes."""

    slide_id: str
    batch: str
    values: tuple[float | None, ...]
    """One an axis, in the axis's own unit; None where it was not measured."""
    outlying: frozenset[int]
    """Axes on which the slide is an outlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One feature of the parallel coordinates."""

    title: str
    low: float
    """Value at the foot of the axis."""
    high: float
    form: str
    """Format of its values, such as `.0%`."""

    def place(self, value: float) -> float:
        """Return where a value stands, 0 at the foot and 1 at the head."""
        return 0.5 if self.high <= self.low else (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One slide on a map of features."""

    slide_id: str
    batch: str
    x: float
    y: float
    is_outlier: bool


def batch_colours(batches: Sequence[str]) -> Mapping[str, str]:
    """Return a colour for every batch, in their order; those beyond the palette share one grey."""
    return {batch: PALETTE[i] if i < len(PALETTE) else MUTED for i, batch in enumerate(dict.fromkeys(batches))}


def parallel_figure(axes: Sequence[Axis], lines: Sequence[Line], *, colours: Mapping[str, str]) -> go.Figure:
    """Return one line a slide over all features; a box drawn over an axis chooses the slides within it.

    Args:
        axes: In the order they are drawn.
        lines: The slides; where there are too many, those with outliers are drawn first.
        colours: Batch -> colour.
    """
    figure = go.Figure()
    shown = sorted(lines, key=lambda line: not line.outlying)[:MOST_LINES]
    for batch, colour in colours.items():
        _add_lines(figure, axes, [line for line in shown if line.batch == batch], name=batch, colour=colour)
    _add_outlying(figure, axes, shown)
    for position, axis in enumerate(axes):
        figure.add_shape(type="line", x0=position, x1=position, y0=0, y1=1, line={"color": MUTED, "width": 1})
        for y, value in ((-0.07, axis.low), (1.07, axis.high)):
            text = format(value, axis.form)
            figure.add_annotation(x=position, y=y, text=text, showarrow=False, font={"size": 11})
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[axis.title for axis in axes],
        range=[-0.4, len(axes) - 0.6],
        tickangle=0,
        tickfont={"size": 12},
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(visible=False, range=[-0.12, 1.12], fixedrange=True)
    return laid_out(figure, height=340)


def _add_lines(figure: go.Figure, axes: Sequence[Axis], lines: Sequence[Line], *, name: str, colour: str) -> None:
    """Add slides as one trace, parted by gaps: a trace each would be slow."""
    if not lines:
        return
    x: list[int | None] = []
    y: list[float | None] = []
    told: list[tuple[str, str]] = []
    for line in lines:
        for position, (axis, value) in enumerate(zip(axes, line.values, strict=True)):
            x.append(position)
            y.append(None if value is None else axis.place(value))
            measured = "not measured" if value is None else format(value, axis.form)
            told.append((line.slide_id, f"{axis.title}: {measured}"))
        x.append(None)
        y.append(None)
        told.append((line.slide_id, ""))
    figure.add_scatter(
        x=x,
        y=y,
        customdata=told,
        name=name,
        mode="lines+markers",
        opacity=0.75,
        line={"color": colour, "width": 1.4},
        marker={"color": colour, "size": 5},
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
    )


def _add_outlying(figure: go.Figure, axes: Sequence[Axis], lines: Sequence[Line]) -> None:
    """Mark the values that make a slide an outlier, on the very axis."""
    marked = [
        (line, place, value)
        for line in lines
        for place in sorted(line.outlying)
        if (value := line.values[place]) is not None
    ]
    if not marked:
        return
    figure.add_scatter(
        x=[place for _, place, _ in marked],
        y=[axes[place].place(value) for _, place, value in marked],
        customdata=[
            (line.slide_id, f"{axes[place].title}: {format(value, axes[place].form)}, an outlier")
            for line, place, value in marked
        ],
        name="outlier on this axis",
        mode="markers",
        marker={"symbol": "diamond-open", "size": 12, "color": SIGNAL, "line": {"width": 2}},
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
    )


def embedding_figure(dots: Sequence[Dot], *, colours: Mapping[str, str], axis_titles: tuple[str, str]) -> go.Figure:
    """Return slides as points; those that lie near each other are alike in quality.

    Args:
        dots: The slides.
        colours: Batch -> colour.
        axis_titles: What the two axes are.
    """
    figure = go.Figure()
    for batch, colour in colours.items():
        members = [dot for dot in dots if dot.batch == batch]
        if not members:
            continue
        figure.add_scatter(
            x=[dot.x for dot in members],
            y=[dot.y for dot in members],
            customdata=[(dot.slide_id, "outlier" if dot.is_outlier else "") for dot in members],
            name=batch,
            legendgroup=batch,
            showlegend=False,
            mode="markers",
            marker={
                "color": colour,
                "size": [13 if dot.is_outlier else 10 for dot in members],
                "symbol": ["diamond" if dot.is_outlier else "circle" for dot in members],
                "line": {"color": SIGNAL, "width": [2 if dot.is_outlier else 0 for dot in members]},
            },
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra>" + batch + "</extra>",
        )
        # The legend would take the look of the first slide, which may be an outlier.
        _add_key(figure, batch, group=batch, marker={"color": colour, "size": 10})
    if any(dot.is_outlier for dot in dots):
        rim = {"symbol": "diamond-open", "size": 12, "color": SIGNAL, "line": {"width": 2}}
        _add_key(figure, "outlier", group="outlier", marker=rim)
    for update, title in ((figure.update_xaxes, axis_titles[0]), (figure.update_yaxes, axis_titles[1])):
        update(title=title, zeroline=False, showticklabels=False)
    return laid_out(figure, height=360)


def _add_key(figure: go.Figure, name: str, *, group: str, marker: Mapping[str, object]) -> None:
    """Add a line of the legend."""
    figure.add_scatter(x=[None], y=[None], name=name, legendgroup=group, mode="markers", marker=dict(marker))


def laid_out(figure: go.Figure, *, height: int, dragmode: str | bool = "select") -> go.Figure:
    """Return a figure as all charts of quality look.

    Args:
        figure: Changed in place.
        height: Pixels.
        dragmode: What dragging does; False leaves clicks alone.
    """
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        modebar={"bgcolor": "rgba(0,0,0,0)"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode=dragmode,
        clickmode="event+select",
    )
    return figure
