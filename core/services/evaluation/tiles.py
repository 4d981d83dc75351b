"""The tiles of one run beside what is outlined on the slide: read once, kept by the content of both files."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.domain import Size
from core.errors import InputError, NotFoundError
from core.evaluation.binary import BoolArray, FloatArray
from core.interop.qupath import classified_marks
from core.interop.raster import mask_shape, paint, polygons_of
from core.phantom.truth import TUMOUR
from core.services.analysis.deciding import target_of
from core.services.analysis.run_files import RunFolder
from core.settings import Settings
from core.tissue import area_fraction
from models.cards import ModelCard

log = logging.getLogger(__name__)

POSITIVE_SHARE = 0.5
"""Share of a tile that outlines of the target must cover for the tile to count as positive."""
CELLS_A_TILE = 25
MOST_MASK_PX = 64_000_000
VERSION = "tiles-1"
"""Part of the key: raise it when what is kept changes its meaning."""
FOLDER = "cache/evaluation"
BRIGHTNESS = "qc_brightness"


@dataclass(frozen=True, slots=True, eq=False)
class TileFacts:
    """Tiles of one run."""

    boxes: NDArray[np.int64]
    """(N, 4) x, y, width, height in level-0 px."""
    score: FloatArray
    """(N,) probability of the target."""
    darkness: FloatArray
    """(N,) 1 - light through the tile's tissue; nan where it was not measured."""
    share: FloatArray | None
    """(N,) share of the tile inside an outline of the target; None where the slide has no outlines beside it."""

    @property
    def truth(self) -> BoolArray | None:
        """(N,) True where the target covers enough of the tile; None without outlines."""
        return None if self.share is None else self.share >= POSITIVE_SHARE


def tile_facts(settings: Settings, card: ModelCard, *, slide_id: str, run_id: str, path: Path) -> TileFacts | None:
    """Return the tiles of a run, or None where its files are gone.

    Args:
        settings: Names the home folder.
        card: Of the model that was run.
        slide_id: The slide.
        run_id: Its run; runs never change once written.
        path: Of the slide; outlines lie beside it as GeoJSON.

    Raises:
        InputError: what lies beside the slide is no GeoJSON.
    """
    outlines = path.with_suffix(".geojson")
    content = _content(outlines)
    key = facts_key(card, run_id, content)
    kept = settings.home / FOLDER / f"{key}.npz"
    found = _read(kept)
    if found is not None:
        return found
    try:
        table = RunFolder.of(settings, slide_id, run_id).read_tiles()
    except NotFoundError:
        return None
    found = _measured(card, table, None if content is None else _parsed(content, outlines))
    _keep(kept, found)
    return found


def outlines_digest(path: Path) -> str | None:
    """Return the SHA-256 of the outlines beside a slide; None where there are none."""
    content = _content(path.with_suffix(".geojson"))
    return None if content is None else hashlib.sha256(content).hexdigest()


def facts_key(card: ModelCard, run_id: str, outlines: bytes | None) -> str:
    """Return what the facts of a run's tiles depend on, as a hash."""
    digest = "none" if outlines is None else hashlib.sha256(outlines).hexdigest()
    parts = (VERSION, run_id, card.classes, card.positive_classes, digest, POSITIVE_SHARE)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def target_mask(
    content: object, *, names: frozenset[str], size: Size, tile: Size
) -> tuple[NDArray[np.bool_], tuple[float, float]]:
    """Paint the outlines of some classes on a mask with a few cells a tile.

    Args:
        content: GeoJSON as read.
        names: Classes to paint, in lower case.
        size: Level-0 px that the mask covers.
        tile: Level-0 px of a tile.

    Returns:
        (h, w) bool, and level-0 px per mask px along x and y.
    """
    cell = Size(max(1, tile.width // CELLS_A_TILE), max(1, tile.height // CELLS_A_TILE))
    rows, columns = mask_shape(size, cell=cell, most_px=MOST_MASK_PX)
    mask = np.zeros((rows, columns), np.bool_)
    downsample = (size.width / columns, size.height / rows)
    for name, mark in classified_marks(content):
        if name.casefold() in names:
            for polygon in polygons_of(mark.geometry):
                paint(mask, polygon, downsample=downsample)
    return mask, downsample


def target_names(card: ModelCard) -> frozenset[str]:
    """Return the classes that outline a model's target: QuPath's own for tumour, and the model's positive classes."""
    return frozenset(name.casefold() for name in (TUMOUR, *card.positive_classes))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _parsed(content: bytes, path: Path) -> object:
    try:
        return json.loads(content)
    except ValueError as err:
        raise InputError(f"{path.name} is not GeoJSON. Export the annotations from QuPath again.") from err


def _measured(card: ModelCard, table: pd.DataFrame, outlines: object | None) -> TileFacts:
    boxes = table[["x", "y", "width", "height"]].to_numpy(np.int64)
    darkness = 1 - table[BRIGHTNESS].to_numpy(np.float64) if BRIGHTNESS in table else np.full(len(table), np.nan)
    share = None
    if outlines is not None and len(boxes):
        x, y, width, height = boxes.T
        size = Size(int((x + width).max()), int((y + height).max()))
        tile = Size(int(width[0]), int(height[0]))
        mask, downsample = target_mask(outlines, names=target_names(card), size=size, tile=tile)
        share = area_fraction(mask, downsample, x=x, y=y, width=width, height=height)
    return TileFacts(boxes, np.asarray(target_of(card, table), np.float64), darkness, share)


def _read(path: Path) -> TileFacts | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            share = data["share"] if len(data["share"]) == len(data["score"]) and data["outlined"] else None
            return TileFacts(data["boxes"], data["score"], data["darkness"], share)
    except (OSError, ValueError, KeyError, BadZipFile) as err:
        log.warning("The kept tile facts %s are damaged (%s); they are computed again.", path.name, err)
        return None


def _keep(path: Path, facts: TileFacts) -> None:
    """Keep what was measured; where it cannot be kept, it is measured again the next time."""
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    share = np.empty(0) if facts.share is None else facts.share
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file,
                boxes=facts.boxes,
                score=facts.score,
                darkness=facts.darkness,
                share=share,
                outlined=facts.share is not None,
            )
        os.replace(part, path)
    except OSError as err:
        log.warning("Tile facts cannot be kept in %s (%s).", path.parent, err)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
