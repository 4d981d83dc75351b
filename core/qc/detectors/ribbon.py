"""The outline of a strip: two edges that run along it where what lies is half way between inside and beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

ALONG_UM = 10.0
ACROSS_UM = 4.0
SMOOTHING_UM = 50.0
"""Sigma along the strip over which its middle is smoothed."""
LEVEL_UM = 100.0
"""Sigma along the strip over which the densities inside and beside are taken."""
BEYOND_UM = 150.0
"""How far beyond its found ends a strip is looked at."""
MARGIN_UM = 110.0
"""How far beyond its supposed width."""
MAX_HALF_UM = 300.0
BESIDE_UM = (16.0, 72.0)
"""Distance from an edge within which the density beside is taken: nearer lies the shadow of a raised edge."""
MIN_SEEN_PX = 3.0
"""Tissue across one side that its density needs."""
TURN_COST = 1.2
"""What a step of an edge aside costs, in pixels that it would win."""
MAX_ASIDE = 2
ASIDE = (0, -1, 1, -2, 2)
"""Steps aside that an edge may take from one place to the next."""
ROUNDS = 2
"""How often the middle is moved to the middle of the edges."""
MIN_WIDTH_UM = 16.0
MIN_LENGTH_UM = 80.0
MIN_RATIO = 1.3
"""What the densest quarter of a strip must hold per what lies beside, for it to be looked at any further."""


@dataclass(frozen=True, slots=True, eq=False)
class Ribbon:
    """A strip with its edges; row i of every table is a place along it, `ALONG_UM` after the one before."""

    middle_px: NDArray[np.float64]
    """(n, 2) row and column."""
    normal: NDArray[np.float64]
    """(n, 2) of length 1, across."""
    left_um: NDArray[np.float64]
    """(n,) offset of one edge along the normal."""
    right_um: NDArray[np.float64]
    """(n,) of the other; the same where there is nothing of the strip."""

    @property
    def width_um(self) -> NDArray[np.float64]:
        """Return (n,) the distance between the edges."""
        return self.right_um - self.left_um

    def part(self, first: int, last: int) -> Ribbon:
        """Return the places from `first` to before `last`."""
        cut = slice(first, last)
        return Ribbon(self.middle_px[cut], self.normal[cut], self.left_um[cut], self.right_um[cut])

    def offsets_um(self, *, beyond_um: float) -> NDArray[np.float64]:
        """Return offsets along the normal, `ACROSS_UM` apart, that hold both edges and so much more."""
        reach = max(-float(self.left_um.min()), float(self.right_um.max())) + beyond_um
        count = int(np.ceil(reach / ACROSS_UM))
        return np.arange(-count, count + 1, dtype=np.float64) * ACROSS_UM

    def sampled(
        self, plane: NDArray[np.float32], offsets_um: NDArray[np.float64], *, um_per_px: float
    ) -> NDArray[np.float32]:
        """Return a plane along and across, (n, offsets); 0 outside."""
        places = self.middle_px[:, :, None] + self.normal[:, :, None] * (offsets_um / um_per_px)
        return np.asarray(
            ndimage.map_coordinates(plane, np.moveaxis(places, 1, 0), order=1, mode="constant"), np.float32
        )

    def drawn(self, shape: tuple[int, ...], *, um_per_px: float) -> NDArray[np.bool_]:
        """Return (H, W), True within."""
        sides = [self.middle_px + self.normal * (edge / um_per_px)[:, None] for edge in (self.left_um, self.right_um)]
        corners = np.concatenate([sides[0], sides[1][::-1]])[:, ::-1]
        image = Image.new("1", (shape[1], shape[0]))
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in corners], fill=1)
        return np.array(image)


def outlined(
    path_px: NDArray[np.float64],
    width_px: float,
    amount: NDArray[np.float32],
    seen: NDArray[np.float32],
    *,
    um_per_px: float,
) -> Ribbon | None:
    """Find the edges of a strip.

    Args:
        path_px: (n, 2) its middle, roughly.
        width_px: Its width, roughly.
        amount: (H, W) what lies where, 0 outside of tissue.
        seen: (H, W) 1 on tissue, 0 elsewhere.
        um_per_px: Scale of all.

    Returns:
        None if there is no strip.
    """
    step_px, half_um = ALONG_UM / um_per_px, width_px * um_per_px / 2
    path = _lengthened(_smoothed(_spaced(path_px, step_px), SMOOTHING_UM), step_px)
    ribbon = _level(path, np.full(len(path), half_um))
    for round_number in range(ROUNDS + 1):
        ribbon, ratio = _edged(ribbon, amount, seen, um_per_px=um_per_px)
        wide = ribbon.width_um >= MIN_WIDTH_UM
        if wide.sum() * ALONG_UM < MIN_LENGTH_UM or np.percentile(ratio[wide], 75) < MIN_RATIO:
            return None
        if round_number == ROUNDS:
            break
        path, half = _recentred(ribbon, um_per_px=um_per_px)
        ribbon = _level(path, half)
    return ribbon


def _level(path: NDArray[np.float64], half_um: NDArray[np.float64]) -> Ribbon:
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return Ribbon(path, np.stack([-along[:, 1], along[:, 0]], axis=1), -half_um, half_um)


def _recentred(ribbon: Ribbon, *, um_per_px: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smoothed middle between the edges, evenly spaced, and half the width there."""
    width = ribbon.width_um
    offset = weighted_along((ribbon.left_um + ribbon.right_um) / 2, np.maximum(width, 1.0), SMOOTHING_UM)
    moved = _smoothed(ribbon.middle_px + ribbon.normal * (offset / um_per_px)[:, None], SMOOTHING_UM / 2)
    path = _spaced(moved, ALONG_UM / um_per_px)
    half = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(width)), width / 2)
    return path, np.maximum(half, MIN_WIDTH_UM / 2)


