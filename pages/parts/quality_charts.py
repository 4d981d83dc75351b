"""Charts of quality control: a line a slide over all features, features drawn as a map, and courses over time."""

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
    return _laid_out(figure, height=340)


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
            mode="markers",
            marker={
                "color": colour,
                "size": [13 if dot.is_outlier else 10 for dot in members],
                "symbol": ["diamond" if dot.is_outlier else "circle" for dot in members],
                "line": {"color": SIGNAL, "width": [2 if dot.is_outlier else 0 for dot in members]},
            },
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra>" + batch + "</extra>",
        )
    for update, title in ((figure.update_xaxes, axis_titles[0]), (figure.update_yaxes, axis_titles[1])):
        update(title=title, zeroline=False, showticklabels=False)
    return _laid_out(figure, height=360)


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
    return _laid_out(figure, height=310, dragmode=False)


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
    return _laid_out(figure, height=310, dragmode=False)


def _laid_out(figure: go.Figure, *, height: int, dragmode: str | bool = "select") -> go.Figure:
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
