"""Shapes of the pieces of a mask: what tells a speck from a line, and a ring from a blot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.ink import SQUARE, large_pieces


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The 8-connected pieces of a mask; row i of every table describes label i, row 0 what is no piece."""

    labels: NDArray[np.int32]
    """(H, W), 0 outside."""
    area_px: NDArray[np.float64]
    """(n + 1,)"""
    width_px: NDArray[np.float64]
    """(n + 1,) mean width: that of a straight strip with the same mean distance to its edge."""
    extent_px: NDArray[np.float64]
    """(n + 1,) diagonal of the upright box around the piece."""

    @property
    def length_px(self) -> NDArray[np.float64]:
        """(n + 1,) length of the strip of the same area and mean width; a disc is 1.8 times as long as wide."""
        return self.area_px / np.maximum(self.width_px, 1)

    def where(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask of the chosen pieces.

        Args:
            chosen: (n + 1,) one a label; row 0 is ignored.
        """
        table = chosen.copy()
        table[0] = False
        return table[self.labels]


def pieces_of(mask: NDArray[np.bool_], *, at_least_px: float = 1.0) -> Pieces:
    """Label the pieces of a mask that are not smaller, and measure them."""
    kept = mask if at_least_px <= 1 else large_pieces(mask, at_least_px=at_least_px)
    labels, count = cast("tuple[NDArray[np.int32], int]", ndimage.label(kept, structure=SQUARE))
    flat = labels.ravel()
    area = np.bincount(flat, minlength=count + 1).astype(np.float64)
    area[0] = 0
    depth = np.asarray(ndimage.distance_transform_edt(np.pad(kept, 1)), np.float32)[1:-1, 1:-1]
    total = np.bincount(flat, weights=depth.ravel(), minlength=count + 1)
    # In a strip of width w the mean distance to the nearest outside pixel is w / 4 + 1 / 2.
    width = np.maximum(4 * (total / np.maximum(area, 1) - 0.5), 1.0)
    extent = np.zeros(count + 1)
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        extent[label] = float(np.hypot(rows.stop - rows.start, columns.stop - columns.start))
    return Pieces(labels, area, width, extent)


def smooth(values: NDArray[np.floating] | NDArray[np.bool_], *, sigma_px: float) -> NDArray[np.float32]:
    """Return (H, W) smoothed by a Gaussian; nothing happens below a third of a pixel."""
    plain = np.asarray(values, np.float32)
    return plain if sigma_px < 0.35 else np.asarray(ndimage.gaussian_filter(plain, sigma_px, truncate=3.0), np.float32)


def smooth_density(density: NDArray[np.float32], *, sigma_px: float) -> NDArray[np.float32]:
    """Return densities (H, W, 3) smoothed channel by channel."""
    return by_channel([smooth(density[..., c], sigma_px=sigma_px) for c in range(3)])


def by_channel(planes: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return (H, W, 3) with each channel in one piece of memory, which halves the time of what follows."""
    return np.moveaxis(np.stack(planes), 0, -1)


def reduced(values: NDArray[np.floating] | NDArray[np.bool_], factor: int) -> NDArray[np.float32]:
    """Return (H, W[, 3]) averaged over blocks; the last ones are smaller where the image does not divide."""
    if factor == 1:
        return np.asarray(values, np.float32)
    if values.ndim == 3:
        return by_channel([reduced(values[..., c], factor) for c in range(values.shape[2])])
    return np.asarray(Image.fromarray(np.asarray(values, np.float32)).reduce(factor), np.float32)


def enlarged(values: NDArray[np.floating] | NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (H, W) stretched to a shape, linearly."""
    image = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), np.float32)


def grown(seeds: NDArray[np.bool_], *, into: NDArray[np.bool_], steps: int | None = None) -> NDArray[np.bool_]:
    """Return the pixels of `into` that connect to seeds, through at most `steps` pixels (None: any number)."""
    allowed = seeds | into
    if steps is None:
        return np.asarray(ndimage.binary_propagation(seeds, SQUARE, mask=allowed), np.bool_)
    return np.asarray(ndimage.binary_dilation(seeds, SQUARE, iterations=max(1, steps), mask=allowed), np.bool_)


def opened(mask: NDArray[np.bool_], *, edge_px: int) -> NDArray[np.bool_]:
    """Return the parts of a mask that a square of that odd edge fits into; time does not grow with the edge."""
    kept = ndimage.minimum_filter(np.asarray(mask, np.uint8), edge_px, mode="nearest")
    return np.asarray(ndimage.maximum_filter(kept, edge_px, mode="nearest"), np.bool_)
