"""Changes of a tile that leave its meaning as it is, as they happen between laboratories, scanners and files.

Strengths are fixed, named and versioned, so that two models or two days are compared under the very same changes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

PERTURBATION_VERSION = "perturbations-1"

Tiles = NDArray[np.uint8]
"""(N, H, W, 3) RGB."""

_STAINS = ((0.650, 0.704, 0.286), (0.072, 0.990, 0.105), (0.268, 0.570, 0.776))
"""Optical density of haematoxylin, eosin and DAB in R, G, B. Ruifrok & Johnston, Anal Quant Cytol Histol
2001;23:291-299."""


class Family(StrEnum):
    """What kind of difference it stands for."""

    ORIENTATION = "rotation and flip"
    STAIN = "stain"
    FOCUS = "blur"
    COMPRESSION = "JPEG"
    SCALE = "scale"


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One change."""

    name: str
    family: Family
    words: str
    change: Callable[[Tiles], Tiles] | None = None
    """Of the pixels; None where only what is read changes."""
    read_scale: float = 1.0
    """Edge of what is read from the slide, relative to the tile: other than 1 where the stated scale is wrong."""


def rotated(tiles: Tiles, *, quarters: int) -> Tiles:
    """Turn tiles counter-clockwise by quarters of a turn."""
    return np.ascontiguousarray(np.rot90(tiles, quarters, axes=(1, 2)))


def flipped(tiles: Tiles) -> Tiles:
    """Mirror tiles, left for right."""
    return np.ascontiguousarray(tiles[:, :, ::-1])


def stained(tiles: Tiles, *, haematoxylin: float, eosin: float) -> Tiles:
    """Multiply the amounts of haematoxylin and eosin.

    Works on optical density, where stains add up; white stays white.
    """
    rows: NDArray[np.float64] = np.array(_STAINS)
    rows = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    mixing = np.linalg.solve(rows, np.array((haematoxylin, eosin, 1.0))[:, None] * rows)
    density = -np.log((tiles.astype(np.float64) + 1) / 256)
    changed = np.exp(-(density @ mixing)) * 256 - 1
    return changed.round().clip(0, 255).astype(np.uint8)


def blurred(tiles: Tiles, *, sigma_px: float) -> Tiles:
    """Blur with a Gaussian of so many pixels of the model's input, as a plane slightly out of focus."""
    smooth = ndimage.gaussian_filter(tiles.astype(np.float32), sigma=(0, sigma_px, sigma_px, 0), mode="reflect")
    return np.asarray(smooth.round().clip(0, 255), np.uint8)


def compressed(tiles: Tiles, *, quality: int) -> Tiles:
    """Return tiles as they come back from a JPEG file of a quality (1-100) with chroma at half the resolution."""

    def again(tile: Tiles) -> Tiles:
        buffer = io.BytesIO()
        Image.fromarray(tile).save(buffer, "JPEG", quality=quality, subsampling=2)
        with Image.open(buffer) as image:
            return np.asarray(image.convert("RGB"))

    return np.stack([again(tile) for tile in tiles]) if len(tiles) else tiles


_MORE_H = partial(stained, haematoxylin=1.2, eosin=1)
_LESS_H = partial(stained, haematoxylin=0.8, eosin=1)
PERTURBATIONS: tuple[Perturbation, ...] = (
    Perturbation("rotate_90", Family.ORIENTATION, "turned by 90 degrees", partial(rotated, quarters=1)),
    Perturbation("rotate_180", Family.ORIENTATION, "turned by 180 degrees", partial(rotated, quarters=2)),
    Perturbation("flip", Family.ORIENTATION, "mirrored", flipped),
    Perturbation("haematoxylin_more", Family.STAIN, "20 % more haematoxylin", _MORE_H),
    Perturbation("haematoxylin_less", Family.STAIN, "20 % less haematoxylin", _LESS_H),
    Perturbation("eosin_more", Family.STAIN, "20 % more eosin", partial(stained, haematoxylin=1, eosin=1.2)),
    Perturbation("eosin_less", Family.STAIN, "20 % less eosin", partial(stained, haematoxylin=1, eosin=0.8)),
    Perturbation("blur_half", Family.FOCUS, "blurred, sigma 0.5 px", partial(blurred, sigma_px=0.5)),
    Perturbation("blur_one", Family.FOCUS, "blurred, sigma 1 px", partial(blurred, sigma_px=1.0)),
    Perturbation("jpeg_70", Family.COMPRESSION, "JPEG of quality 70", partial(compressed, quality=70)),
    Perturbation("jpeg_40", Family.COMPRESSION, "JPEG of quality 40", partial(compressed, quality=40)),
    Perturbation("mpp_high", Family.SCALE, "stated um/px 10 % too high", read_scale=1 / 1.1),
    Perturbation("mpp_low", Family.SCALE, "stated um/px 10 % too low", read_scale=1 / 0.9),
)
"""In the order in which they are computed and shown. A tile's side in the model's pixels is what sigma counts in."""
