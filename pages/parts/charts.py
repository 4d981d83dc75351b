"""The slide as a picture with the model's values over it, drawn in level-0 pixels.

Everything is placed in the slide's own frame: the thumbnail is stretched over it and every tile covers the rectangle
it was read from, to the last, partly filled one. Nearest neighbour; no value is drawn where there was no tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.heatmap import PROBABILITY_STOPS

FIGURE_HEIGHT_PX = 560
_SCALE_STEPS = (1, 2, 5)
_SCALE_SHARE = 0.22
"""Longest part of the slide's width that the scale bar may take."""
CONFIG: dict[str, object] = {
    "displaylogo": False,
    "scrollZoom": True,
    # No picture export from here: exports carry the two sentences, and this button's picture would not.
    "modeBarButtonsToRemove": ["toImage", "select2d", "lasso2d", "autoScale2d"],
}


@dataclass(frozen=True, slots=True)
class Marker:
    """A numbered place on the slide."""

    number: int
    x: float
    """Level-0 pixels, as y."""
    y: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Tile values on the grid of all tile borders."""

    x_edges: NDArray[np.float64]
    """(columns + 1,) level-0 px, ascending, none beyond the slide."""
    y_edges: NDArray[np.float64]
    """(rows + 1,)"""
    values: NDArray[np.float64]
    """(rows, columns); NaN where no tile lies; the mean where tiles overlap."""


def cells_of(tiles: pd.DataFrame, *, column: str, width: int, height: int) -> Cells:
    """Put tile values on the grid of their borders, exactly.

    Args:
        tiles: Columns x, y, width, height in level-0 px, and `column`.
        column: Which value.
        width: Slide width in level-0 px; tiles that reach beyond are cut there, as the slide is.
        height: Slide height in level-0 px.
    """
    left, top = tiles["x"].to_numpy(np.float64), tiles["y"].to_numpy(np.float64)
    right = np.minimum(left + tiles["width"].to_numpy(np.float64), width)
    bottom = np.minimum(top + tiles["height"].to_numpy(np.float64), height)
    x_edges, y_edges = np.unique(np.concatenate([left, right])), np.unique(np.concatenate([top, bottom]))
    total = np.zeros((max(len(y_edges) - 1, 0), max(len(x_edges) - 1, 0)))
    count = np.zeros_like(total)
    spans = zip(
        np.searchsorted(x_edges, left),
        np.searchsorted(x_edges, right),
        np.searchsorted(y_edges, top),
        np.searchsorted(y_edges, bottom),
        tiles[column].to_numpy(np.float64),
        strict=True,
    )
    for first_column, last_column, first_row, last_row, value in spans:
        total[first_row:last_row, first_column:last_column] += value
        count[first_row:last_row, first_column:last_column] += 1
    values = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return Cells(x_edges, y_edges, values)


def slide_figure(image_url: str, *, width: int, height: int, mpp_x: float | None) -> go.Figure:
    """Return the slide's thumbnail in its level-0 frame, with a scale bar where the scale is known.

    Args:
        image_url: `data:` address of the thumbnail of the whole slide.
        width: Level-0 px.
        height: Level-0 px.
        mpp_x: um per level-0 px, or None: then there is no bar, and the page says so.
    """
    figure = go.Figure()
    figure.add_layout_image(
        source=image_url,
        xref="x",
        yref="y",
        x=0,
        y=0,
        sizex=width,
        sizey=height,
        xanchor="left",
        yanchor="top",
        sizing="stretch",
        layer="below",
    )
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "constrain": "domain", "title": None}
    figure.update_xaxes(range=[0, width], **hidden)
    figure.update_yaxes(range=[height, 0], scaleanchor="x", scaleratio=1, **hidden)
    # A point without ink: a figure without any trace would have no axes to put the picture into.
    figure.add_scatter(x=[0, width], y=[0, height], mode="markers", marker={"opacity": 0}, hoverinfo="skip")
    figure.update_layout(
        height=FIGURE_HEIGHT_PX,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode="pan",
        showlegend=False,
    )
    if mpp_x:
        _add_scale_bar(figure, width=width, height=height, mpp_x=mpp_x)
    return figure


def add_heatmap(figure: go.Figure, cells: Cells, *, name: str, threshold: float, opacity: float) -> None:
    """Lay tile probabilities over the slide.

    Args:
        figure: From `slide_figure`.
        cells: From `cells_of`.
        name: Class the probability is of.
        threshold: Tiles below this are left clear.
        opacity: 0-1.
    """
    shown = np.where(cells.values >= threshold, cells.values, np.nan)
    figure.add_heatmap(
        x=cells.x_edges,
        y=cells.y_edges,
        z=shown,
        zmin=0,
        zmax=1,
        zsmooth=False,
        opacity=opacity,
        colorscale=[[stop, f"rgb{colour}"] for stop, colour in PROBABILITY_STOPS],
        colorbar={"title": {"text": f"Probability of {name}", "side": "right"}, "thickness": 14, "tickformat": ".1f"},
        hoverongaps=False,
        hovertemplate=f"{name} %{{z:.2f}}<br>x %{{x:.0f}}, y %{{y:.0f}} px<extra></extra>",
    )


def add_markers(figure: go.Figure, markers: Sequence[Marker]) -> None:
    """Put numbered rings on the slide."""
    if not markers:
        return
    figure.add_scatter(
        x=[marker.x for marker in markers],
        y=[marker.y for marker in markers],
        text=[str(marker.number) for marker in markers],
        customdata=[marker.text for marker in markers],
        mode="markers+text",
        textfont={"color": "white", "size": 13},
        marker={"size": 24, "color": "rgba(15,60,75,0.85)", "line": {"color": "white", "width": 2}},
        hovertemplate="%{customdata}<extra></extra>",
    )


def scale_bar_um(width_um: float) -> float:
    """Return the longest of 1, 2 or 5 x 10^k um that fits into its share of the slide's width."""
    longest = width_um * _SCALE_SHARE
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in _SCALE_STEPS if step * power <= longest * (1 + 1e-9)))


def _add_scale_bar(figure: go.Figure, *, width: int, height: int, mpp_x: float) -> None:
    length_um = scale_bar_um(width * mpp_x)
    left, right, y = width * 0.03, width * 0.03 + length_um / mpp_x, height * 0.965
    label = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    for colour, thickness in (("white", 7), ("#1c2a2e", 3)):
        figure.add_shape(type="line", x0=left, x1=right, y0=y, y1=y, line={"color": colour, "width": thickness})
    figure.add_annotation(
        x=(left + right) / 2,
        y=y,
        text=label,
        showarrow=False,
        yshift=14,
        bgcolor="rgba(255,255,255,0.8)",
        font={"color": "#1c2a2e", "size": 12},
        borderpad=2,
    )
