"""From a network's logits back to frequencies: temperature, and the prior where class balance has shifted it.

A network trained on as many positives as negatives believes that half of the world is positive. In logits such a
shift of the prior is a constant for each class (Saerens et al., Neural Comput 2002;14:21-41), so one temperature and
one bias a class are fitted on the validation patients, who keep the frequencies of the data (bias-corrected
temperature scaling, Alexandari et al., ICML 2020, arXiv:1901.06852). Where nothing shifted the prior, only the
temperature is fitted (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

FloatArray = NDArray[np.float64]

_LARGEST_LOG_TEMPERATURE = 3.0
_LARGEST_BIAS = 12.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probabilities are softmax(logits / temperature + bias)."""

    temperature: float
    bias: tuple[float, ...]
    """One number a class, the first 0; all 0 where no prior was shifted."""

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Return (N, C) probabilities of (N, C) logits."""
        return softmax(logits / self.temperature + np.array(self.bias), axis=1)

    @property
    def bias_before_temperature(self) -> tuple[float, ...]:
        """What to add to the last layer's own bias, so that dividing by the temperature is all that is left to do."""
        return tuple(value * self.temperature for value in self.bias)


def fit_calibration(logits: FloatArray, labels: NDArray[np.int64], *, with_prior: bool) -> Calibration:
    """Find the temperature, and the bias if asked for, that make the validation labels most likely.

    Args:
        logits: (N, C) of patients not used for training.
        labels: (N,) index of the true class.
        with_prior: Whether the training shifted the frequencies of the classes, so that a bias is needed.
    """
    classes = logits.shape[1]
    free = classes - 1 if with_prior else 0

    def unpack(values: FloatArray) -> Calibration:
        bias = np.concatenate([[0.0], values[1:]]) if with_prior else np.zeros(classes)
        return Calibration(float(np.exp(values[0])), tuple(map(float, bias)))

    def negative_log_likelihood(values: FloatArray) -> float:
        fitted = unpack(values)
        log_p = log_softmax(logits / fitted.temperature + np.array(fitted.bias), axis=1)
        return float(-log_p[np.arange(len(labels)), labels].mean())

    bounds = [(-_LARGEST_LOG_TEMPERATURE, _LARGEST_LOG_TEMPERATURE), *[(-_LARGEST_BIAS, _LARGEST_BIAS)] * free]
    found = minimize(negative_log_likelihood, np.zeros(1 + free), bounds=bounds, method="L-BFGS-B")
    return unpack(np.asarray(found.x, np.float64))


def sharpened(
    members: Sequence[Calibration], logits: Sequence[FloatArray], labels: NDArray[np.int64]
) -> tuple[Calibration, ...]:
    """Multiply all temperatures by the one number that makes the mean of the members most likely.

    The mean over networks and over symmetries is more right than each of them and less sure, so members that are
    calibrated one by one are too cautious together (Rahaman & Thiery, NeurIPS 2021, arXiv:2007.08792).

    Args:
        members: Calibration of each network.
        logits: Of each network, (V, N, C) under V symmetries, of patients not used for training.
        labels: (N,) index of the true class.
    """

    def scaled(factor: float) -> list[Calibration]:
        return [replace(member, temperature=member.temperature * factor) for member in members]

    def negative_log_likelihood(log_factor: float) -> float:
        views = [
            member.probabilities(view)
            for member, of_member in zip(scaled(float(np.exp(log_factor))), logits, strict=True)
            for view in of_member
        ]
        mean = np.mean(views, axis=0)[np.arange(len(labels)), labels]
        return float(-np.log(mean.clip(1e-12)).mean())

    found = minimize_scalar(negative_log_likelihood, bounds=(-1.5, 1.5), method="bounded", options={"xatol": 1e-3})
    return tuple(scaled(float(np.exp(found.x))))
