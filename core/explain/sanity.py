"""Whether a map depends on what the network learnt, and whether LIME says the same when it is asked again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.explain.agreement import spearman
from core.explain.methods import Method

MOST_ALIKE = 0.5
"""Rank correlation between a map and the map of the same network with random weights, above which the map is
uninformative: it then shows the image, as an edge detector would, and not the network (Adebayo et al. 2018,
arXiv:1810.03292)."""
MOST_SPREAD = 0.15
"""LIME is called stable up to this spread."""


@dataclass(frozen=True, slots=True)
class Randomised:
    """One map held against those of the same network with random weights."""

    method: Method
    correlations: tuple[float, ...]
    """Spearman's, one a draw of random weights."""

    @property
    def correlation(self) -> float:
        """The mean over draws."""
        return float(np.mean(self.correlations))

    @property
    def is_informative(self) -> bool:
        """Whether the map changed with the weights."""
        return self.correlation <= MOST_ALIKE


def randomised(method: Method, values: NDArray[np.floating], draws: Sequence[NDArray[np.floating]]) -> Randomised:
    """Hold a map against those of random weights, sizes only: a map turned inside out is the same picture.

    Args:
        method: Whose map.
        values: (H, W) of the trained network.
        draws: The same of networks with random weights, at least one.
    """
    return Randomised(method, tuple(spearman(np.abs(values), np.abs(draw)) for draw in draws))


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How much a weight per superpixel depends on the seed."""

    mean: NDArray[np.float64]
    """(K,) mean over seeds of every superpixel's weight: difference of probability."""
    deviation: NDArray[np.float64]
    """(K,) standard deviation over seeds."""
    seeds: int

    @property
    def relative(self) -> float:
        """Mean standard error of the shown weights, which are means over seeds, divided by the strongest of them."""
        strongest = float(np.abs(self.mean).max(initial=0.0))
        error = float(self.deviation.mean()) / math.sqrt(self.seeds)
        return error / strongest if strongest > 0 else 1.0

    @property
    def is_stable(self) -> bool:
        """Whether the spread is at most `MOST_SPREAD`."""
        return self.relative <= MOST_SPREAD


def spread_of(weights: NDArray[np.floating]) -> Spread:
    """Return the spread of LIME's weights.

    Args:
        weights: (seeds, K), at least two seeds.

    Raises:
        ValueError: fewer than two seeds.
    """
    if len(weights) < 2:
        raise ValueError("A spread needs at least two seeds.")
    values = weights.astype(np.float64)
    return Spread(values.mean(axis=0), values.std(axis=0, ddof=1), len(values))
