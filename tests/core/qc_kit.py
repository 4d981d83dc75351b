"""Tissue drawn in optical density: pink ground with violet nuclei, at any scale, for the tests of quality control."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.qc.shapes import by_channel

PINK = (0.05, 0.30, 0.20)
VIOLET = (0.45, 0.55, 0.30)
BROWN = (0.25, 0.45, 0.60)
GLASS = 243


def tissue_density(
    height: int,
    width: int,
    *,
    um_per_px: float = 4.0,
    ground: tuple[float, float, float] = PINK,
    nuclei: tuple[float, float, float] = VIOLET,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Return (H, W, 3) optical density of tissue from edge to edge: fibres, and nuclei of 8 um."""
    rng = np.random.default_rng(seed)
    fibres = 1 + 0.25 * ndimage.gaussian_filter(rng.normal(0, 1, (height, width)), max(0.6, 1.0 / um_per_px)) * 2
    count = int(height * width * um_per_px**2 / 900)
    dots = np.zeros((height, width))
    np.add.at(dots, (rng.integers(0, height, count), rng.integers(0, width, count)), 1.0)
    radius = max(0.5, 3.0 / um_per_px)
    dots = np.minimum(ndimage.gaussian_filter(dots, radius) * 2 * np.pi * radius**2, 1.0)
    planes = [fibres * g + dots * n for g, n in zip(ground, nuclei, strict=True)]
    return by_channel([np.maximum(plane, 0.01).astype(np.float32) for plane in planes])


def as_rgb(density: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return what a scanner sees over glass."""
    return np.clip(GLASS * 10.0 ** -np.asarray(density), 0, 255).round().astype(np.uint8)


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    """Return (H, W), True within a disc."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def strip(shape: tuple[int, int], row: float, half_width: float, *, slope: float = 0.2) -> NDArray[np.bool_]:
    """Return (H, W), True within a slanting strip from side to side."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.abs(rows - row - slope * (columns - shape[1] / 2)) <= half_width


def on_glass(density: NDArray[np.float32], tissue: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the density with glass outside of `tissue`."""
    return by_channel([np.where(tissue, density[..., c], 0.0).astype(np.float32) for c in range(3)])


def blurred(density: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return the density out of focus."""
    return by_channel([np.asarray(ndimage.gaussian_filter(density[..., c], sigma_px), np.float32) for c in range(3)])


def save(path: str, rgb: NDArray[np.uint8]) -> None:
    """Write a PNG."""
    Image.fromarray(rgb).save(path)
