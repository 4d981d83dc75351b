"""How probable it is that other readers see a case otherwise: calibrated grade probabilities against the read given.

A model's probabilities p of the grades are turned into shares of readers q ~ p exp(b), with one offset b for each grade
fitted on cases that several readers read (bias-only vector scaling, after Guo et al. 2017; the target are all reads of
a case rather than one label). The score of a read is its expected loss under q: with loss 0/1 the probability that
another reader differs, with the number of steps the expected distance, with a scheme's severities the expected harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from core.errors import InputError
from core.schemes import Scheme, Severity

SMALLEST = 1e-4
"""Probabilities below this count as this: a model's zero is not certainty."""
PENALTY = 0.01
"""Weight of the squared offsets in the fit; keeps grades that hardly occur where the model has them."""
SEVERITY_WEIGHTS = {Severity.NONE: 0.0, Severity.MINOR: 1.0, Severity.MAJOR: 2.0}

Probabilities = NDArray[np.float64]
"""(N, K); rows need not sum to 1."""


@dataclass(frozen=True, slots=True)
class ReadersCalibration:
    """Offset of the log probability of each grade; all zero = the model as it is."""

    offsets: tuple[float, ...]


def fit_readers(
    probabilities: Probabilities, votes: NDArray[np.float64], *, penalty: float = PENALTY
) -> ReadersCalibration:
    """Fit the offsets on cases that several readers read.

    Args:
        probabilities: (N, K) of the model.
        votes: (N, K) reads of each grade; every case has at least one.
        penalty: Weight of the squared offsets.

    Raises:
        InputError: there is no case, shapes differ, or a case has no read.
    """
    if not len(votes) or votes.shape != probabilities.shape or (votes.sum(axis=1) <= 0).any():
        raise InputError("Calibration to readers needs probabilities and at least one read of every case.")
    logits, shares = _logits(probabilities), votes / votes.sum(axis=1, keepdims=True)

    def loss(offsets: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shifted = logits + offsets
        fitted = special.softmax(shifted, axis=1)
        entropy = -(shares * special.log_softmax(shifted, axis=1)).sum(axis=1).mean()
        return float(entropy + penalty * offsets @ offsets), (fitted - shares).mean(axis=0) + 2 * penalty * offsets

    found = optimize.minimize(loss, np.zeros(votes.shape[1]), jac=True, method="L-BFGS-B")
    return ReadersCalibration(tuple(found.x.tolist()))


def shares_of_readers(probabilities: Probabilities, calibration: ReadersCalibration) -> Probabilities:
    """Return (N, K): the share of readers expected to give each grade; rows sum to 1."""
    return np.asarray(special.softmax(_logits(probabilities) + np.array(calibration.offsets), axis=1), np.float64)


def expected_loss(shares: Probabilities, reads: NDArray[np.intp], *, loss: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) the mean loss of a read against the readers expected.

    Args:
        shares: (N, K) from `shares_of_readers`.
        reads: (N,) index of the grade that was read.
        loss: (K, K) loss of a read (row) where another reader gives another grade (column).
    """
    return (shares * loss[reads]).sum(axis=1)


def difference_loss(size: int) -> NDArray[np.float64]:
    """Return (K, K): 1 wherever two grades differ. The expected loss is then 1 - the share of the grade read."""
    return 1 - np.eye(size)


def distance_loss(size: int) -> NDArray[np.float64]:
    """Return (K, K): the number of steps between two grades."""
    return np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)


def severity_loss(scheme: Scheme) -> NDArray[np.float64]:
    """Return (K, K): 0, 1 or 2 for a difference that a scheme calls none, minor or major."""
    return np.array([[SEVERITY_WEIGHTS[severity] for severity in row] for row in scheme.severities])


def normalised(probabilities: Sequence[Sequence[float]] | Probabilities) -> Probabilities:
    """Return rows that sum to 1.

    Raises:
        InputError: a value is negative or no number, or a row is all zero.
    """
    values = np.asarray(probabilities, np.float64)
    if not np.isfinite(values).all() or (values < 0).any() or (values.sum(axis=1) <= 0).any():
        raise InputError("A score is negative or no number, or all scores of a case are zero.")
    return values / values.sum(axis=1, keepdims=True)


def _logits(probabilities: Probabilities) -> Probabilities:
    return np.log(np.maximum(normalised(probabilities), SMALLEST))
