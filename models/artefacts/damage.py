"""Damage to the section: tears, cracks and splits, chatter of the knife, fragments, debris, and crushed cells."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.artefacts.change import Change, Image, Mask, Plane, changed, density, light
from models.artefacts.debris import NUCLEAR, debris
from models.artefacts.shapes import Random, band, centred, log_uniform, random_line, smooth_noise, soft_step


def damaged(clean: Image, random: Random) -> Change:
    """Tear, shatter, chatter, split, crush the tissue of a tile, or let it fall to pieces."""
    kind = random.choice(6, p=(0.25, 0.12, 0.08, 0.2, 0.15, 0.2))
    if kind == 4:
        return debris(clean, random)
    if kind == 5:
        return crush(clean, random)
    shape = clean.shape[0], clean.shape[1]
    gap = (_tear, _shatter, _chatter, _split)[kind](shape, random)
    curled = random.uniform(0.5, 4.0) if kind == 3 else random.uniform(0, 2.5)
    return open_gap(clean, gap, random, curled=curled)


def open_gap(clean: Image, gap: Plane, random: Random, *, curled: float) -> Change:
    """Show glass where the section is torn; the torn edge is frayed and a little denser where it has curled.

    Args:
        clean: The tile.
        gap: (H, W) 0-1, 1 where the tissue is gone.
        random: Source of chance.
        curled: How much denser the very edge is, per density of the tissue.
    """
    glass = np.quantile(clean.reshape(-1, 3), 0.98, axis=0)
    glass = np.maximum(glass, random.uniform(225, 248)) + random.normal(0, 1.5, clean.shape)
    rim = np.asarray(ndimage.gaussian_filter(gap, random.uniform(0.8, 2)), np.float32) * (1 - gap)
    denser = light(density(clean) * (1 + (curled * rim)[..., None]))
    image = denser + gap[..., None] * (glass - denser)
    return changed(clean, image, mask=(gap > 0.01) | (rim > 0.02), core=_plain(gap) & is_tissue(clean))


def crush(clean: Image, random: Random) -> Change:
    """Smear the section along one direction, and draw dark threads of nuclear material out of it."""
    shape = clean.shape[0], clean.shape[1]
    angle, length = random.uniform(0, np.pi), int(random.integers(5, 18))
    smeared = smear(density(clean), angle=angle, length_px=length)
    y, x = centred(shape)
    across = -x * np.sin(angle) + y * np.cos(angle)
    along = x * np.cos(angle) + y * np.sin(angle)
    profile = random.standard_normal(400)
    wave = across / random.uniform(1, 2.5) + random.uniform(0, 1) * smooth_noise(shape, random, scale_px=40)
    threads = profile[np.clip(wave + 200, 0, 399).astype(np.intp)]
    lengthwise = along / random.uniform(6, 25)  # threads begin and end
    begun = np.cos(lengthwise + 3 * profile[np.clip(wave / 2 + 50, 0, 399).astype(np.intp)])
    threads = soft_step(threads + 0.7 * begun - random.uniform(0.4, 1.4), width_px=1)
    nuclear = NUCLEAR * random.uniform(0.4, 1.6)
    tissue = np.clip(ndimage.gaussian_filter(smeared.mean(-1), 2) / 0.25, 0, 1)
    after = smeared * random.uniform(0.8, 1.3) + (threads * tissue)[..., None] * nuclear
    weight = soft_step(smooth_noise(shape, random, scale_px=40) + random.uniform(0.3, 2.5), width_px=0.5)
    image = clean + weight[..., None] * (light(after.astype(np.float32)) - clean)
    return changed(clean, image, mask=weight > 0.02, core=(weight > 0.6) & is_tissue(clean))


def smear(image: Image, *, angle: float, length_px: int) -> Image:
    """Average (H, W, 3) along a direction, as motion does."""
    steps = np.arange(length_px) - (length_px - 1) / 2
    total = np.zeros_like(image)
    for step in steps:
        moved = (round(float(step * np.sin(angle))), round(float(step * np.cos(angle))))
        total += np.roll(image, moved, axis=(0, 1))
    return total / length_px


def is_tissue(clean: Image) -> Mask:
    """Return (H, W): where the clean tile, slightly blurred, is denser than glass."""
    return np.asarray(ndimage.uniform_filter(density(clean).mean(-1), 5)) > 0.08


def _tear(shape: tuple[int, int], random: Random) -> Plane:
    """One to three ragged cracks that widen and close again."""
    gap = np.zeros(shape, np.float32)
    for _ in range(int(random.integers(1, 4))):
        line = random_line(shape, random, bend=0.01, wobble_px=6)
        half = log_uniform(random, 1.2, 0.2 * min(shape)) * (1 + 0.6 * smooth_noise(shape, random, scale_px=12))
        half = half + random.uniform(0, 1.5) * smooth_noise(shape, random, scale_px=2.5)  # frayed
        gap = np.maximum(gap, band(line, half_width_px=half, edge_px=random.uniform(0.4, 1.5)))
    return gap


def _shatter(shape: tuple[int, int], random: Random) -> Plane:
    """Fragments with gaps between them, as of a brittle block."""
    scale = random.uniform(4, 14)
    first, second = (smooth_noise(shape, random, scale_px=scale) for _ in range(2))
    cracks = random.uniform(0.12, 0.4) - np.minimum(np.abs(first), np.abs(second))
    return soft_step(cracks, width_px=random.uniform(0.05, 0.2))


def _chatter(shape: tuple[int, int], random: Random) -> Plane:
    """Parallel cracks at a regular distance, as a vibrating knife leaves them."""
    line = random_line(shape, random, bend=0.001, wobble_px=1)
    period = random.uniform(8, 26)
    phase = line.across + random.uniform(0, 0.08) * period * smooth_noise(shape, random, scale_px=30)
    wave = np.cos(2 * np.pi * phase / period) - random.uniform(0.2, 0.75)
    wave = wave + 0.3 * smooth_noise(shape, random, scale_px=10)
    return soft_step(wave, width_px=0.4) * np.float32(random.uniform(0.7, 1))


def _split(shape: tuple[int, int], random: Random) -> Plane:
    """A wide gap between smooth parallel edges, as where a section has come apart; often a mere sliver lies beyond."""
    line = random_line(shape, random, bend=0.004, wobble_px=2)
    side, turn = min(shape), random.choice((-1, 1))
    half = log_uniform(random, 3, 0.32 * side) * (1 + random.uniform(-0.012, 0.012) * line.along)
    half = half + random.uniform(0, 0.8) * smooth_noise(shape, random, scale_px=4)
    gap = band(line, half_width_px=half, edge_px=random.uniform(0.4, 1.2))
    if random.random() < 0.6:
        sliver = random.uniform(1.5, 9) * (1 + 0.3 * smooth_noise(shape, random, scale_px=15))
        gap = np.maximum(gap, soft_step(turn * line.across - half - sliver, width_px=0.8))
    return gap


def _plain(gap: Plane) -> Mask:
    return gap > 0.5
