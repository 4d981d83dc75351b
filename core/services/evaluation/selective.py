"""What abstaining would buy, on the cases that were resolved: risk against coverage, and the band of no call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.domain import ReadCategory
from core.errors import InputError
from core.flags import margin_of
from core.roles import Permission
from core.services.calibration.coverage import deciding_runs
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.evidence import RunFacts
from core.uncertainty.selective import (
    AbstentionBand,
    SelectivePoint,
    abstention_band,
    aurc,
    risk_at_coverage,
)

CURVE = tuple(step / 20 for step in range(1, 21))
"""Coverages of the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selective:
    """One model on the cases resolved so far."""

    model: str
    weights_sha256: str
    threshold: float
    cases: int
    wrong: int
    """Of these, cases that the model calls otherwise than they were settled."""
    aurc: float
    """Area under the risk-coverage curve; lower is better."""
    curve: tuple[SelectivePoint, ...]
    band: AbstentionBand
    """The narrowest band around the threshold outside which at most the accepted share of the calls is wrong."""


def selective_of(settings: Settings, *, risk: float, actor: str) -> tuple[Selective, ...]:
    """Return, for each model, what calling only the more certain of the resolved cases would have got wrong.

    Args:
        settings: Names the home folder.
        risk: Share of wrong calls that is accepted, for the band.
        actor: Who looks; cases on which a blinded opinion is awaited from the actor are left out.

    Raises:
        NotAllowedError: the actor may not see reports.
        InputError: the risk is no share.
    """
    if not 0 <= risk <= 1:
        raise InputError(f"The accepted risk is {risk:g}; it must lie between 0 and 1.")
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        found = deciding_runs(database, actor=actor)
    by_model: dict[tuple[str, float], list[tuple[RunFacts, ReadCategory]]] = {}
    for run, category in found:
        if run.threshold is not None:
            by_model.setdefault((run.weights_sha256, run.threshold), []).append((run, category))
    return tuple(_selective(runs, risk=risk) for runs in by_model.values())


def _selective(runs: Sequence[tuple[RunFacts, ReadCategory]], *, risk: float) -> Selective:
    first = runs[0][0]
    threshold = first.threshold or 0.0
    scores = np.array([run.score or 0.0 for run, _ in runs], np.float64)
    truth = np.array([category is ReadCategory.MALIGNANT for _, category in runs], np.bool_)
    wrong = (scores >= threshold) != truth
    certainty = np.array([abs(margin_of(float(score), threshold)) for score in scores], np.float64)
    return Selective(
        model=first.model,
        weights_sha256=first.weights_sha256,
        threshold=threshold,
        cases=len(runs),
        wrong=int(wrong.sum()),
        aurc=aurc(certainty, wrong),
        curve=risk_at_coverage(certainty, wrong, coverages=CURVE),
        band=abstention_band(scores, truth, threshold=threshold, risk=risk),
    )
