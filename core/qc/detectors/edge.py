"""The edge of a coverslip followed across the image from where a piece of it is plain.

Over tissue such a line keeps the tissue's colour and is not grey; but it goes on, straight or gently curved, from side
to side. Averaged along its course it stands out from everything beside it, which texture of tissue does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.qc.shapes import Pieces

PIECE_SHARE = 0.10
"""Share of the image's shorter side that a plain piece is long at least."""
PIECE_SLENDERNESS = 5.0
MAX_LINES = 6
"""Pieces that are followed, the longest first."""
REACH_SHARE = 0.04
"""How far beside the straight continuation a bent edge is looked for, as a share of the image's shorter side."""
WINDOWS = 16
"""Parts of the course that are looked at one by one."""
MIN_WINDOWS = 0.7
"""Share of them in which the line must be seen."""
CONTRAST = 0.03
"""How much darker than what lies beside it the line is on average, at least, in density."""
CLIP = 0.25
"""Highest contrast that a pixel counts for: a few dark grains make no line."""
SIGMAS = 6.0
"""By how many standard deviations of what lies beside it the line stands out."""
BESIDE = 3
"""Reaches on both sides; what lies beyond the first is what the line is compared with."""
FLANK = 0.35
"""Share of the line's contrast down to which its flanks belong to it."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A bent line: points (T,) along it, and its offset from the straight one."""

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    normal: tuple[float, float]
    """Unit vector across, (row, column)."""


def followed_edges(pieces: Pieces, contrast: Plane, *, max_width_px: float) -> NDArray[np.bool_]:
    """Follow long thin pieces of grey across the image.

    Args:
        pieces: Of grey matter.
        contrast: (H, W) how much darker every pixel is than its surroundings, in its clearest channel.
        max_width_px: Width of a line at most.

    Returns:
        (H, W), True on edges, with what lies between the two lines of a pair.
    """
    found = np.zeros(contrast.shape, np.bool_)
    long = pieces.extent_px >= PIECE_SHARE * min(contrast.shape)
    slender = (pieces.length_px >= PIECE_SLENDERNESS * pieces.width_px) & (pieces.width_px <= max_width_px)
    chosen = np.nonzero(long & slender)[0]
    clipped = np.clip(contrast, -CLIP, CLIP)
    for label in chosen[np.argsort(-pieces.extent_px[chosen])][:MAX_LINES]:
        points = np.argwhere(pieces.labels == label)
        if found[points[:, 0], points[:, 1]].mean() < 0.5:
            _follow(np.asarray(points, np.float64), clipped, found)
    return found


def _follow(points: NDArray[np.float64], contrast: Plane, found: NDArray[np.bool_]) -> None:
    """Mark one edge in `found`, if it is one."""
    course = _straight(points, contrast.shape)
    if len(course.row) < 4 * WINDOWS:
        return
    side = max(12, round(REACH_SHARE * min(contrast.shape)))
    for reach in (side, side // 2):
        course = _bent(course, contrast, reach)
    offsets, seen = _lines(_profiles(course, contrast, BESIDE * side), side)
    if not len(offsets):
        return
    windows = np.flatnonzero(seen)
    first, last = int(windows[0]), int(windows[-1])
    count = len(course.row)
    steps = np.arange(first * count // WINDOWS, (last + 1) * count // WINDOWS)
    for offset in np.arange(offsets.min(), offsets.max() + 1.0, 0.5):
        row = np.rint(course.row[steps] + offset * course.normal[0]).astype(np.int64)
        column = np.rint(course.column[steps] + offset * course.normal[1]).astype(np.int64)
        inside = (row >= 0) & (row < found.shape[0]) & (column >= 0) & (column < found.shape[1])
        found[row[inside], column[inside]] = True


def _lines(wide: NDArray[np.float64], side: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Tell whether a line runs along a course.

    Args:
        wide: (WINDOWS, 2 * BESIDE * side + 1) contrast across it.
        side: Offset within which a second line belongs to it.

    Returns:
        Offsets of its dark lines, none if it is no edge; and the windows (WINDOWS,) where it is seen.
    """
    near = slice((BESIDE - 1) * side, (BESIDE + 1) * side + 1)
    beside = np.delete(wide.mean(0), np.r_[near])
    ground = float(np.median(beside))
    spread = 1.4826 * float(np.median(np.abs(beside - ground))) + 1e-3
    height = wide[:, near].mean(0) - ground
    seen = wide[:, BESIDE * side - 1 : BESIDE * side + 2].max(1) - ground > CONTRAST / 2
    if seen.mean() < MIN_WINDOWS or height[side] < max(CONTRAST, SIGMAS * spread):
        return np.zeros(0, np.int64), seen
    dark = height > max(FLANK * float(height[side]), SIGMAS / 2 * spread, CONTRAST / 2)
    return np.nonzero(dark)[0] - side, seen


def _straight(points: NDArray[np.float64], shape: tuple[int, ...]) -> Course:
    """Return the straight line through points (N, 2), as far as it runs within the image."""
    middle = points.mean(0)
    spread = np.asarray(np.cov((points - middle).T), np.float64)
    along = np.asarray(np.linalg.eigh(spread)[1], np.float64)[:, -1]
    diagonal = math.hypot(shape[0], shape[1])
    step = np.arange(-diagonal, diagonal, 1.0)
    row, column = middle[0] + step * along[0], middle[1] + step * along[1]
    inside = (row >= 0) & (row <= shape[0] - 1) & (column >= 0) & (column <= shape[1] - 1)
    return Course(row[inside], column[inside], (-float(along[1]), float(along[0])))


def _bent(course: Course, contrast: Plane, reach: int) -> Course:
    """Bend a course towards where the line is darkest in each window, by a parabola that few outliers move."""
    profiles = _profiles(course, contrast, reach)
    best = profiles.argmax(1) - float(reach)
    weight = np.maximum(profiles.max(1) - np.median(profiles, axis=1), 1e-4)
    at = _powers(WINDOWS)
    factors = _fitted(at, best, weight)
    for _ in range(3):
        off = np.abs(at @ factors - best)
        factors = _fitted(at, best, weight / (1 + (off / 2) ** 2))
    offset = _powers(len(course.row)) @ factors
    return Course(course.row + offset * course.normal[0], course.column + offset * course.normal[1], course.normal)


def _powers(count: int) -> NDArray[np.float64]:
    """Terms of a parabola at the middles of so many equal steps, (count, 3)."""
    at = (np.arange(count) + 0.5) / count - 0.5
    return np.stack([np.ones(count), at, at * at], axis=1)


def _fitted(
    terms: NDArray[np.float64], values: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    weighted = terms * weight[:, None]
    return np.asarray(np.linalg.lstsq(weighted, values * weight, rcond=None)[0], np.float64)


def _profiles(course: Course, contrast: Plane, side: int) -> NDArray[np.float64]:
    """Mean contrast across the course, (WINDOWS, 2 * side + 1)."""
    offsets = np.arange(-side, side + 1.0)[:, None]
    places = [course.row + offsets * course.normal[0], course.column + offsets * course.normal[1]]
    values = np.asarray(ndimage.map_coordinates(contrast, places, order=1, mode="nearest"), np.float64)
    parts = np.array_split(values, WINDOWS, axis=1)
    return np.stack([part.mean(1) for part in parts])