def _edged(
    ribbon: Ribbon, amount: NDArray[np.float32], seen: NDArray[np.float32], *, um_per_px: float
) -> tuple[Ribbon, NDArray[np.float64]]:
    """Move both edges to where they part inside from beside best; also return (n,) the ratio of the two."""
    beyond = min(MARGIN_UM, max(0.0, MAX_HALF_UM - float(ribbon.right_um.max())))
    offsets = ribbon.offsets_um(beyond_um=beyond + BESIDE_UM[1])
    values, solid = (ribbon.sampled(plane, offsets, um_per_px=um_per_px) for plane in (amount, seen))
    inside, sides = levels(ribbon, values, solid, offsets)
    centre = len(offsets) // 2
    gains: list[NDArray[np.float64]] = []
    for outward, side in ((values[:, centre::-1], sides[0]), (values[:, centre:], sides[1])):
        half_way, step = (inside + side) / 2, np.maximum(inside - side, 0.1 * inside + 1e-3)
        gain = np.clip((outward - half_way[:, None]) / step[:, None], -2, 2)
        gains.append(np.cumsum(gain, axis=1) - gain[:, :1] / 2)
    edges = _best_lines(np.stack(gains, axis=1))
    far = np.where(edges > 0, (edges + 0.5) * ACROSS_UM, 0.0)
    return Ribbon(ribbon.middle_px, ribbon.normal, -far[:, 0], far[:, 1]), inside / np.maximum(np.maximum(*sides), 1e-3)


