"""The slide as a picture with the model's values over it, drawn in level-0 pixels.

Everything is placed in the slide's own frame: the thumbnail is stretched over it and every tile covers the rectangle
it was read from, to the last, partly filled one. Nearest neighbour; no value is drawn where there was no tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.services.story.planted import Outline
from core.services.viewing.display import ATTENTION_STOPS, PROBABILITY_STOPS, Cells, scale_bar_um

_HEIGHT_PX = (260, 620)
"""Lowest and highest picture."""
_ABOVE_PX = 92
"""Room above the picture for the zoom tools, and below them the colour bar with its title and numbers."""
_USUAL_WIDTH_PX = 640
"""Of the picture where the screen has room for it; its height follows from it."""
_COLOUR_BAR: dict[str, object] = {
    "orientation": "h",
    "x": 0.5,
    "xanchor": "center",
    "xpad": 0,
    "len": 0.9,
    "ticklabeloverflow": "allow",
    "y": 1,
    "yanchor": "bottom",
    "ypad": 4,
    "thickness": 12,
}
"""Above the picture: a narrow column makes the picture lower, and a bar beside it would stand out. Its ends leave room
for the numbers below them."""
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
    hidden = {
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "ticks": "",
        "constrain": "domain",
        "title": None,
    }
    figure.update_xaxes(range=[0, width], constraintoward="left", **hidden)
    figure.update_yaxes(range=[height, 0], scaleanchor="x", scaleratio=1, constraintoward="top", **hidden)
    # A point without ink: a figure without any trace would have no axes to put the picture into.
    figure.add_scatter(x=[0, width], y=[0, height], mode="markers", marker={"opacity": 0}, hoverinfo="skip")
    drawn_px = int(min(max(_USUAL_WIDTH_PX * height / width, _HEIGHT_PX[0]), _HEIGHT_PX[1]))
    figure.update_layout(
        width=min(int(drawn_px * width / height), _USUAL_WIDTH_PX),
        height=drawn_px + _ABOVE_PX,
        margin={"l": 0, "r": 0, "t": _ABOVE_PX, "b": 0},
        modebar={"bgcolor": "rgba(0,0,0,0)"},
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
    figure.add_heatmap(
        x=cells.x_edges,
        y=cells.y_edges,
        z=cells.from_threshold(threshold),
        zmin=0,
        zmax=1,
        zsmooth=False,
        opacity=opacity,
        colorscale=[[stop, f"rgb{colour}"] for stop, colour in PROBABILITY_STOPS],
        colorbar=_COLOUR_BAR | {"title": {"text": f"Probability of {name}", "side": "top"}, "tickformat": ".1f"},
        hoverongaps=False,
        hovertemplate=f"{name} %{{z:.2f}}<br>x %{{x:.0f}}, y %{{y:.0f}} px<extra></extra>",
    )


def add_attention(figure: go.Figure, cells: Cells, *, opacity: float) -> None:
    """Lay attention over the slide, from 0 to the highest of this slide, with a legend that no probability has.

    Args:
        figure: From `slide_figure`.
        cells: From `cells_of`.
        opacity: 0-1.
    """
    figure.add_heatmap(
        x=cells.x_edges,
        y=cells.y_edges,
        z=cells.relative_to_highest(),
        zmin=0,
        zmax=1,
        zsmooth=False,
        opacity=opacity,
        colorscale=[[stop, f"rgb{colour}"] for stop, colour in ATTENTION_STOPS],
        colorbar=_COLOUR_BAR
        | {
            "title": {"text": "Attention, relative to this slide", "side": "top"},
            "tickvals": [0, 1],
            "ticktext": ["0", "highest"],
        },
        hoverongaps=False,
        hovertemplate="attention %{z:.0%} of the highest here<br>x %{x:.0f}, y %{y:.0f} px<extra></extra>",
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


def add_outlines(figure: go.Figure, outlines: Sequence[Outline]) -> None:
    """Draw outlines with their names, in two colours on top of each other so that they show on any tissue."""
    for outline in outlines:
        xs, ys = [x for x, _ in outline.ring], [y for _, y in outline.ring]
        for colour, thickness in (("white", 4), ("#1c2a2e", 2)):
            figure.add_scatter(
                x=xs,
                y=ys,
                mode="lines",
                line={"color": colour, "width": thickness, "dash": "solid" if outline.is_lesion else "dot"},
                text=outline.name,
                hoverinfo="text",
            )


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
