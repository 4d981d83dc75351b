"""What lies on a slide in the viewer: tile values as a compact grid, and the outline of the tissue.

A grid is sent as numbers, not as a picture: the viewer colours it at any zoom, thresholds it at once, and tells the
very value under the pointer.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]  (it ships none)
from numpy.typing import NDArray

from core.errors import NotFoundError
from core.qc.classes import ARTEFACTS, NO_TISSUE
from core.services.analysis.run_files import RunFolder
from core.services.analysis.tile_columns import probability_columns
from core.services.catalogue import get_slide
from core.services.viewing.outline import rings_of
from core.settings import Settings
from core.slides.protocol import SlideReader
from core.store.connection import open_log, reading
from core.store.quality_results import quality_of_slide, report_of
from core.store.records import Json
from core.tissue import find_tissue

SAME_EDGE_PX = 2
"""Level-0 px within which the end of a tile and the start of the next count as one edge: rounding of positions."""
NO_TILE = 65535
"""Cell without a tile."""
STEPS = 65534
"""A probability of 1 in the transferred whole numbers; finer than any digit shown."""
QUALITY_MAP = "qc_map.png"
"""File of a run: the artefact map, a palette picture of class codes that covers the slide exactly."""
DISAGREEMENT_MAP = "qc_disagreement.png"
"""File of a run: the class that the network names where the detectors name another one."""
MAP_LAYER_PX = 2048
"""Longer side of the artefact map as the viewer gets it."""
ATTENTION_COLUMN = "attention"
"""Relative weight of every tile in the judgement of an aggregator with attention; never a probability."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Cells between the edges of a slide's tiles."""

    edges_x: NDArray[np.int64]
    """Ascending level-0 px; column j lies between edge j and j + 1."""
    edges_y: NDArray[np.int64]
    columns: NDArray[np.int64]
    """(N, 2) first and past-last column of every tile."""
    rows: NDArray[np.int64]

    def mean(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (rows, columns): the mean of the tiles that cover each cell, NaN where none does."""
        total, count = self._spread(np.asarray(values, np.float64)), self._spread(np.ones(len(values)))
        covered = count > 0.5
        return np.divide(total, count, out=np.full(total.shape, np.nan), where=covered)

    def _spread(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the weights of the tiles over each cell, by differences at the four corners of every tile."""
        steps = np.zeros((len(self.edges_y), len(self.edges_x)))
        for row, column, sign in ((0, 0, 1.0), (0, 1, -1.0), (1, 0, -1.0), (1, 1, 1.0)):
            np.add.at(steps, (self.rows[:, row], self.columns[:, column]), sign * weights)
        return steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]


def lattice_of(tiles: pd.DataFrame) -> Lattice:
    """Return the cells of tiles with columns x, y, width, height in level-0 px; they may overlap or leave gaps."""
    edges_x, columns = _axis(tiles["x"].to_numpy(np.int64), tiles["width"].to_numpy(np.int64))
    edges_y, rows = _axis(tiles["y"].to_numpy(np.int64), tiles["height"].to_numpy(np.int64))
    return Lattice(edges_x, edges_y, columns, rows)


