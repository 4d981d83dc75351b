"""Tiles of a slide worth looking at: the most suspicious, the most uncertain, and some drawn at random."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.domain import Region
from core.services.analysis.run_files import RunFolder
from core.services.analysis.tile_columns import column_of
from core.settings import Settings

SIZE = 24


class GalleryKind(StrEnum):
    """How tiles are chosen."""

    SUSPICIOUS = "suspicious"
    UNCERTAIN = "uncertain"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class GalleryTile:
    """One tile of a gallery."""

    region: Region
    """Level-0 px."""
    probability: float
    """Of the class the gallery is about."""


def gallery(
    settings: Settings, slide_id: str, run_id: str, *, class_name: str, threshold: float, size: int = SIZE
) -> dict[GalleryKind, tuple[GalleryTile, ...]]:
    """Choose tiles of a run.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        run_id: One of its runs.
        class_name: The class, or the sum of classes, whose probability is shown.
        threshold: Probability at which the call turns; the nearest tiles are the most uncertain.
        size: Most tiles of each kind.

    Returns:
        Every kind, best first; random tiles are the same on every call for a run, so that they can be talked about.

    Raises:
        NotFoundError: the run has no tile results, or none of that class.
    """
    tiles = RunFolder.of(settings, slide_id, run_id).read_tiles()
    values = tiles[column_of(class_name, columns=tiles.columns)].to_numpy(np.float64)
    boxes = tiles[["x", "y", "width", "height"]].to_numpy(np.int64)
    rng = np.random.default_rng(zlib.crc32(f"{slide_id}/{run_id}".encode()))
    chosen = {
        GalleryKind.SUSPICIOUS: np.argsort(-values, kind="stable")[:size],
        GalleryKind.UNCERTAIN: np.argsort(np.abs(values - threshold), kind="stable")[:size],
        GalleryKind.RANDOM: rng.permutation(len(values))[:size],
    }
    return {kind: _tiles(boxes, values, rows) for kind, rows in chosen.items()}


def _tiles(boxes: NDArray[np.int64], values: NDArray[np.float64], rows: NDArray[np.intp]) -> tuple[GalleryTile, ...]:
    return tuple(GalleryTile(Region(*map(int, boxes[row])), float(values[row])) for row in rows)
