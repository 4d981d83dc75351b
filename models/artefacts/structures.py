"""Ordinary structures that the sources show too seldom at fine scale: fat, clefts, smooth lumens, a section's border.

They are gaps in the tissue, and yet nothing is damaged: without them the network learns that every gap is a tear.
"""

from __future__ import annotations

import numpy as np

from models.artefacts.change import Image, Plane
from models.artefacts.shapes import Random, centred, log_uniform, random_line, smooth_noise, soft_step


def fat(tile: Image, random: Random) -> Image:
    """Put fat cells into a part of the tile: empty, round to polygonal, with thin walls of the tile's own tissue."""
    shape = tile.shape[0], tile.shape[1]
    y, x = centred(shape)
    diameter = log_uniform(random, 9, 45)
    count = max(3, int(1.6 * shape[0] * shape[1] / diameter**2))
    places = random.uniform(-0.6, 0.6, (count, 2)) * min(shape)
    nearest = np.full((2, *shape), np.inf, np.float32)
    for top, left in places:
        distance = np.hypot(y - top, x - left)
        nearest[1] = np.minimum(nearest[1], np.maximum(nearest[0], distance))
        nearest[0] = np.minimum(nearest[0], distance)
    wall = random.uniform(1.2, 3.5)
    inside = np.minimum(nearest[1] - nearest[0] - wall, 0.62 * diameter - nearest[0])
    empty = soft_step(inside, width_px=random.uniform(0.8, 1.6))
    where = soft_step(smooth_noise(shape, random, scale_px=45) + random.uniform(-0.5, 2.5), width_px=0.15)
    return opened(tile, empty * where, random)


def clefts(tile: Image, random: Random) -> Image:
    """Draw fibres apart along one wandering direction: many narrow clefts, from a little paler to empty."""
    shape = tile.shape[0], tile.shape[1]
    line = random_line(shape, random, bend=0.006, wobble_px=8)
    profile = random.standard_normal(512)
    pitch = log_uniform(random, 0.8, 5)
    wander = random.uniform(0, 2) * smooth_noise(shape, random, scale_px=log_uniform(random, 6, 30))
    place = np.clip((line.across + wander) / pitch + 256, 0, 510)
    low = place.astype(np.intp)
    value = profile[low] + (place - low) * (profile[low + 1] - profile[low])
    value = value + 0.7 * smooth_noise(shape, random, scale_px=15)
    gap = soft_step(value - random.uniform(0.6, 1.6), width_px=random.uniform(0.3, 1.5))
    return opened(tile, gap * np.float32(random.uniform(0.3, 1)), random)


def lumens(tile: Image, random: Random) -> Image:
    """Open a few smooth holes with a firm rim, as ducts and vessels have."""
    shape = tile.shape[0], tile.shape[1]
    y, x = centred(shape)
    empty = np.zeros(shape, np.float32)
    for _ in range(int(random.integers(1, 4))):
        top, left = random.uniform(-0.5, 0.5, 2) * min(shape)
        angle, stretch, radius = random.uniform(0, np.pi), random.uniform(0.25, 1), log_uniform(random, 3, 28)
        u = (x - left) * np.cos(angle) + (y - top) * np.sin(angle)
        v = -(x - left) * np.sin(angle) + (y - top) * np.cos(angle)
        wave = 1 + random.uniform(0, 0.2) * smooth_noise(shape, random, scale_px=max(radius, 4))
        empty = np.maximum(empty, soft_step(radius * wave - np.hypot(u, v / stretch), width_px=1.2))
    return opened(tile, empty, random)


def border(tile: Image, random: Random) -> Image:
    """End the section within the tile: glass beyond one firm, wavy line."""
    shape = tile.shape[0], tile.shape[1]
    line = random_line(shape, random, bend=0.006, wobble_px=6)
    wave = random.uniform(0, 3) * smooth_noise(shape, random, scale_px=10)
    beyond = line.across + wave - random.uniform(0, 0.35) * min(shape)
    return opened(tile, soft_step(beyond, width_px=random.uniform(0.8, 2)), random)


def opened(tile: Image, empty: Plane, random: Random) -> Image:
    """Show glass where `empty` (H, W) is 1."""
    glass = max(float(random.uniform(228, 248)), float(np.quantile(tile, 0.97)))
    return tile + empty[..., None] * (glass - tile)
