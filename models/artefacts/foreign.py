"""Dust, dirt, fibres and other things that lie on the slide and belong to nobody's tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.artefacts.change import Change, Image, Plane, changed
from models.artefacts.shapes import Random, any_colour, band, centred, log_uniform, random_line, smooth_noise, soft_step


def dark_spot_foreign(clean: Image, random: Random) -> Change:
    """Lay an irregular speck or several, or a fibre, on the tile, in focus or not."""
    shape = clean.shape[0], clean.shape[1]
    cover = fibre(shape, random) if random.random() < 0.3 else specks(shape, random)
    if random.random() < 0.4:
        cover = np.asarray(ndimage.gaussian_filter(cover, log_uniform(random, 0.5, 6)), np.float32)
        cover = cover / max(float(cover.max()), 1e-3)
    if random.random() < 0.75:
        colour = random.uniform(0, 95) + random.normal(0, 12, 3)
        colour = colour + np.array([25, 8, -20]) * max(0, random.normal(0, 1))  # dirt is rather brown than blue
    else:
        colour = any_colour(random) * 0.8
    texture = 1 + 0.5 * smooth_noise(shape, random, scale_px=random.uniform(1.5, 6))[..., None]
    strength = random.uniform(0.4, 1)
    image = clean + (strength * cover)[..., None] * (np.clip(colour * texture, 0, 255) - clean)
    moved = np.abs(image - clean).mean(-1)
    return changed(clean, image, mask=cover > 0.01, core=moved > 30)


def specks(shape: tuple[int, int], random: Random) -> Plane:
    """Cover (H, W), 0-1, of one speck near the middle and, often, others anywhere."""
    cover = np.zeros(shape, np.float32)
    y, x = centred(shape)
    side = min(shape)
    several = int(random.integers(1, 9)) if random.random() < 0.5 else 1
    for number in range(several):
        reach = 0.12 if number == 0 else 0.5
        top, left = random.uniform(-reach, reach, 2) * side
        radius = log_uniform(random, 2.5 if number == 0 else 1.2, 0.28 * side)
        angle, stretch = random.uniform(0, np.pi), random.uniform(0.5, 1)
        u = (x - left) * np.cos(angle) + (y - top) * np.sin(angle)
        v = -(x - left) * np.sin(angle) + (y - top) * np.cos(angle)
        ragged = 1 + random.uniform(0, 0.45) * smooth_noise(shape, random, scale_px=max(radius * 0.6, 1.5))
        cover = np.maximum(
            cover, soft_step(radius * ragged - np.hypot(u, v / stretch), width_px=random.uniform(0.5, 2))
        )
    return cover


def fibre(shape: tuple[int, int], random: Random) -> Plane:
    """Cover (H, W), 0-1, of a thread that bends and may end within the tile."""
    line = random_line(shape, random, bend=0.02, wobble_px=5)
    thread = band(line, half_width_px=log_uniform(random, 0.8, 4), edge_px=random.uniform(0.5, 1.5))
    if random.random() < 0.5:
        thread = thread * soft_step(line.along + random.uniform(0, 0.3) * min(shape), width_px=2)
    hollow = random.random() < 0.3  # a hair is clear in its middle
    return thread * (1 - 0.7 * band(line, half_width_px=0.8, edge_px=1)) if hollow else thread