def levels(
    ribbon: Ribbon,
    values: NDArray[np.float32],
    solid: NDArray[np.float32],
    offsets_um: NDArray[np.float64],
    *,
    sigma_um: float = LEVEL_UM,
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return (n,) the mean inside, and beside on the left and on the right; an unseen side is taken for the other."""
    middle, half = (ribbon.left_um + ribbon.right_um) / 2, ribbon.width_um / 2
    core = np.abs(offsets_um - middle[:, None]) < 0.6 * half[:, None] + ACROSS_UM
    inside, _ = mean_along(values, solid * core, sigma_um=sigma_um)
    (left, seen_left), (right, seen_right) = (
        mean_along(values, solid * side, sigma_um=sigma_um) for side in beside(ribbon, offsets_um)
    )
    neither = np.maximum(seen_left, seen_right) < MIN_SEEN_PX
    first = np.where(seen_left < MIN_SEEN_PX, right, left)
    second = np.where(seen_right < MIN_SEEN_PX, left, right)
    return inside, (np.where(neither, inside / 2, first), np.where(neither, inside / 2, second))


def beside(ribbon: Ribbon, offsets_um: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (n, offsets) what lies beside on the left and on the right."""
    left, right = ribbon.left_um[:, None] - offsets_um, offsets_um - ribbon.right_um[:, None]
    near, far = BESIDE_UM
    return (left > near) & (left < far), (right > near) & (right < far)


def mean_along(
    values: NDArray[np.float32], weight: NDArray[np.float32], *, sigma_um: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weighted mean across, smoothed along, and the weight."""
    total, seen = (values * weight).sum(1, dtype=np.float64), weight.sum(1, dtype=np.float64)
    sigma = sigma_um / ALONG_UM
    smooth_seen = np.asarray(ndimage.gaussian_filter1d(seen, sigma, mode="nearest"))
    return np.asarray(ndimage.gaussian_filter1d(total, sigma, mode="nearest")) / np.maximum(
        smooth_seen, 1e-6
    ), smooth_seen


def weighted_along(values: NDArray[np.float64], weight: NDArray[np.float64], sigma_um: float) -> NDArray[np.float64]:
    """Return (n,) smoothed along a ribbon."""
    sigma = sigma_um / ALONG_UM
    total, seen = (np.asarray(ndimage.gaussian_filter1d(v, sigma, mode="nearest")) for v in (values * weight, weight))
    return total / np.maximum(seen, 1e-9)


def _best_lines(gains: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (n, sides) the columns of the lines with the highest sum of gains less the cost of turning.

    Dynamic programming, row by row.

    Args:
        gains: (n, sides, columns).
    """
    count, sides, columns = gains.shape
    # A frame that nothing can win in, so that every move is a plain slice: this loop is most of the detector's time.
    sums = np.full((count, sides, columns + 2 * MAX_ASIDE), -np.inf)
    moved = [slice(MAX_ASIDE + aside, MAX_ASIDE + aside + columns) for aside in ASIDE]
    best = np.empty((sides, columns))
    sums[0, :, moved[0]] = gains[0]
    for row in range(1, count):
        before = sums[row - 1]
        np.copyto(best, before[:, moved[0]])
        for aside, columns_there in zip(ASIDE[1:], moved[1:], strict=True):
            np.maximum(best, before[:, columns_there] - TURN_COST * abs(aside), out=best)
        np.add(best, gains[row], out=sums[row, :, moved[0]])
    lines = np.zeros((count, sides), np.int64)
    reach, costs = np.array(ASIDE), TURN_COST * np.abs(ASIDE)
    lines[-1] = sums[-1].argmax(-1) - MAX_ASIDE
    for row in range(count - 1, 0, -1):
        places = lines[row][:, None] + reach
        ways = sums[row - 1, np.arange(sides)[:, None], places + MAX_ASIDE] - costs
        lines[row - 1] = places[np.arange(sides), ways.argmax(1)]
    return lines


def _spaced(path: NDArray[np.float64], step_px: float) -> NDArray[np.float64]:
    """Return a path in even steps."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    length = float(along[-1])
    wanted: NDArray[np.float64] = np.linspace(0, length, max(3, int(length / step_px) + 1))
    return np.stack([np.interp(wanted, along, path[:, axis]) for axis in (0, 1)], axis=1)


def _smoothed(path: NDArray[np.float64], sigma_um: float) -> NDArray[np.float64]:
    """Return a path of steps of `ALONG_UM` smoothed; its ends stay, as it is continued by its own mirror image."""
    reach = min(int(3 * sigma_um / ALONG_UM) + 1, len(path) - 1)
    before, after = 2 * path[0] - path[reach:0:-1], 2 * path[-1] - path[-2 : -reach - 2 : -1]
    whole = np.concatenate([before, path, after])
    return np.asarray(ndimage.gaussian_filter1d(whole, sigma_um / ALONG_UM, axis=0))[reach : reach + len(path)]


def _lengthened(path: NDArray[np.float64], step_px: float) -> NDArray[np.float64]:
    """Continue a path straight on by `BEYOND_UM` at both ends."""
    back = min(len(path) - 1, round(80 / ALONG_UM))
    away = np.arange(1, int(BEYOND_UM / ALONG_UM) + 1)[:, None] * step_px
    head, tail = path[0] - path[back], path[-1] - path[-1 - back]
    head, tail = (end / max(float(np.linalg.norm(end)), 1e-9) for end in (head, tail))
    return np.concatenate([(path[0] + away * head)[::-1], path, path[-1] + away * tail])
