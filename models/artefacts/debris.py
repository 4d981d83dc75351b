"""Tissue that falls to pieces: a ragged edge, fragments that drift away from it, and single cells on the glass."""

from __future__ import annotations

import numpy as np

from models.artefacts.change import Change, Image, Plane, changed, density, light
from models.artefacts.shapes import Random, centred, log_uniform, random_line, smooth_noise, soft_step

NUCLEAR = np.array([0.65, 0.70, 0.35], np.float32)
"""Density in R, G, B of a loose nucleus, about that of haematoxylin."""


def debris(clean: Image, random: Random) -> Change:
    """Break a tile's tissue up beyond a ragged line; what is left thins out with the distance from it.

    Args:
        clean: (H, W, 3) RGB 0-255.
        random: Source of chance.
    """
    shape = clean.shape[0], clean.shape[1]
    line = random_line(shape, random, bend=0.01, wobble_px=10)
    beyond = line.across + _ragged(shape, random)
    reach = log_uniform(random, 0.15, 0.8) * min(shape)
    size = log_uniform(random, 2, 9)
    thinning = random.uniform(-0.3, 0.6) + 1.6 * beyond / reach
    pieces = soft_step(smooth_noise(shape, random, scale_px=size) - thinning, width_px=random.uniform(0.2, 0.6))
    loose = soft_step(beyond, width_px=1)
    kept = (1 - loose) * _eaten(beyond, random) + loose * pieces
    drift = random.integers(-6, 7, 2)
    below = density(clean)
    drifted = np.roll(below, tuple(map(int, drift)), axis=(0, 1)) * random.uniform(0.6, 1.3)
    after = np.where(beyond[..., None] > 0, drifted, below) * kept[..., None]
    after = after + _cells(beyond, reach, random)[..., None] * NUCLEAR
    glass = np.maximum(np.quantile(clean.reshape(-1, 3), 0.98, axis=0), random.uniform(225, 248))
    image = light(after.astype(np.float32)) * (glass / 255)
    image = np.where((kept[..., None] > 0.995) & (beyond[..., None] < 0), clean, image)
    there = below.mean(-1) > 0.1
    core = (kept < 0.5) & (np.abs(beyond) < reach) & there
    return changed(clean, image, mask=np.ones(shape, np.bool_), core=core)


def _ragged(shape: tuple[int, int], random: Random) -> Plane:
    """Return how far a ragged edge strays from its line, px: coarse bays with finer ones in them."""
    total = np.zeros(shape, np.float32)
    for scale in (20.0, 8.0, 3.0):
        total = total + random.uniform(0.1, 0.4) * scale * smooth_noise(shape, random, scale_px=scale)
    return total


def _eaten(beyond: Plane, random: Random) -> Plane:
    """Return (H, W) 0-1, 1 where tissue before the edge is whole: it is riddled towards the edge."""
    shape = beyond.shape[0], beyond.shape[1]
    depth = random.uniform(2, 25)
    limit = random.uniform(0.6, 1.8) - 1.5 * beyond / depth
    return 1 - soft_step(smooth_noise(shape, random, scale_px=log_uniform(random, 2, 7)) - limit, width_px=0.4)


def _cells(beyond: Plane, reach: float, random: Random) -> Plane:
    """Return (H, W) the strength of loose cells, round and small, fewer the farther from the edge."""
    shape: tuple[int, int] = (beyond.shape[0], beyond.shape[1])
    y, x = centred(shape)
    fewer = np.exp(-np.abs(np.asarray(beyond, np.float32)) / reach)
    found = np.zeros(shape, np.float32)
    for _ in range(int(random.integers(0, 60))):
        row, column = (int(random.integers(side)) for side in shape)
        if random.random() > fewer[row, column]:
            continue
        radius = random.uniform(0.6, 1.8)
        near = np.s_[max(row - 5, 0) : row + 6, max(column - 5, 0) : column + 6]
        distance = np.hypot(y[near] - y[row, column], x[near] - x[row, column])
        spot = soft_step(radius - distance, width_px=0.8) * np.float32(random.uniform(0.4, 1.6))
        found[near] = np.maximum(found[near], spot)
    return found
