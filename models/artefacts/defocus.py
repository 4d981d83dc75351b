"""Out of focus: convolution with the point-spread function of a defocused lens, by grade.

A disc is the geometric-optics answer to defocus, a Gaussian what remains of it with diffraction and a thick section
(J. W. Goodman, Introduction to Fourier Optics, section 6.4; both are the usual simulations for focus assessment, e.g.
Kohlberger et al., J Pathol Inform 2019;10:39).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

from models.artefacts.change import Change, Image, changed
from models.artefacts.shapes import Random, log_uniform, random_line, soft_step

SIGMA_PX = (1.4, 7.0)
"""Deviation of the Gaussian, px of the tile: below, the loss is that of an ordinary scan read at this scale."""
RADIUS_PX = (2.4, 10.0)
"""Radius of the disc, px; a disc of radius r spreads like a Gaussian of r / 2."""
SHARP_PX = 0.6
"""Deviation up to which a tile still counts as sharp."""


def out_of_focus(clean: Image, random: Random) -> Change:
    """Blur a tile, in one of five tiles only one side of it."""
    if random.random() < 0.5:
        blurred = gaussian(clean, sigma_px=log_uniform(random, *SIGMA_PX))
    else:
        blurred = disc_blur(clean, radius_px=log_uniform(random, *RADIUS_PX))
    if random.random() < 0.3:  # stray light lifts the dark and takes contrast
        haze = random.uniform(0, 0.25)
        blurred = blurred * (1 - haze) + haze * blurred.mean(axis=(0, 1))
    shape = clean.shape[0], clean.shape[1]
    if random.random() < 0.8:
        return changed(clean, blurred, mask=np.ones(shape, np.bool_))
    side = random_line(shape, random)
    weight = soft_step(side.across + min(shape) * 0.1, width_px=random.uniform(2, 20))
    image = clean + weight[..., None] * (blurred - clean)
    return changed(clean, image, mask=weight > 0.02, core=weight > 0.7)


def gaussian(image: Image, *, sigma_px: float) -> Image:
    """Blur (H, W, 3) with a Gaussian; beyond the edge lies the tile's mirror image."""
    return ndimage.gaussian_filter(image, (sigma_px, sigma_px, 0), mode="reflect", truncate=3.0)


def disc_blur(image: Image, *, radius_px: float) -> Image:
    """Blur (H, W, 3) with a disc, whose rim counts by the share of a pixel that it covers."""
    kernel = disc(radius_px)
    reach = kernel.shape[0] // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    return fftconvolve(padded, kernel[..., None], mode="valid", axes=(0, 1)).astype(np.float32)


def disc(radius_px: float) -> NDArray[np.float32]:
    """Return a disc that sums to 1, of odd side, px."""
    reach = int(np.ceil(radius_px))
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    distance = np.hypot(axis[:, None], axis[None])
    weight = np.clip(radius_px + 0.5 - distance, 0, 1)
    return weight / weight.sum()
