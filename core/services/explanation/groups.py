"""Tiles of a slide that look alike, by what a model's layers see, or by what was measured where that is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.domain import Region
from core.errors import NotFoundError
from core.explain.tile_clusters import cluster_tiles
from core.services.analysis.deciding import target_of
from core.services.analysis.run_files import RunFolder
from core.services.explanation.explain import seen_run
from core.services.explanation.index import GROUPS, SlideIndex, read_index
from core.services.explanation.slide import slide_tiles
from core.settings import Settings
from models.cards import ModelCard


@dataclass(frozen=True, slots=True)
class TileGroup:
    """Tiles of one slide that look alike."""

    number: int
    """From 1; the largest first."""
    tiles: int
    mm2: float
    probability: float | None
    """Mean probability of the target; None where the tiles are not those of the run."""
    shown: tuple[Region, ...]
    """Tiles nearest to the middle of the group."""


@dataclass(frozen=True, slots=True)
class TileGroups:
    """The groups of a slide."""

    by: str
    """On what they are based, in words."""
    groups: tuple[TileGroup, ...]


def tile_groups(settings: Settings, slide_id: str, *, count: int, actor: str) -> TileGroups:
    """Group the tiles of a slide: by embeddings where they are computed, otherwise by what was measured of the tiles.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        count: Groups, one of `explain_index.GROUPS`.
        actor: Who asks.

    Raises:
        NotFoundError: no such slide, no tile results, or fewer tiles than groups.
        ConflictError, NotAllowedError: as `core.services.explanation.explain.request_tile`.
    """
    run, card = seen_run(settings, slide_id, actor=actor)
    table = RunFolder.of(settings, slide_id, run.run_id).read_tiles()
    tiles = slide_tiles(table, card, run)
    if len(tiles) < count:
        raise NotFoundError(f"{slide_id} has only {len(tiles)} tiles; choose fewer groups.")
    index = read_index(settings, slide_id, card.name)
    if index is not None and index.labels[GROUPS.index(count), 0] >= 0:
        probability = _by_place(table, card)
        return TileGroups(f"what {card.name} sees", _indexed(index, count, tiles.tile_mm2, probability))
    found = cluster_tiles(_measures(table), count=count)
    boxes = table[["x", "y", "width", "height"]].to_numpy(np.int64)
    groups = [
        TileGroup(
            number + 1,
            size,
            size * tiles.tile_mm2,
            float(tiles.target[found.labels == number].mean()),
            tuple(Region(*map(int, box)) for box in boxes[found.representatives[number]]),
        )
        for number, size in enumerate(found.sizes)
    ]
    return TileGroups("what was measured of the tiles: quality, nuclear stain and probability", tuple(groups))


def _by_place(table: pd.DataFrame, card: ModelCard) -> Mapping[tuple[int, int], float]:
    corners = table[["x", "y"]].to_numpy(np.int64)
    return {(int(x), int(y)): float(value) for (x, y), value in zip(corners, target_of(card, table), strict=True)}


def _indexed(
    index: SlideIndex, count: int, tile_mm2: float, probability: Mapping[tuple[int, int], float]
) -> tuple[TileGroup, ...]:
    labels, shown = index.labels[GROUPS.index(count)], index.representatives[GROUPS.index(count)]
    width, height = index.size
    groups: list[TileGroup] = []
    for number in range(int(labels.max()) + 1):
        rows = np.flatnonzero(labels == number)
        values = [probability[place] for x, y in index.all_xy[rows] if (place := (int(x), int(y))) in probability]
        chosen = [index.all_xy[row] for row in shown[number] if row >= 0]
        groups.append(
            TileGroup(
                number + 1,
                len(rows),
                len(rows) * tile_mm2,
                float(np.mean(values)) if values else None,
                tuple(Region(int(x), int(y), width, height) for x, y in chosen),
            )
        )
    return tuple(groups)


def _measures(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the columns that were measured of every tile, without what is constant or not known."""
    names = [name for name in table.columns if name.startswith(("qc_", "prob_", "target_")) or name == "saliency"]
    values = table[names].to_numpy(np.float64)
    return np.where(np.isfinite(values), values, 0.0)
