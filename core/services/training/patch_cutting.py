"""Training patches from annotated slides: read at the model's scale, labelled by overlap with the annotations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain import Region, Size, slide_id_from_path
from core.errors import InputError
from core.interop.qupath import classified_marks
from core.interop.raster import mask_shape, paint, polygons_of
from core.settings import Settings
from core.slides import open_slide
from core.slides.manifest import ManifestRow, read_manifest
from core.tiles import TileSpec, tile_grid
from core.tissue import area_fraction, find_tissue
from models.data.cutting import NO_CLASS, Cutting, draw, label_tiles
from models.data.patches import Patches
from models.training.config import SLIDES, TrainingConfig
from models.training.run import read_folder

CELLS_A_TILE = 32
"""Pixels of the annotation mask along a tile's side: overlap is then known to about a thousandth of a tile."""
MOST_MASK_PX = 64_000_000
MOST_BYTES = 8 * 2**30
"""Patches above this do not fit into the memory of an ordinary machine."""
COARSER = 1.25
"""A slide whose level 0 is coarser than the patches by more than this factor would only be enlarged."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, slides done and slides in all."""


def patches_of(settings: Settings, config: TrainingConfig, *, progress: Progress | None = None) -> Patches:
    """Read the patches of a training configuration, from folders or by cutting slides.

    Raises:
        InputError: as `cut_slides`, or the folder does not hold its layout.
    """
    return cut_slides(settings, config, progress=progress) if config.layout == SLIDES else read_folder(config)


