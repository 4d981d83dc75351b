"""The triage board: what to look at again with the time there is, and what that buys as far as anybody can know.

Cases are ordered by expected benefit (severity x probability x quality). What a capacity buys is measured on RESOLVED
cases only: on those somebody looked again and said what the difference meant. They are no random sample (doubt is
resolved more often), which the numbers say beside themselves; what the rules miss is bounded by the audit sample alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.roles import Permission
from core.services.cases.visibility import blinds_of
from core.services.people.authority import ActorKind, kind_of, require
from core.services.triage.setting import Setting, SettingKind
from core.settings import Settings
from core.shares import Share
from core.store.board import OpenCase, SettledCase, open_cases, settled_cases
from core.store.connection import Log, open_log, reading
from core.triage import (
    FEWEST_CASES,
    FEWEST_OF_EACH,
    DiscordanceCalibration,
    TriagePoint,
    audit_size,
    calibrated,
    decision_probability,
    expected_benefit,
    expected_triage,
    fit_discordance,
    miss_rate_bound,
    threshold_for_cost,
    triage_at_count,
)
from core.vocabulary import Discordance

__all__ = [
    "FEWEST_CASES",
    "FEWEST_OF_EACH",
    "UNCALIBRATED",
    "AuditResult",
    "Board",
    "OpenCase",
    "Share",
    "TriagePoint",
    "audit_result",
    "audit_size",
    "board",
    "expected_triage",
]

DISCORDANT = frozenset({Discordance.MINOR, Discordance.MAJOR})
NOT_RANDOM = (
    "Measured on resolved cases only. They are not a random sample: doubtful cases are resolved more often, so the "
    "shares do not hold for all cases."
)
UNCALIBRATED = (
    "Uncalibrated order: the probability is one half at the model's threshold and moves with the distance from it; "
    "nobody has measured it."
)
CURVE_POINTS = 40
"""Flag rates at which the curve is drawn, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What the seeded audit of unflagged cases found."""

    audited: int
    """Audit cases with a compared second opinion."""
    missed: int
    """Of these, cases with a discordance."""
    bound: float | None
    """Highest miss rate among unflagged cases that this leaves possible (95 %, one-sided); None without an audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The board at one setting of the slider."""

    setting: Setting
    cases: tuple[OpenCase, ...]
    """The cases to look at, most worth it first."""
    waiting: int
    """Read cases that nobody looks at again yet."""
    flag_rate: float
    """Share of the waiting cases that is chosen."""
    from_probability: float | None
    """Where a cost decides: the probability from which a case is chosen; None where none is, or no cost decides."""
    measured: TriagePoint | None
    """What choosing that share of the resolved cases would have found, ordered by the probability of a difference as it
    was when the opinion was asked for; None while there is none to measure."""
    curve: tuple[TriagePoint, ...]
    """The same at many rates, from none to all."""
    resolved: int
    """Resolved cases with a comparison, on which it is measured."""
    discordant: int
    """Of these, the ones with a discordance."""
    major: int
    """Of these, the major ones."""
    calibration: DiscordanceCalibration | None
    """What makes probabilities of the order; None while too few cases are resolved."""
    expected: float | None
    """Discordances expected among the chosen cases by the calibrated probability; None without a calibration."""
    audit: AuditResult
    hidden: int
    """Cases left out because an opinion on them is awaited from the person who looks."""
    caution: str


def board(settings: Settings, setting: Setting, *, actor: str) -> Board:
    """Return the board for a capacity, a flag rate or the cost of a missed case.

    Raises:
        NotAllowedError: the actor may not see reports.
        InputError: a cost decides, and no resolved case says from which probability a review is worth it.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        hidden = hidden_cases(database, actor)
        queue = open_cases(database, hidden=hidden)
        known = [one for one in settled_cases(database) if one.case_id not in hidden]
    compared = [one for one in known if one.discordance is not None]
    scores = np.array([one.score for one in compared], np.float64)
    truth = np.array([one.discordance in DISCORDANT for one in compared], np.bool_)
    calibration = fit_discordance(scores, truth)
    queue = queue if calibration is None else _recalibrated(queue, calibration)
    limit = _from_probability(setting, scores, truth, calibration)
    chosen = _chosen(queue, setting, limit)
    rate = len(chosen) / len(queue) if queue else 0.0
    return Board(
        setting=setting,
        cases=chosen,
        waiting=len(queue),
        flag_rate=rate,
        from_probability=limit,
        measured=triage_at_count(scores, truth, flagged=round(rate * len(compared))) if compared else None,
        curve=_curve(scores, truth),
        resolved=len(compared),
        discordant=int(truth.sum()),
        major=sum(one.discordance is Discordance.MAJOR for one in compared),
        calibration=calibration,
        expected=None if calibration is None else sum(one.probability for one in chosen),
        audit=audit_result(known),
        hidden=len(hidden),
        caution=NOT_RANDOM,
    )


def audit_result(settled: Sequence[SettledCase]) -> AuditResult:
    """Return what the audit found: only cases that were drawn while unflagged, and looked at again, say anything."""
    drawn = [one for one in settled if one.audited and not one.flagged and one.discordance is not None]
    missed = sum(one.discordance in DISCORDANT for one in drawn)
    return AuditResult(audited=len(drawn), missed=missed, bound=miss_rate_bound(missed, len(drawn)))


def hidden_cases(database: Log, actor: str) -> frozenset[str]:
    """Return the cases that an actor's numbers must leave out; call inside a transaction."""
    return frozenset() if kind_of(actor) is not ActorKind.PERSON else frozenset(blinds_of(database, actor=actor))


def _recalibrated(queue: Sequence[OpenCase], calibration: DiscordanceCalibration) -> tuple[OpenCase, ...]:
    """Return the queue by the benefit that its calibrated probabilities give."""
    probability = calibrated(np.array([one.probability for one in queue], np.float64), calibration)
    benefit = expected_benefit(
        severity=np.array([one.severity for one in queue], np.float64),
        probability=probability,
        quality=np.array([one.quality for one in queue], np.float64),
    )
    # Of equal benefit whoever came first stays first.
    order: list[int] = np.argsort(-benefit, kind="stable").tolist()
    return tuple(replace(queue[i], probability=float(probability[i]), benefit=float(benefit[i])) for i in order)


def _from_probability(
    setting: Setting,
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    calibration: DiscordanceCalibration | None,
) -> float | None:
    if setting.kind is not SettingKind.COST:
        return None
    if calibration is not None:
        return decision_probability(cost=setting.value)
    if not truth.any():
        raise InputError(
            "No resolved case with a discordance says yet from which value on a review is worth its cost. "
            "Choose by cases a day or by flag rate until there are some."
        )
    return threshold_for_cost(scores, truth, cost=setting.value)


def _chosen(queue: Sequence[OpenCase], setting: Setting, limit: float | None) -> tuple[OpenCase, ...]:
    if setting.kind is SettingKind.COST:
        return () if limit is None else tuple(one for one in queue if one.probability >= limit)
    wanted = int(setting.value) if setting.kind is SettingKind.CASES else round(setting.value * len(queue))
    return tuple(queue[:wanted])


def _curve(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[TriagePoint, ...]:
    if not len(scores):
        return ()
    counts = np.unique(np.linspace(0, len(scores), min(len(scores), CURVE_POINTS) + 1).round().astype(int))
    return tuple(triage_at_count(scores, truth, flagged=int(count)) for count in counts)
