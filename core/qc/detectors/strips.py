"""Strips: lines along which more lies than on both sides of them, of any direction and of several widths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

TURNS = 12
"""Directions that are tried: along a strip of `LENGTH_UM` the nearest one strays by less than 10 um."""
LENGTH_UM = 144.0
"""Length over which a strip is averaged: longer than the grain of tissue, short enough to follow a bend."""
WIDTHS_UM = (40.0, 72.0, 120.0, 190.0, 300.0)
BESIDE_UM = 50.0
"""Width of what a strip is compared with on either side."""
GAP_UM = 18.0
"""Distance of that from the strip: the shadow of a raised edge lies there."""
MIN_SEEN = 0.3
"""Share of tissue from which one side counts."""
OPEN_SIDE_SHARE = 0.85
"""Credit of a strip with one side alone, the other being glass."""
STEP_UM = 24.0
SEED_RATIO = 1.45
"""Ratio that a strip begins with."""
FOLLOW_RATIO = 1.2
"""Ratio down to which it is followed."""
MAX_MISSES = 2
"""Steps below that which are passed over."""
MIN_STEPS = 6
MAX_STEPS = 500
FULL_RATIO = 3.0
"""Higher ratios count as that: beside empty tissue any strand has one."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """One strip, roughly."""

    path_px: NDArray[np.float64]
    """(n, 2) row and column of its middle, in order."""
    width_px: float
    ratio: float
    """Mean ratio along it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """What a strip through each pixel would be, by direction, (turns, H, W) each."""

    ratio: NDArray[np.float32]
    width_px: NDArray[np.float32]


def find_strips(amount: NDArray[np.float32], weight: NDArray[np.float32], *, um_per_px: float) -> tuple[Strip, ...]:
    """Find strips, the clearest first.

    Args:
        amount: (H, W) what lies where, per tissue.
        weight: (H, W) 0-1 share of tissue; the rest is not compared.
        um_per_px: Scale of both, about 20.
    """
    field = _field_of(amount * weight, weight, um_per_px)
    found = _traced(field, step_px=STEP_UM / um_per_px)
    return tuple(sorted(found, key=lambda strip: -strip.ratio))


def _field_of(total: NDArray[np.float32], weight: NDArray[np.float32], um_per_px: float) -> _Field:
    """Turn the picture, so that strips lie along its rows, compare rows, and turn the answer back."""
    shape = (weight.shape[0], weight.shape[1])
    ratio, width = np.zeros((TURNS, *shape), np.float32), np.zeros((TURNS, *shape), np.float32)
    for turn in range(TURNS):
        angle = 180 / TURNS * turn
        best, wide = _level_strips(_turned(total, angle), _turned(weight, angle), um_per_px)
        ratio[turn], width[turn] = (_middle(_turned(values, -angle), shape) for values in (best, wide))
    return _Field(ratio, width)