def cut_slides(
    settings: Settings, config: TrainingConfig, *, progress: Progress | None = None, most_bytes: int = MOST_BYTES
) -> Patches:
    """Cut patches from the slides of a manifest; all patches of one case make a group.

    Args:
        settings: For how tissue is found.
        config: Its `data` is the manifest (see `core.slides.manifest`), its `cutting` says how.
        progress: Called after every slide of both rounds, planning and reading.
        most_bytes: Memory that all patches together may take.

    Raises:
        InputError: a slide has no annotations, a scale coarser than the patches, or a name that another has; no class
            is found anywhere; or the patches would not fit into memory.
        MissingMppError: a slide states no scale and the manifest gives none.
        UnreadableSlideError: a slide cannot be read.
    """
    if config.cutting is None:
        raise InputError('Cutting slides needs the table [cutting] beside the layout "slides".')
    rows = read_manifest(config.data)
    _check_distinct(rows)
    plans: list[_Plan] = []
    for number, row in enumerate(rows, start=1):
        plans.append(_plan(settings, config, config.cutting, row))
        _tell(progress, "Slides looked through", number, len(rows))
    total = sum(len(plan.labels) for plan in plans)
    _check_total(total, config, most_bytes=most_bytes)
    images = np.empty((total, config.tile_px, config.tile_px, 3), np.uint8)
    done = 0
    for number, plan in enumerate(plans, start=1):
        done = _read_into(images, done, plan, config.tile_px)
        _tell(progress, "Slides cut", number, len(rows))
    labels = np.concatenate([plan.labels for plan in plans])
    groups = tuple(plan.group for plan in plans for _ in plan.labels)
    warnings = tuple(text for plan in plans for text in plan.warnings)
    return Patches(images, labels, groups, config.classes, _digest(plans, images), warnings)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What is cut from one slide."""

    row: ManifestRow
    group: str
    xy_level0: NDArray[np.int32]
    tile: Size
    """Level-0 pixels."""
    labels: NDArray[np.int64]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Annotated:
    """The annotations of one slide as masks."""

    masks: NDArray[np.bool_]
    """(C + 1, h, w): one a class, and one of annotations that mean no class."""
    downsample: tuple[float, float]
    unknown: tuple[str, ...]
    """Classifications that mean no class."""

    def shares(self, xy_level0: NDArray[np.int32], tile: Size) -> NDArray[np.float64]:
        """Return (N, C + 1) shares of tiles that are covered."""
        x, y = xy_level0[:, 0], xy_level0[:, 1]
        width, height = np.asarray(tile.width), np.asarray(tile.height)
        columns = [area_fraction(mask, self.downsample, x=x, y=y, width=width, height=height) for mask in self.masks]
        return np.stack(columns, axis=1)


def _plan(settings: Settings, config: TrainingConfig, cutting: Cutting, row: ManifestRow) -> _Plan:
    slide_id = slide_id_from_path(row.path)
    with open_slide(row.path, mpp=row.mpp) as reader:
        tissue = find_tissue(reader, settings.tissue)
        mpp, size = reader.info.mpp, reader.info.size
        if mpp is None or mpp.mean > COARSER * config.mpp:
            found = "no scale" if mpp is None else f"{mpp.mean:g} um/px"
            raise InputError(f"{slide_id} has {found}; patches of {config.mpp:g} um/px cannot be cut from it.")
    side_um = config.tile_px * config.mpp
    tile = Size(max(1, round(side_um / mpp.x)), max(1, round(side_um / mpp.y)))
    annotated = _annotations(cutting, config.classes, slide_id=slide_id, size=size, tile=tile)
    random = np.random.default_rng([config.seed, *hashlib.sha256(slide_id.encode()).digest()[:4]])
    places: list[NDArray[np.int32]] = []
    for label, name in enumerate(config.classes):
        spec = TileSpec(side_um, config.mpp, side_um * cutting.stride.get(name, 1.0), cutting.min_tissue)
        xy = tile_grid(size, mpp, spec, tissue).xy_level0
        xy = xy[(xy + np.array([tile.width, tile.height]) <= (size.width, size.height)).all(axis=1)]
        found = _labels(annotated.shares(xy, tile), config.classes, cutting)
        places.append(xy[draw(np.flatnonzero(found == label), most=cutting.most_per_slide, random=random)])
    labels = np.repeat(np.arange(len(places)), [len(xy) for xy in places]).astype(np.int64)
    warnings = _warnings(slide_id, annotated.unknown, len(labels))
    return _Plan(row, row.case or slide_id, np.concatenate(places), tile, labels, warnings)


def _labels(shares: NDArray[np.float64], classes: tuple[str, ...], cutting: Cutting) -> NDArray[np.int64]:
    elsewhere = classes.index(cutting.elsewhere) if cutting.elsewhere else NO_CLASS
    return label_tiles(shares[:, :-1], other=shares[:, -1], min_overlap=cutting.min_overlap, elsewhere=elsewhere)


def _annotations(cutting: Cutting, classes: tuple[str, ...], *, slide_id: str, size: Size, tile: Size) -> _Annotated:
    path = cutting.annotations / f"{slide_id}.geojson"
    cell = Size(max(1, tile.width // CELLS_A_TILE), max(1, tile.height // CELLS_A_TILE))
    height, width = mask_shape(size, cell=cell, most_px=MOST_MASK_PX)
    masks = np.zeros((len(classes) + 1, height, width), np.bool_)
    downsample = (size.width / width, size.height / height)
    unknown: set[str] = set()
    for name, geometry in _marks(path, slide_id):
        label = cutting.class_of(name, classes)
        polygons = polygons_of(geometry)
        if label == NO_CLASS and polygons:
            unknown.add(name or "without a class")
        for polygon in polygons:
            paint(masks[label], polygon, downsample=downsample)  # NO_CLASS is the last mask
    return _Annotated(masks, downsample, tuple(sorted(unknown)))


def _marks(path: Path, slide_id: str) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise InputError(
            f"The slide {slide_id} has no annotations: {path} cannot be read. Export them from QuPath as GeoJSON; a "
            "slide without any needs a file with an empty FeatureCollection, so that none is forgotten."
        ) from err
    except ValueError as err:
        raise InputError(f"{path} is not GeoJSON. Export the annotations from QuPath again.") from err
    for name, mark in classified_marks(content):
        yield name, dict(mark.geometry)


def _read_into(images: NDArray[np.uint8], start: int, plan: _Plan, tile_px: int) -> int:
    """Read the patches of one slide into the rows from `start` on, and return the row after them."""

    def read(index: int) -> None:
        x, y = map(int, plan.xy_level0[index])
        images[start + index] = reader.read(Region(x, y, plan.tile.width, plan.tile.height), Size(tile_px, tile_px))

    if len(plan.labels):
        with open_slide(plan.row.path, mpp=plan.row.mpp) as reader, ThreadPoolExecutor(2) as pool:
            for _ in pool.map(read, range(len(plan.labels))):
                pass
    return start + len(plan.labels)


def _digest(plans: Sequence[_Plan], images: NDArray[np.uint8]) -> str:
    """SHA-256 over slides, places, labels and pixels: over exactly what is trained on."""
    digest = hashlib.sha256()
    for plan in plans:
        digest.update(slide_id_from_path(plan.row.path).encode() + b"\0" + plan.group.encode() + b"\0")
        digest.update(plan.xy_level0.tobytes() + plan.labels.tobytes())
    digest.update(images.data)
    return digest.hexdigest()


def _check_distinct(rows: Sequence[ManifestRow]) -> None:
    seen: set[str] = set()
    for row in rows:
        slide_id = slide_id_from_path(row.path)
        if slide_id in seen:
            raise InputError(f"Two slides of the manifest are called {slide_id}, so annotations cannot be told apart.")
        seen.add(slide_id)


def _check_total(total: int, config: TrainingConfig, *, most_bytes: int) -> None:
    if total == 0:
        raise InputError("No tile of any slide belongs to a class. Check the names of the classes in [cutting].")
    size = total * config.tile_px**2 * 3
    if size > most_bytes:
        raise InputError(
            f"{total:,} patches of {config.tile_px} px would take {size / 2**30:.1f} GB of memory; limit them with "
            "most_per_slide in [cutting]."
        )


def _warnings(slide_id: str, unknown: tuple[str, ...], kept: int) -> tuple[str, ...]:
    found: list[str] = []
    if unknown:
        names = ", ".join(unknown)
        found.append(f"{slide_id}: annotations {names} mean no class; their area is not learnt from.")
    if kept == 0:
        found.append(f"{slide_id}: no patch belongs to any class.")
    return tuple(found)


def _tell(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)
