"""Figures for paper: line, bar, scatter and heat-table charts as PNG, drawn without any shared state.

Lines differ by dash and marker as well as by colour, so that a black-and-white print can be read. Colours are those of
M. Okabe and K. Ito (2008), which people with colour-blindness tell apart.
"""
# matplotlib leaves the **kwargs of nearly every method untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DPI = 160
FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Points of one line or one cloud."""

    name: str
    x: FloatArray
    y: FloatArray
    low: FloatArray | None = None
    """Lower end of an interval around y; drawn as a band or as bars."""
    high: FloatArray | None = None


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
    points: Sequence[Series] = (),
    vertical: float | None = None,
    size_in: tuple[float, float] = (5.0, 3.6),
) -> bytes:
    """Draw lines, with bands where they have intervals, and return a PNG.

    Args:
        series: The lines.
        x_label: Of the horizontal axis, with its unit.
        y_label: Of the vertical axis, with its unit.
        x_range: Ends of the axis; None = by the data.
        y_range: As `x_range`.
        diagonal: Whether y = x is drawn, as on a ROC or a calibration plot.
        points: Drawn as markers over the lines, for instance readers on a ROC.
        vertical: Where a vertical line stands, for instance a threshold.
        size_in: Width and height in inches.
    """
    canvas, axes = _axes(x_label, y_label, size_in=size_in)
    if diagonal:
        axes.axline((0, 0), slope=1, color="#999999", linewidth=0.8)
    for index, one in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(one.x, one.y, DASHES[index % len(DASHES)], color=colour, label=one.name, linewidth=1.6)
        if one.low is not None and one.high is not None:
            axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.18, linewidth=0)
    _scatter(axes, points, first=len(series))
    if vertical is not None:
        axes.axvline(vertical, color="#444444", linestyle=":", linewidth=1.0)
    _ranges(axes, x_range, y_range)
    return _png(canvas, axes, legend=len(series) + len(points) > 1)


def scatter_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
    size_in: tuple[float, float] = (5.0, 3.6),
) -> bytes:
    """Draw clouds of points and return a PNG; arguments as for `line_chart`."""
    canvas, axes = _axes(x_label, y_label, size_in=size_in)
    if diagonal:
        axes.axline((0, 0), slope=1, color="#999999", linewidth=0.8)
    _scatter(axes, series, first=0)
    _ranges(axes, x_range, y_range)
    return _png(canvas, axes, legend=len(series) > 1)


def bar_chart(
    names: Sequence[str],
    values: FloatArray,
    *,
    x_label: str,
    low: FloatArray | None = None,
    high: FloatArray | None = None,
    x_range: tuple[float, float] | None = None,
    width_in: float = 5.0,
) -> bytes:
    """Draw horizontal bars, the first on top, with intervals where they are given, and return a PNG."""
    canvas, axes = _axes(x_label, "", size_in=(width_in, 0.8 + 0.3 * max(len(names), 1)))
    places = np.arange(len(names))
    errors = None if low is None or high is None else np.clip(np.stack([values - low, high - values]), 0, None)
    axes.barh(places, values, color=COLOURS[0], xerr=errors, error_kw={"elinewidth": 1.0, "capsize": 2.5})
    axes.set_yticks(places, labels=list(names))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    _ranges(axes, x_range, None)
    return _png(canvas, axes, legend=False)


def heat_table(
    values: FloatArray,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    limits: tuple[float, float] = (0.0, 1.0),
    decimals: int = 2,
) -> bytes:
    """Draw a table of numbers coloured by value, with a colour bar, and return a PNG.

    Args:
        values: (R, C); NaN cells stay blank.
        rows: R names.
        columns: C names.
        label: What the colour means, with its unit.
        limits: Values at the ends of the colours.
        decimals: Of the numbers written into the cells.
    """
    canvas = _canvas((1.6 + 0.55 * len(columns), 1.2 + 0.32 * len(rows)))
    axes = canvas.add_subplot()
    picture = axes.imshow(values, cmap="cividis", vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_xticks(np.arange(len(columns)), labels=list(columns), rotation=45, ha="right", fontsize=7)
    axes.set_yticks(np.arange(len(rows)), labels=list(rows), fontsize=7)
    middle = (limits[0] + limits[1]) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if value > middle else "white"
            axes.text(column, row, f"{value:.{decimals}f}", ha="center", va="center", fontsize=6.5, color=colour)
    canvas.colorbar(picture, ax=axes, label=label)
    return _encoded(canvas)


def _canvas(size_in: tuple[float, float]) -> Canvas:
    # Imported late, as in `core.documents.to_pdf`.
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=size_in, dpi=DPI, layout="constrained")


def _axes(x_label: str, y_label: str, *, size_in: tuple[float, float]) -> tuple[Canvas, Axes]:
    canvas = _canvas(size_in)
    axes = canvas.add_subplot()
    axes.set_xlabel(x_label, fontsize=8)
    axes.set_ylabel(y_label, fontsize=8)
    axes.tick_params(labelsize=7.5)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return canvas, axes


def _scatter(axes: Axes, series: Sequence[Series], *, first: int) -> None:
    for index, one in enumerate(series, start=first):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        if one.low is not None and one.high is not None:
            spread = np.clip(np.stack([one.y - one.low, one.high - one.y]), 0, None)
            axes.errorbar(one.x, one.y, yerr=spread, fmt="none", ecolor=colour, elinewidth=0.9, capsize=2)
        axes.scatter(one.x, one.y, s=18, color=colour, marker=marker, label=one.name, zorder=3)


def _ranges(axes: Axes, x_range: tuple[float, float] | None, y_range: tuple[float, float] | None) -> None:
    if x_range is not None:
        axes.set_xlim(*x_range)
    if y_range is not None:
        axes.set_ylim(*y_range)


def _png(canvas: Canvas, axes: Axes, *, legend: bool) -> bytes:
    if legend:
        axes.legend(fontsize=7, frameon=False)
    return _encoded(canvas)


def _encoded(canvas: Canvas) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(canvas).print_png(buffer)
    return buffer.getvalue()
