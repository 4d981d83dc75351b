"""Light through a slide: the colour of its glass and optical density against it (Beer-Lambert)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.slides.protocol import RgbImage

DEFAULT_GLASS = (243.0, 243.0, 243.0)
"""Glass of a typical scanner, used where an image shows none."""
GLASS_MIN_LEVEL = 150
"""Darker than this (mean of R, G, B) is not glass, however uniform."""
GLASS_MAX_ROUGHNESS = 3.5
"""Standard deviation of grey over 3 x 3 px that glass stays below; tissue at an overview's scale lies above."""
GLASS_MAX_TINT = 0.05
"""Colour (optical-density difference between channels) that any glass may have."""
TINTED_GLASS_MAX = 0.35
"""Colour of glass under a wrong white balance or decoding, believed only where it is flat and frames the image."""
TINTED_GLASS_MAX_ROUGHNESS = 2.0
TINTED_GLASS_SHARE = 0.25
TINTED_GLASS_FRAME_SHARE = 0.4
"""Shares of the image and of its outermost pixels that tinted glass must fill: pale tissue rarely does either."""
GLASS_MIN_SHARE = 0.01
"""Share of an image that must look like glass before its colour is used."""


def optical_density(rgb: RgbImage, *, glass: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return -log10(I / I_glass) per channel, float32 (H, W, 3); light brighter than glass counts as 0."""
    tables = _tables(glass)
    return np.stack([tables[c][rgb[..., c]] for c in range(3)], axis=-1)


def mean_density(rgb: RgbImage, *, glass: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of `optical_density` over the channels, float32 (H, W), in half its time."""
    tables = _tables(glass) / np.float32(3)
    density = tables[0][rgb[..., 0]]
    density += tables[1][rgb[..., 1]]
    density += tables[2][rgb[..., 2]]
    return density


def _tables(glass: NDArray[np.float32]) -> NDArray[np.float32]:
    levels = np.arange(256, dtype=np.float32)
    tables = -np.log10((levels[None, :] + 1.0) / (glass[:, None] + 1.0))
    return np.ascontiguousarray(np.maximum(tables, 0), np.float32)


def glass_colour(rgb: RgbImage) -> NDArray[np.float32]:
    """Estimate the colour of empty glass in an overview.

    Glass is the brightest common level among bright, smooth, nearly neutral pixels. Pure white and pure black are
    padding by the scanner as long as other glass is to be seen.

    Returns:
        float32 (3,), R, G, B; `DEFAULT_GLASS` where the image shows no glass.
    """
    grey = rgb.mean(axis=-1, dtype=np.float32)
    mean = ndimage.uniform_filter(grey, 3)
    variance = ndimage.uniform_filter(grey * grey, 3) - mean * mean
    padding = (rgb.min(-1) >= 254) | (rgb.max(-1) <= 1)
    bright, tint = grey > GLASS_MIN_LEVEL, _tint(rgb)
    neutral = bright & (tint < GLASS_MAX_TINT) & (variance < GLASS_MAX_ROUGHNESS**2)
    shown = max(1, int((~padding).sum()))
    if (neutral & ~padding).sum() > GLASS_MIN_SHARE * shown:
        return _brightest_mode(rgb[neutral & ~padding], grey[neutral & ~padding])
    if (neutral & padding).sum() > GLASS_MIN_SHARE * grey.size:
        return np.full(3, 255, np.float32)
    tinted = bright & ~padding & (tint < TINTED_GLASS_MAX) & (variance < TINTED_GLASS_MAX_ROUGHNESS**2)
    frame = np.concatenate([tinted[0], tinted[-1], tinted[:, 0], tinted[:, -1]])
    if tinted.sum() > TINTED_GLASS_SHARE * shown and frame.mean() > TINTED_GLASS_FRAME_SHARE:
        return _brightest_mode(rgb[tinted], grey[tinted])
    return np.array(DEFAULT_GLASS, np.float32)


def _tint(rgb: RgbImage) -> NDArray[np.float32]:
    high, low = rgb.max(-1).astype(np.float32), rgb.min(-1).astype(np.float32)
    return np.log10((high + 1) / (low + 1))


def _brightest_mode(colours: NDArray[np.uint8], grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median colour about the brightest level that holds at least a third as many pixels as the commonest."""
    counts = ndimage.uniform_filter1d(np.bincount(grey.astype(np.int64), minlength=256).astype(np.float64), 5)
    level = int(np.flatnonzero(counts >= counts.max() / 3)[-1])
    near = np.abs(grey - level) <= 6
    chosen = colours[near] if near.any() else colours
    return np.median(chosen, axis=0).astype(np.float32)