def _level_strips(
    total: NDArray[np.float32], weight: NDArray[np.float32], um_per_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (H, W) the best ratio of a level strip about every pixel, and its width in pixels."""
    length = max(3, round(LENGTH_UM / um_per_px))
    beside, gap = max(2, round(BESIDE_UM / um_per_px)), max(1, round(GAP_UM / um_per_px))
    widths = sorted({max(2, round(width / um_per_px)) for width in WIDTHS_UM})
    reach = widths[-1] + gap + beside
    sums = [
        _row_sums(np.asarray(ndimage.uniform_filter1d(v, length, axis=0), np.float32), reach)
        for v in (total.T, weight.T)
    ]
    height = total.shape[0]

    def mean(low: int, high: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean of the rows from `low` to `high` off each row, and their share of tissue."""
        first, last = (slice(reach + row, reach + row + height) for row in (low, high))
        amount, seen = (table[:, last] - table[:, first] for table in sums)
        return np.asarray(amount / np.maximum(seen, 1e-3), np.float32), seen / np.float32(high - low)

    best, wide = np.zeros_like(total.T), np.zeros_like(total.T)
    for width in widths:
        low = -(width // 2)
        high = low + width
        inside, solid = mean(low, high)
        (above, over), (below, under) = mean(low - gap - beside, low - gap), mean(high + gap, high + gap + beside)
        denser = np.maximum(above * (over > MIN_SEEN), below * (under > MIN_SEEN))
        ratio = np.minimum(inside / np.maximum(denser, 1e-3), FULL_RATIO)
        ratio *= (solid > 0.5) & ((over > MIN_SEEN) | (under > MIN_SEEN))
        ratio *= np.where((over > MIN_SEEN) & (under > MIN_SEEN), np.float32(1), np.float32(OPEN_SIDE_SHARE))
        higher = ratio > best
        best[higher], wide[higher] = ratio[higher], width
    return best.T, wide.T


def _row_sums(columns: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Running sums along the second axis, continued beyond both ends."""
    total = np.cumsum(columns, axis=1, dtype=np.float64)
    return np.pad(np.pad(total, ((0, 0), (1, 0))), ((0, 0), (reach, reach)), mode="edge").astype(np.float32)


def _turned(values: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.rotate(angle, Image.Resampling.BILINEAR, expand=True), np.float32)


def _middle(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    top, left = ((have - want) // 2 for have, want in zip(values.shape, shape, strict=True))
    return values[top : top + shape[0], left : left + shape[1]]


def _traced(field: _Field, *, step_px: float) -> Iterator[Strip]:
    """Follow strips from their clearest point both ways; a pixel belongs to one strip."""
    top = field.ratio.max(0)
    free = np.ones(top.shape, np.bool_)
    seeds = np.flatnonzero(top >= SEED_RATIO)
    for seed in seeds[np.argsort(-top.ravel()[seeds], kind="stable")]:
        row, column = divmod(int(seed), top.shape[1])
        if not free[row, column]:
            continue
        turn = int(field.ratio[:, row, column].argmax())
        start = (float(row), float(column), turn)
        ahead, back = (_followed(field, free, start, sign=sign, step_px=step_px) for sign in (1, -1))
        steps = [*reversed(back), start, *ahead]
        path = np.array([step[:2] for step in steps])
        rows, columns = np.rint(path).astype(int).T
        turns = [step[2] for step in steps]
        width = float(np.median(field.width_px[turns, rows, columns]))
        _take(free, path, radius_px=max(1.5, width / 2 + 1))
        if len(path) >= MIN_STEPS:
            yield Strip(path, width, float(field.ratio[turns, rows, columns].mean()))


def _followed(
    field: _Field, free: NDArray[np.bool_], start: tuple[float, float, int], *, sign: int, step_px: float
) -> list[tuple[float, float, int]]:
    """Walk from a point along the direction of the best ratio."""
    row, column, turn = start
    steps: list[tuple[float, float, int]] = []
    misses = 0
    while len(steps) < MAX_STEPS:
        found = _next(field, free, row, column, turn, sign=sign, step_px=step_px)
        if found is None:
            break
        ratio, (row, column, turn, sign) = found
        misses = misses + 1 if ratio < FOLLOW_RATIO else 0
        steps.append((row, column, turn))
        if misses > MAX_MISSES:
            break
    return steps[: len(steps) - misses]


def _next(
    field: _Field, free: NDArray[np.bool_], row: float, column: float, turn: int, *, sign: int, step_px: float
) -> tuple[float, tuple[float, float, int, int]] | None:
    """Return the best of the nine next places, which differ in direction and offset; None where all are taken."""
    angle = np.pi / TURNS * turn
    down, right = sign * float(np.sin(angle)), sign * float(np.cos(angle))
    best = None
    for bend in (-1, 0, 1):
        # Half a turn on, the first direction comes again, the other way round.
        around = not 0 <= turn + bend < TURNS
        for offset in (-1, 0, 1):
            place = (row + down * step_px - right * offset, column + right * step_px + down * offset)
            r, c = round(place[0]), round(place[1])
            if not (0 <= r < free.shape[0] and 0 <= c < free.shape[1] and free[r, c]):
                continue
            ratio = float(field.ratio[(turn + bend) % TURNS, r, c]) * (1 - 0.04 * abs(bend) - 0.03 * abs(offset))
            if best is None or ratio > best[0]:
                best = ratio, (*place, (turn + bend) % TURNS, -sign if around else sign)
    return best


def _take(free: NDArray[np.bool_], path: NDArray[np.float64], *, radius_px: float) -> None:
    """Mark what lies within a distance of a path."""
    reach = int(np.ceil(radius_px))
    for row, column in path:
        top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
        part = free[top : int(row) + reach + 2, left : int(column) + reach + 2]
        rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        part &= (rows - row) ** 2 + (columns - column) ** 2 > radius_px**2
