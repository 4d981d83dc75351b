"""The border of a mask as closed rings, for drawing it at any zoom."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int]


def rings_of(mask: NDArray[np.bool_], *, scale: tuple[float, float]) -> list[list[list[float]]]:
    """Return the borders of the True area, along the edges of pixels.

    Args:
        mask: (h, w) bool.
        scale: What one mask pixel measures along x and y in the frame of the result.

    Returns:
        Closed rings of [x, y], first point repeated at the end, through the middles of the pixel edges, so that a slope
        is no staircase; nowhere further than half a mask pixel from the border. The True area lies to the right of the
        way: outer borders run clockwise on the screen, holes counter-clockwise. Points in straight runs are left out.
    """
    following = _steps(mask)
    rings: list[list[list[float]]] = []
    while following:
        start = next(iter(following))
        corners = np.array(_follow(following, start), np.float64)
        points = _without_straight((corners + np.roll(corners, -1, axis=0)) / 2) * scale
        rings.append([*points.tolist(), points[0].tolist()])
    return rings


def _steps(mask: NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """Map every corner to the corners that border edges lead to from it."""
    padded = np.pad(mask, 1)
    following: dict[Corner, list[Corner]] = defaultdict(list)
    here = padded[1:-1, 1:-1]
    sides = (
        (here & ~padded[:-2, 1:-1], (0, 0), (1, 0)),
        (here & ~padded[1:-1, 2:], (1, 0), (1, 1)),
        (here & ~padded[2:, 1:-1], (1, 1), (0, 1)),
        (here & ~padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    for border, (x0, y0), (x1, y1) in sides:
        for y, x in np.argwhere(border).tolist():
            following[(x + x0, y + y0)].append((x + x1, y + y1))
    return following


def _follow(following: dict[Corner, list[Corner]], start: Corner) -> list[Corner]:
    """Take one ring out of the steps. Where two pixels touch at a corner the way turns right and keeps them apart."""
    ring, corner, heading = [start], start, (0, 0)
    while True:
        choices = following[corner]
        turn_right = (corner[0] - heading[1], corner[1] + heading[0])
        target = turn_right if turn_right in choices else choices[0]
        choices.remove(target)
        if not choices:
            del following[corner]
        if target == start:
            return ring
        heading, corner = (target[0] - corner[0], target[1] - corner[1]), target
        ring.append(corner)


def _without_straight(points: NDArray[np.float64]) -> NDArray[np.float64]:
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    bends: NDArray[np.bool_] = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return points[bends]
