"""Charts of the explanation page: scores while tiles are taken away, and the slide with tiles to click on."""

from __future__ import annotations

import plotly.graph_objects as go

from core.services.explanation.slide import SlideExplanation
from core.services.viewing.display import ATTENTION_STOPS
from pages.parts.common.badges import in_words

CONFIG: dict[str, object] = {"displaylogo": False, "modeBarButtonsToRemove": ["toImage", "select2d", "lasso2d"]}
_TEAL, _ORANGE, _GREY = "#0f6b78", "#d1704a", "#8a9498"
_OTHERS = ("#7b6fb0", "#b08d57", "#5b8a72", "#a05a7b", "#6d7f8b", "#94a03f")
_ARTEFACT = "#6b7c93"


def score_curve(slide: SlideExplanation, *, rules: list[str]) -> go.Figure:
    """Return the scores without the most suspicious tiles, and from these alone.

    Args:
        slide: With its removal test.
        rules: Names of the rules that are drawn; the one that decided stands out.
    """
    figure = go.Figure()
    curve = slide.removal.curve
    mm2 = [count * slide.tiles.tile_mm2 for count in curve.tiles]
    others = iter(_OTHERS * 2)
    for rule, values in curve.without.items():
        if rule.value not in rules:
            continue
        decides = rule.value == slide.rule
        colour = _TEAL if decides else next(others)
        for name, scores, dash in (("without", values, "solid"), ("only", curve.only[rule], "dot")):
            figure.add_scatter(
                x=curve.tiles,
                y=scores,
                customdata=mm2,
                name=f"{in_words(rule.value)}, {'without them' if name == 'without' else 'only them'}",
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 3 if decides else 1.5},
                marker={"size": 5},
                hovertemplate="%{x} tiles (%{customdata:.2f} mm²): score %{y:.2f}<extra>%{fullData.name}</extra>",
            )
        threshold = next((limit for one, limit in slide.thresholds.items() if one is rule), None)
        if threshold is not None:
            figure.add_hline(
                y=threshold,
                line={"color": colour, "dash": "dash", "width": 1},
                annotation_text=f"threshold of {in_words(rule.value).lower()} {threshold:.2f}",
                annotation_position="bottom right",
            )
    figure.update_layout(
        height=380,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title="Most suspicious tiles taken away",
        yaxis={"title": "Score of the slide", "range": [-0.02, 1.02]},
        legend={"orientation": "h", "y": -0.25},
    )
    return figure


def add_tile_points(figure: go.Figure, slide: SlideExplanation) -> None:
    """Put an invisible point on every tile, so that a click chooses it."""
    centres = slide.tiles.centres_level0
    figure.add_scatter(
        x=centres[:, 0],
        y=centres[:, 1],
        customdata=list(range(len(centres))),
        text=[f"{value:.2f}" for value in slide.tiles.target],
        mode="markers",
        marker={"size": 14, "opacity": 0.01, "color": _GREY, "symbol": "square"},
        hovertemplate="probability %{text}<br>click to choose this tile<extra></extra>",
    )


def attention_histogram(slide: SlideExplanation) -> go.Figure | None:
    """Return attention against probability of every tile; None without attention."""
    if slide.attention is None or slide.attention.max() <= 0:
        return None
    figure = go.Figure(
        go.Scatter(
            x=slide.tiles.target,
            y=slide.attention / slide.attention.max(),
            mode="markers",
            marker={"size": 7, "color": f"rgb{ATTENTION_STOPS[-1][1]}", "opacity": 0.6},
            hovertemplate="probability %{x:.2f}, attention %{y:.0%} of the highest<extra></extra>",
        )
    )
    figure.update_layout(
        height=300,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title="Probability of the tile (0-1)",
        yaxis_title="Attention, share of the highest here",
    )
    return figure
