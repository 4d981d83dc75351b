"""Marker ink of any hue on tissue or glass: a filter where it is thin, a cover where it is thick."""

from __future__ import annotations

import numpy as np

from models.artefacts.change import Change, Image, Plane, changed, density, light
from models.artefacts.defocus import gaussian
from models.artefacts.shapes import Line, Random, any_colour, band, log_uniform, random_line, smooth_noise, soft_step

PLAIN = 0.12
"""Change of density, mean over RGB, from which ink is plain to see."""


def pen(clean: Image, random: Random) -> Change:
    """Draw one or two strokes, or fill the tile as the inside of a broad stroke does."""
    shape = clean.shape[0], clean.shape[1]
    colour = any_colour(random)
    ink = _stroke(shape, random)
    if random.random() < 0.15:
        ink = np.maximum(ink, _stroke(shape, random))
    after = gaussian(clean, sigma_px=random.uniform(0.5, 3)) if random.random() < 0.35 else clean
    after = clean + soft_step(ink - 0.1, width_px=0.1)[..., None] * (after - clean)
    thin = light(density(after) + ink[..., None] * density(colour[None, None]) * log_uniform(random, 0.35, 2.2))
    cover = random.uniform(0.5, 1) * min(1.0, random.exponential(0.5))
    image = thin + (cover * np.clip(ink, 0, 1))[..., None] * (colour - thin)
    moved = np.abs(density(np.clip(image, 0, 255)) - density(clean)).mean(-1)
    return changed(clean, image, mask=ink > 0.01, core=moved > PLAIN)


def _stroke(shape: tuple[int, int], random: Random) -> Plane:
    """Amount of ink (H, W), about 0-1.5: a stroke with streaks along it, a darker rim, and soft or sharp edges."""
    line = random_line(shape, random, bend=0.008, wobble_px=2)
    filled = random.random() < 0.25
    half = 4.0 * min(shape) if filled else log_uniform(random, 2, 0.45 * min(shape))
    edge = log_uniform(random, 0.5, 12) if random.random() < 0.8 else half
    ink = band(line, half_width_px=half, edge_px=min(edge, 2 * half))
    if random.random() < 0.35 and not filled:
        ink = ink * soft_step(line.along + random.uniform(-0.1, 0.4) * min(shape), width_px=random.uniform(1, 12))
    amount = 1 + random.uniform(0, 0.4) * smooth_noise(shape, random, scale_px=random.uniform(6, 40))
    if random.random() < 0.35:
        amount = amount * _streaks(line, random)
    if random.random() < 0.35 and not filled:
        rim = np.exp(-0.5 * ((np.abs(line.across) - half) / random.uniform(0.8, 3)) ** 2)
        amount = amount + random.uniform(0.2, 1) * rim
    return (ink * np.clip(amount, 0, 1.8)).astype(np.float32)


def _streaks(line: Line, random: Random) -> Plane:
    """A dry marker leaves gaps along its way: (H, W), 0-1."""
    profile = random.standard_normal(256).astype(np.float32)
    step = random.uniform(0.6, 4)
    place = np.clip(line.across / step + 128, 0, 254)
    low = place.astype(np.intp)
    value = profile[low] + (place - low) * (profile[low + 1] - profile[low])
    value = value + 0.6 * smooth_noise((line.across.shape[0], line.across.shape[1]), random, scale_px=25)
    return soft_step(value + random.uniform(0, 1), width_px=1.5)
