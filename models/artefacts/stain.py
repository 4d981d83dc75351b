"""Pale or over-stained: optical density beyond what sections that nobody complains about show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.artefacts.change import Change, Image, changed, density, light
from models.artefacts.shapes import Random, log_uniform, random_line, soft_step

TISSUE_DENSITY = 0.08
"""Density, mean over RGB, from which a pixel counts as tissue."""
ORDINARY = (0.14, 0.85)
"""1st and 99th percentile of the mean density of tissue in 8,200 breast patches from 223 patients: between these, pale
and dark are ordinary."""
PALE = (0.02, 0.085)
OVER = (1.05, 2.2)


def stain(clean: Image, random: Random) -> Change:
    """Bring the mean density of the tile's tissue far below or above the ordinary, often with a shift of hue."""
    below = density(clean)
    now = tissue_density(clean)
    if not np.isfinite(now):
        now = float(below.mean()) + 1e-3
    target = log_uniform(random, *(PALE if random.random() < 0.5 else OVER))
    hue = np.exp(random.normal(0, 0.18, 3)).astype(np.float32)
    after = below * np.float32(target / now) * hue
    if target > 1:  # a soaked section: background within the tissue stains as well
        tissue_colour = np.mean(below.reshape(-1, 3), axis=0)
        after = after + random.uniform(0, 0.4) * tissue_colour * np.clip(below.mean(-1, keepdims=True) / 0.1, 0, 1)
    shape = clean.shape[0], clean.shape[1]
    if random.random() < 0.75:
        return changed(clean, light(after), mask=np.ones(shape, np.bool_))
    edge = random_line(shape, random)
    weight = soft_step(edge.across + 0.15 * min(shape), width_px=log_uniform(random, 2, 30))
    image = light(below + weight[..., None] * (after - below))
    return changed(clean, image, mask=weight > 0.005, core=weight > 0.7)


def tissue_density(image: Image | NDArray[np.uint8]) -> float:
    """Return the mean density over the tile's tissue; NaN where there is none."""
    grey = density(np.asarray(image, np.float32)).mean(-1)
    tissue = grey > TISSUE_DENSITY
    return float(grey[tissue].mean()) if tissue.any() else float("nan")
