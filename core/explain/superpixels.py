"""Superpixels: small connected pieces of one colour, for LIME.

Simple linear iterative clustering (Achanta et al., IEEE TPAMI 2012;34:2274-2282) in a few lines, because tiles are
small enough to compare every pixel with every centre. Colours are optical densities, in which equal amounts of stain
are equally far apart; the paper uses CIELAB, made for photographs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from core.optics import DEFAULT_GLASS, optical_density

ROUNDS = 10
"""Rounds of assigning and moving; the paper finds ten enough."""
COMPACTNESS = 0.35
"""How much a distance of one step between centres weighs against a unit of optical density; larger = squarer."""


def superpixels(tile: NDArray[np.uint8], *, count: int) -> NDArray[np.int64]:
    """Cut a tile into about `count` connected pieces.

    Args:
        tile: (H, W, 3) RGB.
        count: Pieces wanted, laid out as a square grid to begin with.

    Returns:
        (H, W) numbers from 0 on without gaps; the same tile always gives the same pieces.

    Raises:
        ValueError: the count is not positive.
    """
    if count < 1:
        raise ValueError(f"A tile is cut into at least one piece, not {count}.")
    height, width = tile.shape[:2]
    side = max(1, min(round(math.sqrt(count)), height, width))
    step = math.sqrt(height * width) / side
    y, x = np.mgrid[0:height, 0:width]
    place = np.stack([x, y], axis=-1).reshape(-1, 2) * (COMPACTNESS / step)
    pixels = np.concatenate([_density(tile).reshape(-1, 3), place], axis=1).astype(np.float32)
    nearest = _grid(height, width, side)
    for _ in range(ROUNDS):
        moved = _nearest(pixels, _centres(pixels, nearest))
        if np.array_equal(moved, nearest):
            break
        nearest = moved
    return _connected(nearest.reshape(height, width), smallest=round(step * step / 4))


def _density(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
    return optical_density(tile, glass=np.asarray(DEFAULT_GLASS, np.float32))


def _grid(height: int, width: int, side: int) -> NDArray[np.int64]:
    rows, columns = np.arange(height) * side // height, np.arange(width) * side // width
    return (rows[:, None] * side + columns[None, :]).reshape(-1)


def _centres(pixels: NDArray[np.float32], nearest: NDArray[np.int64]) -> NDArray[np.float32]:
    numbers, dense = np.unique(nearest, return_inverse=True)
    sums = np.stack(
        [np.bincount(dense, weights=pixels[:, one], minlength=len(numbers)) for one in range(pixels.shape[1])]
    )
    return (sums / np.bincount(dense)).T.astype(np.float32)


def _nearest(pixels: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    distance = (centres**2).sum(axis=1)[None, :] - 2 * pixels @ centres.T
    return distance.argmin(axis=1).astype(np.int64)


def _connected(pieces: NDArray[np.int64], *, smallest: int) -> NDArray[np.int64]:
    """Give every connected part a number of its own, and merge small parts into the neighbour they touch most."""
    parts = np.zeros(pieces.shape, np.int64)
    count = 0
    for number in np.unique(pieces):
        found, several = label(pieces == number)
        parts[found > 0] = found[found > 0] + count - 1
        count += several
    for part in np.argsort(np.bincount(parts.ravel()), kind="stable"):
        inside = parts == part
        if not 0 < int(inside.sum()) < smallest:
            continue
        touching = _touching(parts, inside)
        if len(touching):
            parts[inside] = int(np.bincount(touching).argmax())
    return np.unique(parts, return_inverse=True)[1].reshape(pieces.shape)


def _touching(parts: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the numbers of the pixels that share an edge with a part, one entry an edge."""
    found: list[NDArray[np.int64]] = []
    for axis in (0, 1):
        one, two = np.moveaxis(parts, axis, 0), np.moveaxis(inside, axis, 0)
        found += [one[1:][two[:-1] & ~two[1:]], one[:-1][two[1:] & ~two[:-1]]]
    return np.concatenate(found)
