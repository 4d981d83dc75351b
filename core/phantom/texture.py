"""Noise and patterns that tissue texture is made of. All arrays (H, W); every function is a function of its seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

FloatImage = NDArray[np.float32]

ATLAS_PX = 2048
"""Side of the tileable atlases; a power of two so that wrapping is a bit mask."""
ATLAS_UM_PER_PX = 0.5


def as_float32(values: NDArray[np.floating]) -> FloatImage:
    """Return the values as float32, without a copy where they are: numpy's types lose the width in longer formulas."""
    return values.astype(np.float32, copy=False)


def smoothstep(low: float, high: float, values: FloatImage) -> FloatImage:
    """Return 0 below `low`, 1 above `high`, a smooth S between."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return as_float32(t * t * (3 - 2 * t))


def value_noise(rng: np.random.Generator, shape: tuple[int, int], *, cell_px: float, octaves: int = 1) -> FloatImage:
    """Return smooth noise of mean 0 and standard deviation about 1.

    Args:
        rng: Source of randomness; advanced.
        shape: (rows, columns).
        cell_px: Size of the coarsest lumps in pixels.
        octaves: Each adds detail of half the size and half the height.

    Returns:
        float32 array of that shape.
    """
    total = np.zeros(shape, np.float32)
    power = 0.0
    for octave in range(octaves):
        # White noise on a grid three times finer than the lumps, smoothed there: a plain coarse grid would show.
        cell = max(cell_px / 2**octave / 3, 1.0)
        rows, columns = shape[0] / cell, shape[1] / cell
        grid = rng.standard_normal((int(rows) + 8, int(columns) + 8)).astype(np.float32)
        grid = gaussian_filter(grid, 1.2, truncate=2.5) * np.float32(2 * np.sqrt(np.pi) * 1.2)
        box = (3.0, 3.0, 3.0 + columns, 3.0 + rows)
        layer = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
        total += np.asarray(layer) * np.float32(0.5**octave)
        power += 0.25**octave
    return total / np.float32(np.sqrt(power))


def _spectral_noise(rng: np.random.Generator, *, along_px: float, across_px: float) -> FloatImage:
    """Return tileable Gaussian noise, smoothed by the two lengths along x and y, standard deviation 1."""
    side = ATLAS_PX
    frequency_y = np.fft.fftfreq(side).astype(np.float32)[:, None]
    frequency_x = np.fft.rfftfreq(side).astype(np.float32)[None, :]
    window = np.exp(-2 * np.pi**2 * ((frequency_x * along_px) ** 2 + (frequency_y * across_px) ** 2))
    window[0, 0] = 0
    noise = rng.standard_normal((side, side), dtype=np.float32)
    smooth = np.fft.irfft2(np.fft.rfft2(noise) * window, s=(side, side)).astype(np.float32)
    return smooth / smooth.std()


@lru_cache(maxsize=1)
def fibre_atlas() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the tileable collagen atlas: fibres run along x in waves.

    Returns:
        (streak, gap), uint8 (ATLAS_PX, ATLAS_PX) at 0.5 um/px. Streak is how much collagen lies there (128 on
        average); gap is the distance from the next cleft between bundles (0 in its middle).
    """
    rng = np.random.default_rng(20010923)
    bundle = _spectral_noise(rng, along_px=44, across_px=7)
    fine = 0.75 * _spectral_noise(rng, along_px=17, across_px=1.7) + 0.5 * _spectral_noise(
        rng, along_px=8, across_px=1.0
    )
    cleft = _spectral_noise(rng, along_px=30, across_px=6)
    wave = 10.0 * _spectral_noise(rng, along_px=26, across_px=44) + 3.0 * _spectral_noise(
        rng, along_px=10, across_px=18
    )
    rows = (np.arange(ATLAS_PX)[:, None] + np.rint(wave).astype(np.int32)) & (ATLAS_PX - 1)
    columns = np.broadcast_to(np.arange(ATLAS_PX)[None, :], rows.shape)
    # The waves are whole pixels: a little smoothing takes their steps away again.
    streak = gaussian_filter((0.55 * bundle + fine)[rows, columns], 0.7, mode="wrap") * np.float32(1.1)
    gap = gaussian_filter(np.abs(cleft[rows, columns]), 1.0, mode="wrap")
    return (
        np.clip(128 + 42 * streak, 0, 255).astype(np.uint8),
        np.clip(110 * gap, 0, 255).astype(np.uint8),
    )


@lru_cache(maxsize=1)
def grain_atlas() -> NDArray[np.int8]:
    """Return tileable fine grain of cytoplasm at 0.5 um/px, int8, deviation about 40."""
    rng = np.random.default_rng(20010924)
    grain = 0.8 * _spectral_noise(rng, along_px=1.1, across_px=1.1) + 0.6 * _spectral_noise(
        rng, along_px=5, across_px=5
    )
    return np.clip(40 * grain, -127, 127).astype(np.int8)


def cells(
    rng: np.random.Generator, shape: tuple[int, int], *, spacing_px: float, jitter: float = 0.42
) -> tuple[FloatImage, FloatImage, NDArray[np.int32], FloatImage]:
    """Divide the plane into polygonal cells around jittered grid points (Worley 1996).

    Args:
        rng: Source of randomness; advanced.
        shape: (rows, columns).
        spacing_px: Mean distance of the cells' centres.
        jitter: How far a centre may leave its grid point, in spacings.

    Returns:
        (nearest, second, index, centres): distance in px to the nearest and the second nearest centre, the index of
        the nearest one per pixel, and the centres as float32 (n, 2) x, y.
    """
    rows, columns = int(shape[0] / spacing_px) + 4, int(shape[1] / spacing_px) + 4
    grid = np.indices((rows, columns), np.float32)
    grid_y: FloatImage = grid[0]
    grid_x: FloatImage = grid[1]
    grid_x += 0.5 * (grid_y % 2)  # staggered rows look less like a grid
    grid_x += rng.uniform(-jitter, jitter, grid_x.shape).astype(np.float32)
    grid_y += rng.uniform(-jitter, jitter, grid_y.shape).astype(np.float32)
    centre_x, centre_y = (grid_x - 1.5) * np.float32(spacing_px), (grid_y - 1.5) * np.float32(spacing_px)
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    x = np.arange(shape[1], dtype=np.float32)[None, :]
    base_row = np.clip(np.floor(y / spacing_px + 1.5 + 0.5).astype(np.int32), 1, rows - 2)
    nearest = np.full(shape, np.inf, np.float32)
    second = np.full(shape, np.inf, np.float32)
    index = np.zeros(shape, np.int32)
    for step_y in (-1, 0, 1):
        row = base_row + step_y
        base_column = np.rint(x / spacing_px + 1.5 - 0.5 * (row % 2)).astype(np.int32)
        for step_x in (-1, 0, 1):
            column = np.clip(base_column + step_x, 0, columns - 1)
            flat = row * columns + column
            distance = np.hypot(centre_x.ravel()[flat] - x, centre_y.ravel()[flat] - y)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            index = np.where(closer, flat, index)
            nearest = np.minimum(nearest, distance)
    return nearest, second, index, np.stack([centre_x.ravel(), centre_y.ravel()], axis=1)
