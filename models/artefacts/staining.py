"""Ordinary variety of clean tiles: amounts of stain, another stain altogether, light, pigment, and bland tissue.

What is ordinary must be shown as clean, or the network condemns it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.artefacts.change import Image, density, light
from models.artefacts.shapes import Random, log_uniform, smooth_noise, soft_step
from models.artefacts.stain import ORDINARY, TISSUE_DENSITY, tissue_density

HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)
"""Density in R, G, B of haematoxylin, eosin and DAB. Ruifrok & Johnston, Anal Quant Cytol Histol 2001;23:291-299."""


def vary_he(tile: Image, random: Random) -> Image:
    """Change the amounts of haematoxylin, eosin and the rest, and the hue of the stains, within what is ordinary."""
    amounts = density(tile) @ np.linalg.inv(_unit(HED))
    amounts = amounts * np.exp(random.normal(0, 0.25, 3)) * np.exp(random.normal(0, 0.15))
    hues = _unit(HED + random.normal(0, 0.05, (3, 3)))
    return ordinary(light((amounts @ hues).astype(np.float32)), random)


def as_ihc(tile: Image, random: Random) -> Image:
    """Recolour an H&E tile as immunohistochemistry: haematoxylin stays as a pale counterstain, DAB comes where it is.

    DAB lies in nuclei, or in cytoplasm and matrix (where the eosin was), in patches that wander through the tile; in
    three of ten tiles there is none.

    Args:
        tile: (H, W, 3) RGB 0-255, H&E.
        random: Source of chance.
    """
    amounts = np.maximum(density(tile) @ np.linalg.inv(_unit(HED)), 0)
    nuclear, pink = amounts[..., 0], amounts[..., 1]
    # what the eosin held is seen faintly in the counterstain
    counter = random.uniform(0.35, 1.0) * nuclear + random.uniform(0.03, 0.25) * pink
    brown = np.zeros_like(counter)
    if random.random() < 0.7:
        where = soft_step(
            smooth_noise(brown.shape, random, scale_px=log_uniform(random, 6, 60)) + random.normal(0, 1), width_px=1
        )
        source = nuclear if random.random() < 0.5 else pink + 0.3 * nuclear
        brown = random.uniform(0.4, 2.0) * where * source
        if source is nuclear:
            counter = counter * (1 - 0.6 * where)
    stains = _unit(HED + random.normal(0, 0.04, (3, 3)))
    found = light((counter[..., None] * stains[0] + brown[..., None] * stains[2]).astype(np.float32))
    return ordinary(found, random)


def ordinary(tile: Image, random: Random) -> Image:
    """Bring the mean density of a tile's tissue back between the ordinary limits, if it left them."""
    now = tissue_density(np.clip(tile, 0, 255))
    low, high = ORDINARY
    if not np.isfinite(now) or low <= now <= high:
        return tile
    wanted = random.uniform(low, 1.4 * low) if now < low else random.uniform(0.85 * high, high)
    return light(density(tile) * np.float32(wanted / now))


def light_and_camera(tile: Image, random: Random) -> Image:
    """Change white balance, brightness and gamma as scanners differ, and shade the field a little."""
    gain = random.uniform(0.93, 1.03) * (1 + random.normal(0, 0.015, 3))
    shaded = tile * gain.astype(np.float32)
    if random.random() < 0.3:
        shaded = shaded * (1 + 0.02 * smooth_noise((tile.shape[0], tile.shape[1]), random, scale_px=60))[..., None]
    gamma = np.exp(random.normal(0, 0.08))
    return (255 * np.clip(shaded / 255, 0, 1) ** gamma).astype(np.float32)


def bland(tile: Image, random: Random) -> Image:
    """Take contrast from tissue without blurring it, as in mucin, necrosis and oedema: flat, but sharp."""
    below = density(tile)
    weight = soft_step(smooth_noise(below.shape[:2], random, scale_px=40) + random.uniform(-0.5, 2), width_px=1)
    grey = below.mean(-1)
    tissue = grey > TISSUE_DENSITY
    if not tissue.any():
        return tile
    mean = below[tissue].mean(axis=0)
    flat = mean + random.uniform(0.2, 0.6) * (below - mean)
    keep = (weight * soft_step(grey - TISSUE_DENSITY, width_px=0.06))[..., None]
    return light(below + keep * (flat - below))


def pigment(tile: Image, random: Random) -> Image:
    """Strew fine brown or black granules over cells, as melanin, iron, carbon and formalin leave them."""
    shape = tile.shape[:2]
    where = soft_step(smooth_noise(shape, random, scale_px=12) - random.uniform(0.6, 1.6), width_px=0.3)
    tissue = soft_step(density(tile).mean(-1) - TISSUE_DENSITY, width_px=0.05)
    grains = (random.random(shape) < 0.12) * where * tissue * random.uniform(0.3, 0.9)
    colour = np.array([110, 70, 30], np.float32) * random.uniform(0.3, 1.1)
    return tile + grains[..., None].astype(np.float32) * (colour - tile)


def glass(side_px: int, random: Random) -> Image:
    """Return empty glass (side, side, 3), with a tint, shading and the least of dirt."""
    tint = random.uniform(222, 250) + random.normal(0, 3, 3)
    field = random.uniform(0, 2.5) * smooth_noise((side_px, side_px), random, scale_px=60)[..., None]
    return (tint + field + random.normal(0, 0.8, (side_px, side_px, 3))).astype(np.float32)


def _unit(stains: NDArray[np.floating]) -> NDArray[np.float32]:
    return (stains / np.linalg.norm(stains, axis=1, keepdims=True)).astype(np.float32)
