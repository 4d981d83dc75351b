"""A fold: the section lies double, so densities add up, with a sharp or shadowed edge.

That a fold is darker and more saturated is what detectors of folds live on (Bautista & Yagi, J Biomed Opt
2010;15:036018; Kothari et al., J Pathol Inform 2013;4:22).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from models.artefacts.change import Change, Image, Plane, changed, density, light
from models.artefacts.defocus import gaussian
from models.artefacts.shapes import Random, log_uniform, random_line, smooth_noise, soft_step

PLAIN = 0.1
"""Change of density, mean over RGB, from which a fold is plain to see."""


def fold(clean: Image, random: Random) -> Change:
    """Lay tissue double: in a band, straight or bent, that may taper off, or as a flap with straight borders."""
    shape = clean.shape[0], clean.shape[1]
    borders = _flap(shape, random) if random.random() < 0.35 else _band(shape, random)
    outside = np.max(borders, axis=0)
    weight = soft_step(-outside, width_px=random.uniform(0.6, 3))
    below = density(clean)
    layers = random.uniform(0.75, 1.6) if random.random() < 0.7 else random.uniform(1.6, 2.8)  # two layers or three
    doubled = below + layers * _second_layer(below, random)
    if random.random() < 0.35:  # the upper layer lies out of the plane of focus
        doubled = gaussian(doubled, sigma_px=random.uniform(0.5, 2))
    after = below + weight[..., None] * (doubled - below) + _edges(borders, below, random)
    plain = np.abs(after - below).mean(-1) > PLAIN
    return changed(clean, light(after), mask=outside < 8, core=(weight > 0.5) & plain)


def _band(shape: tuple[int, int], random: Random) -> Sequence[Plane]:
    """Return the signed distances, px, from both borders of a band; the band is where both are negative."""
    line = random_line(shape, random, bend=0.006, wobble_px=3)
    half = log_uniform(random, 1.5, 0.35 * min(shape)) * (1 + 0.2 * smooth_noise(shape, random, scale_px=20))
    if random.random() < 0.35:  # it ends within the tile
        half = half * soft_step(line.along + random.uniform(0, 0.25) * min(shape), width_px=random.uniform(8, 30))
    return line.across - half, -line.across - half


def _flap(shape: tuple[int, int], random: Random) -> Sequence[Plane]:
    """Return the same for a corner of the section that is turned over: one to three borders."""
    count = int(random.integers(1, 4))
    lines = [random_line(shape, random, bend=0.003, wobble_px=2) for _ in range(count)]
    return [line.across - random.uniform(0, 0.2) * min(shape) * (count > 1) for line in lines]


def _second_layer(below: Image, random: Random) -> Image:
    """The tissue that comes to lie on top: a neighbouring piece, turned over, or the same again."""
    kind = random.integers(3)
    other = below if kind == 0 else below[::-1] if kind == 1 else below[:, ::-1]
    shift = random.integers(-12, 13, 2)
    moved = np.roll(other, tuple(map(int, shift)), axis=(0, 1))
    # A fold is of tissue, even where holes would meet.
    floor = np.quantile(below.reshape(-1, 3), random.uniform(0.45, 0.8), axis=0)
    return np.maximum(moved, random.uniform(0.3, 1) * floor)


def _edges(borders: Sequence[Plane], below: Image, random: Random) -> Image:
    """Density of the shadows along the borders: dark on some or all, seldom a bright gap beside one."""
    mean = below.reshape(-1, 3).mean(axis=0)  # a shadow of tissue has the tissue's hue
    colour = (mean / max(float(mean.mean()), 0.02) * random.uniform(0.8, 1.2, 3)).astype(np.float32)
    outside = np.max(borders, axis=0)
    total = np.zeros(below.shape, np.float32)
    for distance in borders:
        along = (outside < distance + 3)[..., None]  # only where this border bounds the fold
        if random.random() < 0.55:
            width = random.uniform(0.5, 1.8)
            total += along * random.uniform(0.2, 0.9) * colour * np.exp(-0.5 * (distance / width) ** 2)[..., None]
        if random.random() < 0.2:
            gap = np.exp(-0.5 * ((distance - random.uniform(2, 4)) / 1.2) ** 2)[..., None]
            total -= along * gap * below * random.uniform(0.4, 0.9)
    return np.asarray(ndimage.gaussian_filter(total, (0.3, 0.3, 0)), np.float32)
