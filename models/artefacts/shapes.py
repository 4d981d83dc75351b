"""Random geometry in a tile: lines that wander, soft fields, and blobs, all in pixels of the tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from models.artefacts.change import Plane

Random = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line through a tile."""

    across: Plane
    """(H, W) signed distance from the line, px."""
    along: Plane
    """(H, W) position along it, px, 0 near the middle of the tile."""
    angle: float
    """Direction of `along`, radians from the x axis."""


def random_line(shape: tuple[int, int], random: Random, *, bend: float = 0.004, wobble_px: float = 1.5) -> Line:
    """Draw a line that passes near the middle of a tile: straight in part, otherwise bent and wandering.

    Args:
        shape: (height, width) of the tile, px.
        random: Source of chance.
        bend: Deviation of the curvature, 1/px.
        wobble_px: Largest deviation of the wandering.
    """
    y, x = centred(shape)
    side = min(shape)
    angle = random.uniform(0, 2 * np.pi)
    offset = random.uniform(-0.16, 0.16) * side
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle) - offset
    if random.random() < 0.6:
        across = across - random.normal(0, bend) * along**2
    if random.random() < 0.5:
        across = across + random.uniform(0, wobble_px) * smooth_noise(shape, random, scale_px=random.uniform(8, 25))
    return Line(across.astype(np.float32), along.astype(np.float32), float(angle))


def centred(shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Return y and x, px, with 0 in the middle of the tile."""
    height, width = shape
    y = np.arange(height, dtype=np.float32) - (height - 1) / 2
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    return np.repeat(y[:, None], width, 1), np.repeat(x[None], height, 0)


def smooth_noise(shape: tuple[int, int], random: Random, *, scale_px: float) -> Plane:
    """Return a smooth random field (H, W) with a mean of about 0 and a deviation of about 1.

    Args:
        shape: (height, width), px.
        random: Source of chance.
        scale_px: Distance over which it changes, px.
    """
    height, width = shape
    rows, columns = (max(2, round(side / scale_px) + 2) for side in shape)
    coarse = random.standard_normal((rows, columns)).astype(np.float32)
    field = np.asarray(Pillow.fromarray(coarse).resize((width, height), Pillow.Resampling.BICUBIC), np.float32)
    return field * np.float32(1.3)


def soft_step(value: NDArray[np.floating], *, width_px: float) -> Plane:
    """Return 0 where `value` is far below 0, 1 far above, with a ramp of about `width_px`; at least a hard step."""
    scaled = np.clip(value / max(width_px, 1e-3) * 4, -30, 30)
    return (1 / (1 + np.exp(-scaled))).astype(np.float32)


def band(line: Line, *, half_width_px: float | Plane, edge_px: float) -> Plane:
    """Return (H, W) 0-1: 1 within the half width of a line, with an edge of about `edge_px`."""
    return soft_step(half_width_px - np.abs(line.across), width_px=edge_px)


def log_uniform(random: Random, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform between those of the limits."""
    return low * (high / low) ** random.random()


def any_colour(random: Random) -> NDArray[np.float32]:
    """Draw an RGB colour 0-255 of any hue; one in five is black or grey."""
    if random.random() < 0.2:
        return np.full(3, random.uniform(0, 110), np.float32) + random.normal(0, 5, 3).astype(np.float32)
    return hue_colour(random.random(), saturation=random.uniform(0.45, 1), value=random.uniform(0.12, 0.95))


def hue_colour(hue: float, *, saturation: float, value: float) -> NDArray[np.float32]:
    """Return the RGB 0-255 of hue, saturation and value, each 0-1."""
    turns = np.array([hue, hue + 2 / 3, hue + 1 / 3])
    ramps = np.abs(turns % 1 * 6 - 3) - 1
    return (255 * value * (1 - saturation * (1 - np.clip(ramps, 0, 1)))).astype(np.float32)
