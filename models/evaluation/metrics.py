"""What a metric needs of a network: the temperature of its probabilities, and the baseline that asks for darkness."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Reason: scipy is typed in part only.
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from core.evaluation.binary import FloatArray


def fit_temperature(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """Find the temperature that makes validation labels most likely (Guo et al. 2017, arXiv:1706.04599).

    Args:
        logits: (N, C) of patients not used for training.
        labels: (N,) index of the true class.
    """

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        log_p = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-log_p[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(negative_log_likelihood, bounds=(-3, 3), method="bounded")
    return float(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]


def mean_red_darkness(images: NDArray[np.uint8]) -> FloatArray:
    """Return 1 - mean red / 255 of (N, H, W, 3): the baseline that asks for no understanding, only for dark patches."""
    return 1 - images[..., 0].mean(axis=(1, 2), dtype=np.float64) / 255
