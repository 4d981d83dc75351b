"""What flagging a share of the cases finds and leaves, with Wilson intervals (Wilson 1927)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.shares import Share, wilson


@dataclass(frozen=True, slots=True)
class TriagePoint:
    """What flagging the `flagged` highest-scored of all cases finds and leaves."""

    flagged: int
    cases: int
    threshold: float | None
    """Lowest score among the flagged; None if none is flagged."""
    sensitivity: Share
    """Flagged discordances among all discordances."""
    yield_: Share
    """Discordances among the flagged."""
    residual: Share
    """Missed discordances among the unflagged."""
    reviews_per_discordance: float | None
    lift: float | None
    """Sensitivity over the flag rate: how many times better than drawing cases at random."""

    @property
    def flag_rate(self) -> float:
        """Share of the cases that is flagged."""
        return self.flagged / self.cases


@dataclass(frozen=True, slots=True)
class ExpectedTriage:
    """Closed form of a triage point, as shares; for planning before there are data."""

    yield_: float
    reviews_per_discordance: float
    lift: float
    residual: float


def expected_triage(*, prevalence: float, sensitivity: float, flag_rate: float) -> ExpectedTriage:
    """Return what a flag rate buys if the sensitivity is known.

    Raises:
        InputError: a value is no share, or more discordances would be flagged than cases.
    """
    found = prevalence * sensitivity
    if not (0 < prevalence <= 1 and 0 < sensitivity <= 1 and 0 < flag_rate < 1 and found <= flag_rate):
        raise InputError(
            f"Prevalence {prevalence:g}, sensitivity {sensitivity:g} and flag rate {flag_rate:g} do not fit together. "
            "Give shares above 0, with prevalence x sensitivity at most the flag rate."
        )
    return ExpectedTriage(
        yield_=found / flag_rate,
        reviews_per_discordance=flag_rate / found,
        lift=sensitivity / flag_rate,
        residual=(prevalence - found) / (1 - flag_rate),
    )


def triage_at_rate(scores: NDArray[np.float64], truth: NDArray[np.bool_], *, flag_rate: float) -> TriagePoint:
    """Return what flagging the share `flag_rate` with the highest scores finds.

    The number flagged is rounded to whole cases; among equal scores the earlier row is flagged first.

    Args:
        scores: (N,), higher = look first.
        truth: (N,), True where a second look changes the diagnosis.
        flag_rate: 0 to 1.

    Raises:
        InputError: no cases, other lengths, a score that is no number, or a rate outside 0 to 1.
    """
    if not 0 <= flag_rate <= 1:
        raise InputError(f"The flag rate is {flag_rate:g}; it must lie between 0 and 1.")
    return triage_at_count(scores, truth, flagged=round(flag_rate * len(scores)))


def triage_at_count(scores: NDArray[np.float64], truth: NDArray[np.bool_], *, flagged: int) -> TriagePoint:
    """Return what flagging the `flagged` cases with the highest scores finds; see `triage_at_rate`."""
    check_scores(scores, truth)
    if not 0 <= flagged <= len(scores):
        raise InputError(f"{flagged} of {len(scores)} cases cannot be flagged.")
    chosen = np.argsort(-scores, kind="stable")[:flagged]
    found, discordant, cases = int(truth[chosen].sum()), int(truth.sum()), len(truth)
    sensitivity = wilson(found, discordant)
    rate = flagged / cases
    return TriagePoint(
        flagged=flagged,
        cases=cases,
        threshold=float(scores[chosen[-1]]) if flagged else None,
        sensitivity=sensitivity,
        yield_=wilson(found, flagged),
        residual=wilson(discordant - found, cases - flagged),
        reviews_per_discordance=flagged / found if found else None,
        lift=sensitivity.value / rate if sensitivity.value is not None and rate else None,
    )


def triage_curve(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], *, flag_rates: Sequence[float] = (0.1, 0.2, 0.3)
) -> tuple[TriagePoint, ...]:
    """Return one point for each flag rate; see `triage_at_rate`."""
    return tuple(triage_at_rate(scores, truth, flag_rate=rate) for rate in flag_rates)


def check_scores(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> None:
    """Refuse scores and outcomes that no curve can be drawn from.

    Raises:
        InputError: no cases, other lengths, or a score that is no number.
    """
    if len(scores) == 0 or scores.shape != truth.shape or scores.ndim != 1:
        raise InputError(f"Triage needs one score and one outcome a case, got {scores.shape} and {truth.shape}.")
    if not np.isfinite(scores).all():
        raise InputError("A case has no score. Leave such cases out of the curve, and flag them for what they lack.")
