"""What a model's last layers see on the tiles of a slide, kept so that pages find alike tiles without any network.

A job embeds the slide (`core.services.training.embeddings`, with its cache) and writes an index: vectors of a number of
tiles, the groups that all tiles fall into, and the mean of the slide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.domain import Region
from core.errors import NotFoundError
from core.explain.tile_clusters import cluster_tiles
from core.services import catalogue
from core.services.explanation import files as explain_files
from core.services.training.embeddings import slide_embeddings
from core.settings import Settings
from models.cards import ModelCard, load_card

VERSION = "index-1"
MOST_TILES = 1024
"""Vectors kept of a slide: of a larger one every n-th tile, row by row, so that all of its tissue has its share."""
GROUPS = tuple(range(2, 9))
"""Numbers of groups that are computed."""
_SHOWN = 8


@dataclass(frozen=True, slots=True, eq=False)
class SlideIndex:
    """What is kept of a slide's embeddings."""

    slide_id: str
    model: str
    tiles: int
    """Of the slide."""
    regions: tuple[Region, ...]
    """Of the kept tiles, level-0 px."""
    vectors: NDArray[np.float32]
    """(K, D) of the kept tiles."""
    mean: NDArray[np.float32]
    """(D,) over all tiles of the slide."""
    labels: NDArray[np.int64]
    """(len(GROUPS), N) group of every tile, 0 the largest; -1 where there are fewer tiles than groups."""
    all_xy: NDArray[np.int64]
    """(N, 2) corners of all tiles."""
    size: tuple[int, int]
    """Width and height of a tile, level-0 px."""
    representatives: NDArray[np.int64]
    """(len(GROUPS), groups, shown) rows of `all_xy` nearest to each group's middle; -1 where there are fewer."""


def index_digest(slide_sha256: str | None, card: ModelCard) -> str:
    """Return the name of a slide's index by a model."""
    return explain_files.digest_of(VERSION, slide_sha256, card.weights_sha256)


def embed_slide(
    settings: Settings,
    slide_id: str,
    model: str,
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> str:
    """Embed a slide by a tile model, write its index, and return a sentence for the list of jobs.

    Raises:
        NotFoundError, MissingMppError, NotApplicableError, UnreadableSlideError, ModelError, StorageError,
        CancelledError: as `slide_embeddings`; also NotFoundError where the slide has no tile.
    """
    # Imported late: they bring torch, which pages that read an index do not need.
    from core.services.analysis.aggregators import shared_encoder
    from models.encoders.loading import MODEL_PREFIX

    card = load_card(model)
    encoder = shared_encoder(settings, f"{MODEL_PREFIX}{model}")
    found = slide_embeddings(settings, slide_id, encoder, progress=progress, cancelled=cancelled)
    count = len(found.vectors)
    if not count:
        raise NotFoundError(f"{slide_id} has no tile with enough tissue, so there is nothing to compare.")
    kept = np.arange(0, count, -(-count // MOST_TILES))
    labels, representatives = _groups(found.vectors)
    size = found.grid.size_level0
    explain_files.write(
        settings,
        slide_id,
        index_digest(found.slide_sha256, card),
        header={"what": "index", "slide_id": slide_id, "model": model, "width": size.width, "height": size.height},
        arrays={
            "kept": kept,
            "vectors": found.vectors[kept].astype(np.float16),
            "mean": found.vectors.mean(axis=0, dtype=np.float64).astype(np.float32),
            "labels": labels,
            "representatives": representatives,
            "xy": found.grid.xy_level0,
        },
    )
    return f"{count} tiles of {slide_id} as {model} sees them are ready to be compared."


def read_index(settings: Settings, slide_id: str, model: str) -> SlideIndex | None:
    """Return the index of a slide, or None where it has not been computed for its present file and these weights.

    Raises:
        NotFoundError: no such slide or model.
    """
    slide = catalogue.get_slide(settings, slide_id)
    found = explain_files.read(settings, slide_id, index_digest(slide.sha256, load_card(model)))
    if found is None:
        return None
    header, arrays = found
    width, height = int(cast(Any, header["width"])), int(cast(Any, header["height"]))
    xy = np.asarray(arrays["xy"], np.int64)
    kept = np.asarray(arrays["kept"], np.int64)
    return SlideIndex(
        slide_id=slide_id,
        model=model,
        tiles=len(xy),
        regions=tuple(Region(int(x), int(y), width, height) for x, y in xy[kept]),
        vectors=np.asarray(arrays["vectors"], np.float32),
        mean=np.asarray(arrays["mean"], np.float32),
        labels=np.asarray(arrays["labels"], np.int64),
        all_xy=xy,
        size=(width, height),
        representatives=np.asarray(arrays["representatives"], np.int64),
    )


def _groups(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    labels = np.full((len(GROUPS), len(vectors)), -1, np.int16)
    shown = np.full((len(GROUPS), max(GROUPS), _SHOWN), -1, np.int64)
    for row, count in enumerate(GROUPS):
        if len(vectors) < count:
            continue
        found = cluster_tiles(vectors, count=count, shown=_SHOWN)
        labels[row] = found.labels
        for group, rows in enumerate(found.representatives):
            shown[row, group, : len(rows)] = rows
    return labels, shown
