"""What the screens draw and tell about results: tile values in the slide's frame, the rules in words, the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.aggregation import MEANINGS
from core.heatmap import PROBABILITY_STOPS
from core.services.analysis.aggregation_facts import AGGREGATORS, DECISION_CHOSEN, REFUSED
from core.services.analysis.tile_columns import target_name
from core.store.records import RunRecord
from models.cards import list_cards

__all__ = [
    "ATTENTION_SENTENCE",
    "ATTENTION_STOPS",
    "PROBABILITY_STOPS",
    "RULE_MEANINGS",
    "Cells",
    "aggregator_notes",
    "cells_of",
    "positive_class",
    "rule_meanings",
    "scale_bar_um",
]

RULE_MEANINGS: Mapping[str, str] = {rule.value: text for rule, text in MEANINGS.items()}
"""Aggregation rule -> what it asks, in the order in which the rules are shown."""

ATTENTION_STOPS = ((0.0, (247, 252, 253)), (0.5, (140, 150, 198)), (1.0, (77, 0, 75)))
"""Light to dark violet: never the colours of probability, since the two must not be taken for each other."""
ATTENTION_SENTENCE = (
    "Attention is relative: it says which tiles of this slide the aggregator weighed most, compared with its others. "
    "It is no probability and no explanation."
)

_SCALE_STEPS = (1, 2, 5)
_SCALE_SHARE = 0.22
"""Longest part of the slide's width that the scale bar may take."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Tile values on the grid of all tile borders."""

    x_edges: NDArray[np.float64]
    """(columns + 1,) level-0 px, ascending, none beyond the slide."""
    y_edges: NDArray[np.float64]
    """(rows + 1,)"""
    values: NDArray[np.float64]
    """(rows, columns); NaN where no tile lies; the mean where tiles overlap."""

    def from_threshold(self, threshold: float) -> NDArray[np.float64]:
        """Return the values, with NaN for those below the threshold."""
        return np.where(self.values >= threshold, self.values, np.nan)

    def relative_to_highest(self) -> NDArray[np.float64]:
        """Return the values as shares of the highest one; as they are where none is above 0."""
        known = self.values[np.isfinite(self.values)]
        highest = float(known.max()) if len(known) else 0.0
        return self.values / highest if highest > 0 else self.values


def cells_of(tiles: pd.DataFrame, *, column: str, width: int, height: int) -> Cells:
    """Put tile values on the grid of their borders, exactly.

    Args:
        tiles: Columns x, y, width, height in level-0 px, and `column`.
        column: Which value.
        width: Slide width in level-0 px; tiles that reach beyond are cut there, as the slide is.
        height: Slide height in level-0 px.
    """
    left: NDArray[np.float64] = tiles["x"].to_numpy(np.float64)
    top: NDArray[np.float64] = tiles["y"].to_numpy(np.float64)
    right: NDArray[np.float64] = np.minimum(left + tiles["width"].to_numpy(np.float64), width)
    bottom: NDArray[np.float64] = np.minimum(top + tiles["height"].to_numpy(np.float64), height)
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


def rule_meanings(run: RunRecord) -> dict[str, str]:
    """Return rule -> what it asks, of the rules without training and then of the aggregators that scored the run."""
    return dict(RULE_MEANINGS) | {str(one["name"]): str(one["meaning"]) for one in _aggregators(run)}


def aggregator_notes(run: RunRecord) -> tuple[str, ...]:
    """Return what a reader of the scores must know: who decides if not the default, few slides, what was refused."""
    chosen = run.settings.get(DECISION_CHOSEN)
    refused = run.settings.get(REFUSED)
    reasons: Mapping[str, str] = cast("Mapping[str, str]", refused) if isinstance(refused, Mapping) else {}
    return (
        *([str(chosen)] if chosen else []),
        *(f"{one['name']}: {one['warning']}" for one in _aggregators(run) if one.get("warning")),
        *(f"{name} was not used: {reason}" for name, reason in reasons.items()),
    )


def _aggregators(run: RunRecord) -> list[Mapping[str, object]]:
    found = run.settings.get(AGGREGATORS)
    return cast("list[Mapping[str, object]]", found) if isinstance(found, list) else []


def scale_bar_um(width_um: float) -> float:
    """Return the longest of 1, 2 or 5 x 10^k um that fits into its share of the slide's width."""
    longest = width_um * _SCALE_SHARE
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in _SCALE_STEPS if step * power <= longest * (1 + 1e-9)))


def positive_class(model: str, classes: Sequence[str]) -> str:
    """Return the class, or the sum of classes, a model is made to find: its card says so; without a card, the last."""
    positive = {card.name: target_name(card.positive_classes) for card in list_cards()}.get(model)
    return positive if positive is not None and positive in classes else classes[-1]