def _axis(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the edges along one axis and the half-open range of cells of every tile."""
    positions = np.unique(np.concatenate([starts, starts + lengths]))
    group = np.concatenate([[0], np.cumsum(np.diff(positions) > SAME_EDGE_PX)])
    is_start = np.isin(positions, starts)
    # Within a group the start of a tile is the edge: what is drawn begins exactly where the tile begins.
    order = np.lexsort((positions, ~is_start, group))
    first = np.concatenate([[True], np.diff(group[order]) > 0])
    edges = positions[order][first]
    index = dict(zip(positions.tolist(), group.tolist(), strict=True))
    spans = [
        (index[start], index[start + length]) for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]
    return edges, np.array(spans, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One artefact class of a slide's map, and how much of it there is."""

    code: int
    """Value in the map."""
    key: str
    """Name in the vocabulary."""
    title: str
    colour: tuple[int, int, int]
    """R, G, B."""
    area_mm2: float | None
    """Tissue in the class; None where it was not measured."""
    fraction_of_tissue: float | None


def artefact_legend(report: Json | None) -> tuple[LegendEntry, ...]:
    """Return every artefact class in the order of the maps, with its area where the quality report has one."""
    found = report.get("classes") if report else None
    classes = cast("Mapping[str, Mapping[str, float]]", found if isinstance(found, Mapping) else {})
    return tuple(
        LegendEntry(
            code=kind.code,
            key=kind.value,
            title=kind.about.title,
            colour=kind.about.colour,
            area_mm2=classes[kind]["mm2"] if kind in classes else None,
            fraction_of_tissue=classes[kind]["fraction_of_tissue"] if kind in classes else None,
        )
        for kind in ARTEFACTS
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySource:
    """Where the latest quality of a slide lies, and what it says."""

    folder: str | None
    """Name of the folder of its files below the slide's results; None where it left none."""
    report: Json | None
    """As the log keeps it; None before the first measurement."""


def quality_source(settings: Settings, slide_id: str) -> QualitySource:
    """Return the latest quality of a slide, whether an analysis measured it or a job of its own."""
    with open_log(settings) as database, reading(database):
        found = quality_of_slide(database, slide_id)
        report = None if found is None else report_of(database, found)
    folder = None if found is None or found.results_dir is None else Path(found.results_dir).name
    return QualitySource(folder=folder, report=report)


def has_quality_map(settings: Settings, slide_id: str, run_id: str) -> bool:
    """Return whether a run left an artefact map."""
    return (RunFolder.of(settings, slide_id, run_id).path / QUALITY_MAP).is_file()


def class_names(settings: Settings, slide_id: str, run_id: str) -> tuple[str, ...]:
    """Return whose probability a run's tiles hold, without reading the values; nothing if the run left no tiles.

    The classes, and last their sum if the model looks for several of them.
    """
    path = RunFolder.of(settings, slide_id, run_id).path / "tiles.parquet"
    if not path.is_file():
        return ()
    names = cast("list[str]", pq.read_schema(path).names)  # pyright: ignore[reportUnknownMemberType]  (pyarrow)
    return tuple(probability_columns(names))


def model_layer(settings: Settings, slide_id: str, run_id: str) -> bytes:
    """Return the class probabilities of a run as a packed grid (see `pack`).

    Raises:
        NotFoundError: the run has no tile results.
    """
    tiles = _tiles(settings, slide_id, run_id)
    columns = probability_columns(tiles.columns)
    lattice = lattice_of(tiles)
    planes = [_quantised(lattice.mean(tiles[column].to_numpy())) for column in columns.values()]
    return pack(lattice, {"classes": list(columns), "tiles": len(tiles)}, planes)


def has_attention(settings: Settings, slide_id: str, run_id: str) -> bool:
    """Return whether a run's tiles hold attention, without reading the values."""
    path = RunFolder.of(settings, slide_id, run_id).path / "tiles.parquet"
    names = cast("list[str]", pq.read_schema(path).names) if path.is_file() else []  # pyright: ignore[reportUnknownMemberType]
    return ATTENTION_COLUMN in names


def attention_layer(settings: Settings, slide_id: str, run_id: str) -> bytes:
    """Return the attention of a run as a packed grid: 0 to 1 is 0 to the highest of this slide, told as `highest`.

    Raises:
        NotFoundError: no aggregator with attention scored this run.
    """
    tiles = _tiles(settings, slide_id, run_id)
    if ATTENTION_COLUMN not in tiles:
        raise NotFoundError("No aggregator with attention scored this run. Activate one and analyse the slide again.")
    lattice = lattice_of(tiles)
    attention = lattice.mean(tiles[ATTENTION_COLUMN].to_numpy())
    highest = float(np.nanmax(attention))
    relative = attention / highest if highest > 0 else attention
    return pack(lattice, {"highest": highest, "tiles": len(tiles)}, [_quantised(relative)])


def quality_layer(settings: Settings, slide_id: str, run_id: str) -> bytes:
    """Return the artefact map of a run as a packed grid of class codes; `NO_TILE` on clean glass.

    Raises:
        NotFoundError: the run has no artefact map, or there is no such slide.
    """
    return _codes_layer(settings, slide_id, run_id, QUALITY_MAP)


def disagreement_layer(settings: Settings, slide_id: str, run_id: str) -> bytes:
    """Return what the network says where the detectors say something else, as `quality_layer` does.

    Raises:
        NotFoundError: no network took part in the measurement, or there is no such slide.
    """
    return _codes_layer(settings, slide_id, run_id, DISAGREEMENT_MAP)


def has_disagreement(settings: Settings, slide_id: str, run_id: str) -> bool:
    """Return whether a run left a map of where network and detectors differ."""
    return (RunFolder.of(settings, slide_id, run_id).path / DISAGREEMENT_MAP).is_file()


def _codes_layer(settings: Settings, slide_id: str, run_id: str, name: str) -> bytes:
    slide = get_slide(settings, slide_id)
    folder = RunFolder.of(settings, slide_id, run_id)
    if not _PLAIN_NAME.fullmatch(run_id) or not (folder.path / name).is_file():
        raise NotFoundError("This run has no artefact map. Measure the quality of the slide again to get one.")
    labels = coarser_map(folder.read_image(name), longest_px=MAP_LAYER_PX)
    height, width = labels.shape
    edges_x, edges_y = (
        np.rint(np.linspace(0, extent or cells, cells + 1)).astype(np.int64)
        for extent, cells in ((slide.width, width), (slide.height, height))
    )
    none = np.empty((0, 2), np.int64)
    plane = np.where(labels == NO_TISSUE, NO_TILE, labels.astype(np.uint16)).astype(np.uint16)
    return pack(Lattice(edges_x, edges_y, none, none), {"source": name}, [plane])


def coarser_map(labels: NDArray[np.uint8], *, longest_px: int) -> NDArray[np.uint8]:
    """Return an artefact map of at most so many pixels a side, on which no artefact of the finer one is missing.

    Args:
        labels: (H, W) class codes, `NO_TISSUE` where there is none.
        longest_px: Most pixels along the longer side.
    """
    factor = max(labels.shape) / longest_px
    if factor <= 1:
        return labels
    found = np.where(labels == NO_TISSUE, 0, labels + 1).astype(np.uint8)
    for axis, length in enumerate(labels.shape):
        wanted = max(1, round(length / factor))
        starts = np.ceil(np.arange(wanted) * length / wanted).astype(np.int64)
        found = np.maximum.reduceat(found, starts, axis=axis)
    return np.where(found == 0, NO_TISSUE, found - 1).astype(np.uint8)


def _quantised(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    known = np.isfinite(values)
    return np.where(known, np.round(np.clip(np.where(known, values, 0), 0, 1) * STEPS), NO_TILE).astype(np.uint16)


def pack(lattice: Lattice, facts: dict[str, object], planes: list[NDArray[np.uint16]]) -> bytes:
    """Return gzip of: length of the header (uint32), the header as JSON, then the planes (uint16, row by row).

    All numbers are little-endian. The header is padded with spaces to a multiple of 4 bytes and holds `edges_x` and
    `edges_y` in level-0 px besides `facts`.
    """
    header = json.dumps({**facts, "edges_x": lattice.edges_x.tolist(), "edges_y": lattice.edges_y.tolist()}).encode()
    header += b" " * (-len(header) % 4)
    body = b"".join(plane.astype("<u2").tobytes() for plane in planes)
    return gzip.compress(len(header).to_bytes(4, "little") + header + body, 5, mtime=0)


def tissue_rings(reader: SlideReader, settings: Settings) -> list[list[list[float]]]:
    """Return the outline of the tissue as closed rings of [x, y] in level-0 px.

    Raises:
        MissingMppError: the slide has no scale.
    """
    found = find_tissue(reader, settings.tissue)
    return rings_of(found.mask, scale=found.downsample)


def _tiles(settings: Settings, slide_id: str, run_id: str) -> pd.DataFrame:
    if not _PLAIN_NAME.fullmatch(run_id):
        raise NotFoundError(f"There is no run {run_id!r} of slide {slide_id}.")
    tiles = RunFolder.of(settings, slide_id, run_id).read_tiles()
    if tiles.empty:
        raise NotFoundError(f"Run {run_id} of slide {slide_id} kept no tiles.")
    return tiles
