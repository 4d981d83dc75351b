"""Figures of an evaluation in words, the same on the screen and in a report."""

from __future__ import annotations

import math

from core.evaluation.intervals import Estimate
from core.services.evaluation.values import EvaluationResult, Unit
from core.shares import Share

FIGURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity (recall)",
    "specificity": "Specificity",
    "ppv": "Precision (PPV)",
    "npv": "NPV",
    "f1": "F1",
}
UNITS = {Unit.CASE: "cases", Unit.SLIDE: "slides"}


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure, or a dash where the data do not define it."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """Return a value with its 95 % interval."""
    if not math.isfinite(estimate.value):
        return "not defined"
    if not math.isfinite(estimate.low):
        return f"{number(estimate.value, digits)} (no interval)"
    return f"{number(estimate.value, digits)} ({number(estimate.low, digits)} to {number(estimate.high, digits)})"


def share_words(share: Share) -> str:
    """Return a share with its count and interval."""
    if share.value is None or share.low is None or share.high is None:
        return "-"
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f}), {share.count} of {share.of}"


def size_words(result: EvaluationResult) -> str:
    """Return how much was compared: stands beside every figure."""
    return (
        f"{result.n_cases:,} patients, {result.n_slides:,} slides, {result.n_tiles:,} tiles; {result.n_positive:,} of "
        f"{len(result.units):,} {UNITS[result.unit]} show the target by the reference"
    )
