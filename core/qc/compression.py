"""How hard JPEG has squeezed a slide: steps of brightness at the borders of its 8 x 8 px blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_PX = 8
"""Edge of a JPEG block in the pixels that were compressed."""
STRONG = 1.8
"""Blockiness from which compression shows; an ordinary scan, the real CMU-1 region, has 1.4."""


def blockiness(grey: NDArray[np.floating]) -> float:
    """Return the mean step across block borders per mean step elsewhere; 1 without compression.

    The blocks may begin at any pixel: the phase with the largest steps is taken, along x and y separately. The measure
    follows Z. Wang, A. Bovik and B. Evans, ICIP 2000, in the pixel domain.

    Args:
        grey: (H, W) level-0 pixels, unscaled; at least 64 x 64 px.

    Returns:
        The mean of both directions; NaN for images that are too small or flat.
    """
    if min(grey.shape) < 8 * BLOCK_PX:
        return float("nan")
    both = [_along(np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)) for axis in (0, 1)]
    return float(np.mean(both))


def _along(steps: NDArray[np.floating]) -> float:
    """Steps by position -> largest mean of one phase per mean of the other seven."""
    whole = steps[: len(steps) // BLOCK_PX * BLOCK_PX].reshape(-1, BLOCK_PX).mean(0)
    phase = int(whole.argmax())
    others = float(np.delete(whole, phase).mean())
    return float(whole[phase]) / others if others > 0 else float("nan")
