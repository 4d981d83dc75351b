"""From the order of the worklist to a probability: logistic recalibration on resolved cases (Platt 1999; Cox 1958).

Half a score's distance from its threshold orders cases; it is no probability that a second look differs. Where enough
cases were resolved, 1 / (1 + exp(-(intercept + slope x logit p))) is one, as far as resolved cases are like others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from core.triage.curve import check_scores

FEWEST_CASES = 50
"""Fewer resolved cases than this calibrate nothing."""
FEWEST_OF_EACH = 10
"""Fewest discordant cases, and fewest concordant ones (ten events a parameter, Peduzzi 1996, of which one is free)."""
FOLDS = 5
_CLIP = 1e-3
"""Probabilities are taken as at least this and at most 1 minus this: the order never claims certainty."""
_PENALTY = 1e-3
"""Weight of the squared distance of the slope from 1, so that separable cases have a finite fit."""


@dataclass(frozen=True, slots=True)
class DiscordanceCalibration:
    """What turns the order into a probability, and on how many cases that rests."""

    intercept: float
    slope: float
    """0 or more: calibration never turns the order round."""
    cases: int
    discordant: int
    brier_before: float
    """Mean squared error of the uncalibrated value on these cases."""
    brier_after: float
    """Of the calibrated probability, each case judged by a fit on the other folds."""


def fit_discordance(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> DiscordanceCalibration | None:
    """Fit on resolved cases; None where they are too few.

    Args:
        scores: (N,) uncalibrated probability, 0-1.
        truth: (N,) True where the second look changed the diagnosis.

    Raises:
        InputError: lengths differ or a score is no number.
    """
    if len(scores) < FEWEST_CASES or min(int(truth.sum()), int((~truth).sum())) < FEWEST_OF_EACH:
        return None
    check_scores(scores, truth)
    intercept, slope = _fit(scores, truth)
    out_of_fold = np.empty(len(scores))
    # Every fold has the same share of discordant cases: they are dealt out in turn, by outcome and then by score.
    fold = np.empty(len(scores), np.intp)
    fold[np.lexsort((scores, truth))] = np.arange(len(scores)) % FOLDS
    for number in range(FOLDS):
        own = fold == number
        out_of_fold[own] = _apply(scores[own], *_fit(scores[~own], truth[~own]))
    return DiscordanceCalibration(
        intercept=intercept,
        slope=slope,
        cases=len(scores),
        discordant=int(truth.sum()),
        brier_before=float(((scores - truth) ** 2).mean()),
        brier_after=float(((out_of_fold - truth) ** 2).mean()),
    )


def calibrated(scores: NDArray[np.float64], calibration: DiscordanceCalibration) -> NDArray[np.float64]:
    """Return (N,) the probability that a second look differs; the order of the scores stays."""
    return _apply(scores, calibration.intercept, calibration.slope)


def _apply(scores: NDArray[np.float64], intercept: float, slope: float) -> NDArray[np.float64]:
    return np.asarray(special.expit(intercept + slope * _logit(scores)), np.float64)


def _fit(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    logits, outcome = _logit(scores), truth.astype(np.float64)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        linear = values[0] + values[1] * logits
        error = np.asarray(special.expit(linear), np.float64) - outcome
        entropy = float((np.logaddexp(0, linear) - outcome * linear).mean()) + _PENALTY * (values[1] - 1) ** 2
        slope = float((error * logits).mean()) + 2 * _PENALTY * (values[1] - 1)
        return entropy, np.array([float(error.mean()), slope])

    found = optimize.minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0, None)])
    return float(found.x[0]), float(found.x[1])


def _logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.logit(np.clip(scores, _CLIP, 1 - _CLIP)), np.float64)
