"""Polygons of GeoJSON as masks, so that areas can be compared with tiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.domain import Size
from core.errors import InputError

Ring = list[tuple[float, float]]


def polygons_of(geometry: Mapping[str, Any]) -> list[list[Ring]]:
    """Return the polygons of a geometry, each as its outer ring and its holes; points and lines have none.

    Raises:
        InputError: a ring is no list of at least three points of finite numbers.
    """
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Polygon":
        return [[_ring(ring) for ring in _items(coordinates)]]
    if kind == "MultiPolygon":
        return [[_ring(ring) for ring in _items(polygon)] for polygon in _items(coordinates)]
    return []


def paint(mask: NDArray[np.bool_], polygon: list[Ring], *, downsample: tuple[float, float]) -> None:
    """Set the pixels whose centres lie in a polygon but not in its holes, in a mask that covers the slide.

    Along each row of pixel centres, inside and outside change places wherever an edge is crossed (even-odd rule).

    Args:
        mask: (h, w), changed in place.
        polygon: Outer ring and holes in level-0 pixels; what lies beyond the slide is left out.
        downsample: Level-0 pixels per mask pixel along x and y.
    """
    start, end = _edges(polygon, downsample=downsample)
    height, width = mask.shape
    first = np.clip(np.ceil(np.minimum(start[:, 1], end[:, 1]) - 0.5), 0, height).astype(np.intp)
    last = np.clip(np.ceil(np.maximum(start[:, 1], end[:, 1]) - 0.5), 0, height).astype(np.intp)
    crossed = last - first
    if not crossed.any():
        return
    edge = np.repeat(np.arange(len(start)), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[edge]
    slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
    x = start[edge, 0] + (row + 0.5 - start[edge, 1]) * slope
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
    top, left = int(row.min()), int(column.min())
    bottom, right = int(row.max()) + 1, int(column.max()) + 1
    changes = np.zeros((bottom - top, right - left), np.int32)
    np.add.at(changes, (row - top, column - left), 1)
    inside = np.cumsum(changes, axis=1) % 2 == 1
    mask[top:bottom, left : min(right, width)] |= inside[:, : min(right, width) - left]


def _edges(polygon: list[Ring], *, downsample: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return start and end of every edge, (E, 2), in mask pixels; rings that are not closed are closed."""
    rings = [np.array(ring, np.float64) / downsample for ring in polygon]
    return np.concatenate(rings), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])


def mask_shape(size: Size, *, cell: Size, most_px: int) -> tuple[int, int]:
    """Return (h, w) of a mask with one pixel a cell of level-0 pixels, or a larger one where it would be too big."""
    coarser = max(1.0, math.sqrt(size.width * size.height / (cell.width * cell.height) / most_px))
    width, height = size.width / (cell.width * coarser), size.height / (cell.height * coarser)
    return max(1, math.ceil(height)), max(1, math.ceil(width))


def _ring(value: object) -> Ring:
    points: Ring = []
    for item in _items(value):
        pair = _items(item)
        if len(pair) < 2 or not all(isinstance(number, int | float) and math.isfinite(number) for number in pair[:2]):
            raise InputError("An annotation has a corner that is not two numbers. Export it from QuPath again.")
        points.append((float(cast("float", pair[0])), float(cast("float", pair[1]))))
    if len(set(points)) < 3:
        raise InputError("An annotation has an outline of fewer than three corners. Export it from QuPath again.")
    return points


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise InputError("An annotation has no list of corners. Export it from QuPath as GeoJSON again.")
    return cast("list[object]", value)
