"""Where things were planted: outlines from masks, written as GeoJSON in the layout QuPath reads."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

Ring = tuple[tuple[float, float], ...]
"""Closed ring of level-0 x, y: the last point repeats the first."""
Polygon = tuple[Ring, ...]
"""Outer ring first, then the holes."""

_NAMESPACE = uuid.UUID("6f1d4f0e-3b1c-5c52-9d0e-5ec04d4ead00")
TUMOUR = "Tumor"
"""QuPath's own class name for invasive tumour."""
_COLOURS = {TUMOUR: (200, 0, 0)}
_ARTEFACT_COLOUR = (90, 90, 200)


@dataclass(frozen=True, slots=True)
class TruthRegion:
    """One planted thing: its class and its outline."""

    name: str
    """"Tumor", or "Artefact: " and the kind."""
    polygons: tuple[Polygon, ...]
    """One a connected part, the largest first; level-0 pixels."""
    area_mm2: float

    @property
    def is_lesion(self) -> bool:
        """True for planted tumour, False for artefacts."""
        return self.name == TUMOUR


@dataclass(frozen=True, slots=True)
class PhantomTruth:
    """Everything planted on one slide."""

    slide: str
    regions: tuple[TruthRegion, ...]

    @property
    def lesions(self) -> tuple[TruthRegion, ...]:
        """The planted tumours."""
        return tuple(region for region in self.regions if region.is_lesion)

    @property
    def artefacts(self) -> tuple[TruthRegion, ...]:
        """The planted artefacts."""
        return tuple(region for region in self.regions if not region.is_lesion)


def outlines(mask: NDArray[np.bool_], *, px_per_cell: float, smallest_cells: int = 6) -> tuple[Polygon, ...]:
    """Return the outlines of a mask's connected parts, with their holes.

    Args:
        mask: bool (H, W).
        px_per_cell: Level-0 pixels per mask pixel.
        smallest_cells: Parts and holes with fewer mask pixels are left out.

    Returns:
        Polygons along the pixel edges, clockwise on the screen, in level-0 pixels.
    """

    def ring(part: NDArray[np.bool_]) -> Ring:
        return tuple((x * px_per_cell, y * px_per_cell) for x, y in _trace(np.pad(part, 1)))

    polygons: list[Polygon] = []
    for part in _parts(mask, smallest_cells):
        filled = binary_fill_holes(part)
        polygons.append((ring(part), *(ring(hole) for hole in _parts(filled & ~part, smallest_cells))))
    return tuple(polygons)


def _parts(mask: NDArray[np.bool_], smallest_cells: int) -> list[NDArray[np.bool_]]:
    """Return the connected parts of a mask, the largest first."""
    labels, count = label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return [labels == part for part in np.argsort(-sizes[1:], kind="stable") + 1 if sizes[part] >= smallest_cells]


def _trace(padded: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Walk around the outside of a single padded part, the part on the right hand; corners only."""
    row = int(np.argmax(padded.any(axis=1)))
    column = int(np.argmax(padded[row]))
    start = position = (column, row)
    step = (1, 0)
    corners = [start]
    while True:
        position = (position[0] + step[0], position[1] + step[1])
        turned = _turn(padded, position, step)
        if position == start:
            break
        if turned != step:
            corners.append(position)
        step = turned
    corners.append(start)
    return [(x - 1, y - 1) for x, y in corners]


def _turn(padded: NDArray[np.bool_], position: tuple[int, int], step: tuple[int, int]) -> tuple[int, int]:
    """Return the next step at a lattice point: right if the wall ends, left if it blocks, else straight on."""
    x, y = position
    right = (-step[1], step[0])
    ahead_left = padded[y + (step[1] - right[1] - 1) // 2, x + (step[0] - right[0] - 1) // 2]
    ahead_right = padded[y + (step[1] + right[1] - 1) // 2, x + (step[0] + right[0] - 1) // 2]
    if not ahead_right:
        return right
    if ahead_left:
        return (step[1], -step[0])
    return step


def write_geojson(truth: PhantomTruth, path: Path) -> None:
    """Write a FeatureCollection: one annotation a connected part, with its class and colour."""
    features = [
        {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, f"{truth.slide}/{number}/{part}")),
            "geometry": {"type": "Polygon", "coordinates": [[list(point) for point in ring] for ring in polygon]},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": region.name, "color": list(_COLOURS.get(region.name, _ARTEFACT_COLOUR))},
                "measurements": {"region area mm2": round(region.area_mm2, 5)},
                "isLocked": True,
            },
        }
        for number, region in enumerate(truth.regions)
        for part, polygon in enumerate(region.polygons)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=1), encoding="utf-8")
