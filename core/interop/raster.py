"""Polygons of GeoJSON as masks, so that areas can be compared with tiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

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
    """Set the pixels of a polygon, without its holes, in a mask that covers the slide.

    Args:
        mask: (h, w), changed in place.
        polygon: Outer ring and holes in level-0 pixels; what lies beyond the slide is left out.
        downsample: Level-0 pixels per mask pixel along x and y.
    """
    # A mask pixel is named by its centre: half a pixel is taken off.
    rings = [[(x / downsample[0] - 0.5, y / downsample[1] - 0.5) for x, y in ring] for ring in polygon]
    xs, ys = [x for x, _ in rings[0]], [y for _, y in rings[0]]
    left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
    right, bottom = min(mask.shape[1], math.ceil(max(xs)) + 1), min(mask.shape[0], math.ceil(max(ys)) + 1)
    if right <= left or bottom <= top:
        return
    image = Image.new("1", (right - left, bottom - top))
    pencil = ImageDraw.Draw(image)
    for index, ring in enumerate(rings):
        pencil.polygon([(x - left, y - top) for x, y in ring], fill=0 if index else 1)
    mask[top:bottom, left:right] |= np.asarray(image, np.bool_)


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
