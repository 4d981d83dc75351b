"""Edges of coverslips and bubbles: light refracted at a rim, so dark and bright lines, and another picture beyond."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.artefacts.change import Change, Image, Mask, Plane, changed
from models.artefacts.defocus import gaussian
from models.artefacts.shapes import Random, centred, log_uniform, random_line, smooth_noise, soft_step


def bubble_edge(clean: Image, random: Random) -> Change:
    """Draw a rim through the tile: of a coverslip, straight, or of a bubble, round, whole if it is small."""
    shape = clean.shape[0], clean.shape[1]
    across = _rim(shape, random)
    image, beyond = _other_side(clean, across, random)
    lines = np.zeros(shape, np.float32)
    place = 0.0
    for _ in range(int(random.integers(1, 4))):
        width = log_uniform(random, 0.6, 5)
        profile = np.exp(-0.5 * ((across - place) / width) ** 2)
        sign = -1 if random.random() < 0.68 else 1
        lines += (sign * random.uniform(60, 210) * profile).astype(np.float32)
        place += random.uniform(1.5, 4) * width * (1 if random.random() < 0.5 else -1)
    if random.random() < 0.25:  # seen through the edge of the glass: a broad dark band
        half = log_uniform(random, 3, 0.3 * min(shape))
        lines -= random.uniform(40, 190) * soft_step(half - np.abs(across), width_px=random.uniform(1, half))
    lines *= np.clip(1 + random.uniform(0, 0.5) * smooth_noise(shape, random, scale_px=14), 0.15, 2)
    tint = 1 + random.uniform(-0.1, 0.1, 3)
    image = image + lines[..., None] * tint
    return changed(clean, image, mask=beyond | (np.abs(lines) > 2), core=np.abs(lines) > 25)


def _rim(shape: tuple[int, int], random: Random) -> Plane:
    """Signed distance (H, W) from the rim, px."""
    if random.random() < 0.55:
        return random_line(shape, random, bend=0.005, wobble_px=2).across
    y, x = centred(shape)
    radius = log_uniform(random, 5, 6 * min(shape))
    angle = random.uniform(0, 2 * np.pi)
    reach = radius + random.uniform(-0.16, 0.16) * min(shape)
    middle = 0 if radius < 0.22 * min(shape) and random.random() < 0.6 else reach
    distance = np.hypot(x - middle * np.cos(angle), y - middle * np.sin(angle))
    return (distance - radius + random.uniform(0, 1.5) * smooth_noise(shape, random, scale_px=20)).astype(np.float32)


def _other_side(clean: Image, across: Plane, random: Random) -> tuple[Image, Mask]:
    """The picture beyond the rim: moved, dimmed, hazy or out of focus, in half of all tiles as it was."""
    if random.random() < 0.5:
        return clean, np.zeros(across.shape, np.bool_)
    other = clean
    if random.random() < 0.6:
        shift = random.uniform(-5, 5, 2)
        other = ndimage.shift(other, (*shift, 0), order=1, mode="reflect")
    if random.random() < 0.5:
        other = gaussian(other, sigma_px=random.uniform(0.5, 3))
    contrast, grey = random.uniform(0.45, 1.05), random.uniform(90, 245)
    other = other * contrast + (1 - contrast) * grey - random.uniform(0, 40) * (random.random() < 0.5)
    weight = soft_step(across, width_px=random.uniform(0.6, 3))
    return (clean + weight[..., None] * (other - clean)).astype(np.float32), weight > 0.01
