"""Edges of coverslips and bubbles: light refracted at a rim, so dark and bright lines, and another picture beyond."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.artefacts.change import Change, Image, Mask, Plane, changed
from models.artefacts.defocus import gaussian
from models.artefacts.shapes import Random, centred, log_uniform, random_line, smooth_noise, soft_step


def bubble_edge(clean: Image, random: Random) -> Change:
    """Draw a rim through the tile: of a coverslip, straight, or of a bubble, round, whole if it is small.

    One in seven is neither: dried mounting medium or trapped air, whose thin outlines wander.
    """
    shape = clean.shape[0], clean.shape[1]
    wandering = random.random() < 0.14
    across = _outline(shape, random) if wandering else _rim(shape, random)
    image, beyond = _other_side(clean, across, random)
    lines = _lines(across, random, thin=wandering)
    if not wandering and random.random() < 0.35:  # seen through the edge of the glass: a broad grey band, softly shaded
        half = log_uniform(random, 3, 0.3 * min(shape))
        lines -= random.uniform(30, 190) * soft_step(half - np.abs(across), width_px=random.uniform(1, 2 * half))
    lines *= np.clip(1 + random.uniform(0, 0.5) * smooth_noise(shape, random, scale_px=14), 0.15, 2)
    tint = 1 + random.uniform(-0.1, 0.1, 3)
    image = image + lines[..., None] * tint
    return changed(clean, image, mask=beyond | (np.abs(lines) > 2), core=np.abs(lines) > 25)


def _lines(across: Plane, random: Random, *, thin: bool) -> Plane:
    """Light lost and won along the rim (H, W), grey levels: one to five dark and bright lines side by side."""
    lines = np.zeros(across.shape, np.float32)
    place = 0.0
    for _ in range(1 if thin else int(random.integers(1, 6))):
        width = log_uniform(random, 0.6, 1.5 if thin else 5)
        sign = -1 if thin or random.random() < 0.68 else 1
        lines += sign * random.uniform(60, 210) * np.exp(-0.5 * ((across - place) / width) ** 2)
        place += random.uniform(1.5, 5) * width * (1 if random.random() < 0.5 else -1)
    return lines


def _outline(shape: tuple[int, int], random: Random) -> Plane:
    """Distance (H, W), about px, from the outline of a level of a smooth field, which closes upon itself."""
    scale = log_uniform(random, 6, 30)
    field = smooth_noise(shape, random, scale_px=scale)
    down, right = np.diff(field, axis=0, append=field[-1:]), np.diff(field, axis=1, append=field[:, -1:])
    slope = np.hypot(down, right) + 0.3 / scale
    return (field - random.uniform(-0.5, 0.5)) / slope


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
