"""The measures that guidelines on second opinions ask for, each from what a period holds, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy import stats

from core.services.triage.board import DISCORDANT, audit_result
from core.shares import Share, wilson
from core.store.board import AnsweredRequest, SettledCase
from core.vocabulary import Discordance, ReportAction

CHANGED = frozenset({ReportAction.AMENDED, ReportAction.CORRECTED, ReportAction.WITHDRAWN})


_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of the report."""

    name: str
    title: str
    meaning: str
    """What is counted, and of what."""
    unit: str
    """"%", "days" or "per 1,000"."""
    value: float | None
    """In the unit; None where there is nothing to count."""
    low: float | None
    """95 % interval, in the unit, as the next."""
    high: float | None
    count: int | None
    """Cases counted; None where it is no share."""
    n: int
    """Cases it is a share of, or is measured on."""
    literature: str
    """What others found, with the source; empty where the literature has no figure."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a period holds, of the cases that may be counted."""

    read: frozenset[str]
    """Cases first read in the period."""
    settled: tuple[SettledCase, ...]
    """Cases resolved in the period."""
    requests: tuple[AnsweredRequest, ...]
    """Requests made in the period."""
    asked_ever: frozenset[str]
    amended: frozenset[str]
    """Cases whose report was changed, whenever."""
    verdicts: tuple[str, ...]
    """Answers to model flags in the period, the last of each case."""
    signed: dict[str, datetime]


def _second_reviews(counted: Counted) -> Measure:
    return _share(
        wilson(len(counted.read & counted.asked_ever), len(counted.read)),
        name="second_review_rate",
        title="Second review",
        meaning="cases with a request for a second opinion, of cases first read in the period",
        literature="",
    )


def _major(counted: Counted) -> Measure:
    return _discordance(
        counted,
        Discordance.MAJOR,
        literature="2.3 % (Manion 2008, n 5,629); 2.2 % (Moffitt, n 8,191); 0.6 % (Mayo, n 71,811)",
    )


def _minor(counted: Counted) -> Measure:
    return _discordance(
        counted, Discordance.MINOR, literature="9.0 % (Manion 2008, n 5,629); 12.0 % (Moffitt, n 8,191)"
    )


def _days(counted: Counted) -> Measure:
    days = [
        (one.answered_at - one.requested_at).total_seconds() / _DAY_S
        for one in counted.requests
        if one.answered_at is not None
    ]
    low, high = median_interval(days)
    quartiles = "" if not days else "IQR {:.1f} to {:.1f} days".format(*np.quantile(days, [0.25, 0.75]))
    return Measure(
        name="days_to_opinion",
        title="Days from request to opinion",
        meaning=f"median over the answered requests of the period; {len(counted.requests) - len(days)} have no opinion",
        unit="days",
        value=float(np.median(days)) if days else None,
        low=low,
        high=high,
        count=None,
        n=len(days),
        literature="",
        detail=quartiles,
    )


def _before_report(counted: Counted) -> Measure:
    reported = [one for one in counted.settled if one.case_id in counted.signed]
    early = sum(one.at <= counted.signed[one.case_id] for one in reported)
    return _share(
        wilson(early, len(reported)),
        name="resolved_before_report",
        title="Resolved before the report",
        meaning="cases resolved before anything of them was signed, of the signed cases resolved in the period",
        literature="",
    )


def _overrides(counted: Counted) -> Measure:
    return _share(
        wilson(sum(word == "disagree" for word in counted.verdicts), len(counted.verdicts)),
        name="override_rate",
        title="Model flags overridden",
        meaning="cases whose reader disagrees with the model, of cases with an answered flag of model against read",
        literature="automation bias, the opposite, 7 % (Rosbach 2026, abstract)",
    )


def _amended(counted: Counted) -> Measure:
    found = wilson(len(counted.read & counted.amended), len(counted.read))
    return _share(
        found,
        name="amended_per_1000",
        title="Amended reports",
        meaning="cases whose report was amended, corrected or withdrawn, of cases first read in the period",
        literature="2.6 to 4.8 per 1,000",
        unit="per 1,000",
    )


def _audit_misses(counted: Counted) -> Measure:
    found = audit_result(counted.settled)
    bound = "" if found.bound is None else f"miss rate at most {found.bound:.1%} (95 %, one-sided)"
    return _share(
        wilson(found.missed, found.audited),
        name="audit_misses",
        title="Missed by the rules",
        meaning="discordances among the unflagged cases that were drawn for the audit and looked at again",
        literature="no miss among 59, 149 or 299 audited cases bounds the rate at 5, 2 or 1 %",
        detail=bound,
    )


MEASURES: Sequence[Callable[[Counted], Measure]] = (
    _second_reviews,
    _major,
    _minor,
    _days,
    _before_report,
    _overrides,
    _amended,
    _audit_misses,
)


def median_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a median by order statistics (binomial, no distribution assumed).

    (None, None) for fewer than six values: no pair of them covers the median with 95 %.
    """
    ordered = sorted(values)
    below = int(stats.binom.ppf(0.025, len(ordered), 0.5)) if ordered else 0
    if below < 1:
        return None, None
    return ordered[below - 1], ordered[len(ordered) - below]


def _discordance(counted: Counted, wanted: Discordance, *, literature: str) -> Measure:
    compared = [one for one in counted.settled if one.discordance is not None]
    return _share(
        wilson(sum(one.discordance is wanted for one in compared), len(compared)),
        name=f"{wanted.value}_rate",
        title=f"{wanted.value.capitalize()} discordance",
        meaning="of the cases resolved in the period whose second opinion was compared with the first read",
        literature=literature,
        detail=f"{sum(one.discordance in DISCORDANT for one in compared)} major or minor",
    )


def _share(
    share: Share, *, name: str, title: str, meaning: str, literature: str, unit: str = "%", detail: str = ""
) -> Measure:
    factor = 1_000 if unit == "per 1,000" else 100
    value, low, high = (None if one is None else one * factor for one in (share.value, share.low, share.high))
    return Measure(
        name=name,
        title=title,
        meaning=meaning,
        unit=unit,
        value=value,
        low=low,
        high=high,
        count=share.count,
        n=share.of,
        literature=literature,
        detail=detail,
    )
