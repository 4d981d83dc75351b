"""Integrated gradients from blank glass to the tile, with a check that they add up."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Reason: captum is typed in part only.
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor, nn

from models.explanation.target_model import glass_like

STEPS = 48
"""Points on the path, by Gauss-Legendre quadrature."""
TOLERANCE = 0.05
"""Probability by which the shares may miss the difference that they must add up to."""
BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class PathGradients:
    """Shares of the pixels in a difference of probability."""

    values: NDArray[np.float32]
    """(H, W) summed over colours."""
    probability: float
    """Of the tile."""
    of_glass: float
    """Of blank glass, where the path begins."""

    @property
    def missing(self) -> float:
        """What the shares do not account for: their sum must be the difference of the two probabilities."""
        return float(self.values.sum(dtype=np.float64)) - (self.probability - self.of_glass)

    @property
    def is_complete(self) -> bool:
        """Whether the shares add up within `TOLERANCE`."""
        return abs(self.missing) <= TOLERANCE


def integrated_gradients(model: nn.Module, tile: Tensor, *, steps: int = STEPS) -> PathGradients:
    """Return the share of every pixel; where the shares do not add up, once more with four times the points.

    Args:
        model: Colours (N, 3, H, W) -> (N,) probability.
        tile: (1, 3, H, W) colours 0-255.
        steps: Points on the path.
    """
    found = _along_path(model, tile, steps=steps)
    return found if found.is_complete else _along_path(model, tile, steps=4 * steps)


def _along_path(model: nn.Module, tile: Tensor, *, steps: int) -> PathGradients:
    glass = glass_like(tile)
    found = IntegratedGradients(model).attribute(
        tile, baselines=glass, n_steps=steps, method="gausslegendre", internal_batch_size=BATCH
    )
    with torch.no_grad():
        probability, of_glass = model(torch.cat([tile, glass])).tolist()
    values = found[0].sum(dim=0).detach().numpy().astype(np.float32)
    return PathGradients(values, float(probability), float(of_glass))
