"""What the network has to beat: focus, colour and density of a tile by hand, and a forest on top."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: scikit-learn is typed in part only.
from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.ensemble import ExtraTreesClassifier

from models.artefacts.change import Image, density
from models.artefacts.stain import TISSUE_DENSITY

FloatArray = NDArray[np.float64]

_QUANTILES = (0.02, 0.1, 0.5, 0.9, 0.98)
_HUES = 8


def features(tile: NDArray[np.uint8]) -> FloatArray:
    """Return the hand-crafted description of one tile (H, W, 3): density, saturation, hue, focus and direction."""
    rgb = tile.astype(np.float32)
    below = density(rgb)
    grey = below.mean(-1)
    high, low = rgb.max(-1), rgb.min(-1)
    saturation = (high - low) / np.maximum(high, 1)
    parts = [
        np.quantile(grey, _QUANTILES),
        np.quantile(saturation, _QUANTILES),
        np.quantile(below.reshape(-1, 3), (0.1, 0.5, 0.9), axis=0).ravel(),
        _hues(rgb, saturation),
        _focus(grey),
        _direction(grey),
        [
            float((grey > TISSUE_DENSITY).mean()),
            float((high < 70).mean()),
            float(((saturation < 0.08) & (high < 200)).mean()),
        ],
    ]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def _hues(rgb: Image, saturation: NDArray[np.floating]) -> FloatArray:
    """Histogram of hue, weighted by saturation: a few hues are tissue, the others ink."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    angle = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    place = ((angle + np.pi) / (2 * np.pi) * _HUES).astype(int) % _HUES
    return np.bincount(place.ravel(), weights=saturation.ravel(), minlength=_HUES) / saturation.size


def _focus(grey: NDArray[np.floating]) -> list[float]:
    """Energy of the Laplacian and of Brenner's gradient, alone and relative to the contrast, and of three octaves."""
    spread = float(grey.std()) + 1e-3
    laplacian = float(np.abs(ndimage.laplace(grey)).mean())
    brenner = float(((grey[:, 2:] - grey[:, :-2]) ** 2).mean())
    blurs = [grey, *(ndimage.gaussian_filter(grey, sigma) for sigma in (1, 2, 4))]
    octaves = [float((finer - coarser).std()) for finer, coarser in pairwise(blurs)]
    ratios = [finer / (coarser + 1e-3) for finer, coarser in pairwise(octaves)]
    return [laplacian, laplacian / spread, brenner, brenner / spread**2, *octaves, *ratios, spread]


def _direction(grey: NDArray[np.floating]) -> list[float]:
    """How strong the strongest edges are, and how much all edges run one way (coherence of the structure tensor)."""
    y, x = np.gradient(ndimage.gaussian_filter(grey, 1))
    strength = np.hypot(x, y)
    xx, yy, xy = float((x * x).mean()), float((y * y).mean()), float((x * y).mean())
    coherence = float(np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-6))
    return [*np.quantile(strength, (0.5, 0.9, 0.99)).tolist(), coherence]


def all_features(tiles: NDArray[np.uint8]) -> FloatArray:
    """Return (N, F) for (N, H, W, 3)."""
    return np.stack([features(tile) for tile in tiles])


def forest_probabilities(
    tiles: NDArray[np.uint8], labels: NDArray[np.int64], others: NDArray[np.uint8], *, seed: int
) -> FloatArray:
    """Fit 300 extremely randomised trees (Geurts et al., Mach Learn 2006;63:3-42) and ask them about other tiles.

    Args:
        tiles: (N, H, W, 3) to learn from.
        labels: (N,) their classes, each of 0 to C - 1 present.
        others: (M, H, W, 3) to be judged.
        seed: Of the trees.

    Returns:
        (M, C) probabilities.
    """
    forest = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=1)
    forest.fit(all_features(tiles), labels)
    return np.asarray(forest.predict_proba(all_features(others)), np.float64)
