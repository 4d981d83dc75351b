"""Quality over time and between batches: medians, quantiles and shares by day, week, month, scanner, stain or site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.qc.control import RULE, ControlLimits, individuals_chart, share_chart
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.blinding import hidden_slides
from core.services.quality.limits import ACCEPTED, bring_up_to_date
from core.settings import Settings
from core.shares import Share, wilson
from core.store.connection import open_log, reading
from core.store.quality_pages import QualityEntry, QualityQuery, quality_entries
from core.store.quality_records import SlideQuality
from core.store.quality_schema import ARTEFACT_NAMES

__all__ = ["By", "ControlLimits", "Quantiles", "QualityTrends", "TrendPoint", "quality_trends"]

By = Literal["day", "week", "month", "scanner", "stain", "site"]
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
IN_TIME: frozenset[By] = frozenset({"day", "week", "month"})
_PERIODS: Mapping[By, str] = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of one part over the slides of a group; None where no slide has that part."""

    n: int
    q10: float | None
    q25: float | None
    median: float | None
    q75: float | None
    q90: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """One period, or one scanner, stain or site."""

    group: str
    """Day as 2030-01-31 (UTC, when the slide was added), week as 2030-W05, month as 2030-01, or the name; "" = not
    stated."""
    slides: int
    """Slides with a measurement."""
    parts: Mapping[str, Quantiles]
    """score, usable_fraction and every artefact class, as a share of tissue -> quantiles."""
    suggested_not_accepted: Share
    """Of the slides with a suggestion."""
    not_accepted: Share
    """Of the slides with a verdict that may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QualityTrends:
    """Quality by group."""

    by: By
    points: tuple[TrendPoint, ...]
    """In order of time, or of the names."""
    score_limits: ControlLimits | None
    """Of the median score by period; None where groups have no order in time."""
    suggested_limits: ControlLimits | None
    """Of the share that is not accepted by suggestion."""
    class_limits: Mapping[str, ControlLimits]
    """Of the median share of each artefact class by period."""
    rule: str
    """How limits and signals are made, in words."""
    hidden: int
    """Slides whose verdicts are left out because they are hidden from whoever looks."""
    unmeasured: int
    """Slides that fit the query but have no measurement."""


def quality_trends(
    settings: Settings, *, by: By = "day", query: QualityQuery | None = None, actor: str
) -> QualityTrends:
    """Return quality by period, scanner, stain or site.

    Args:
        settings: Names the home folder.
        by: How slides are grouped.
        query: Which slides; None = all.
        actor: Who looks.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database:
        require(database, actor, Permission.SEE_CASES)
        bring_up_to_date(database)
        with reading(database):
            hidden = hidden_slides(database, actor=actor)
            entries = quality_entries(database, query or QualityQuery(), hidden=hidden)
    measured = [one for one in entries if one.quality is not None]
    grouped: dict[str, list[QualityEntry]] = {}
    for entry in measured:
        grouped.setdefault(_group_of(entry, by), []).append(entry)
    points = tuple(_point(group, grouped[group]) for group in sorted(grouped))
    in_time = by in IN_TIME and bool(points)
    return QualityTrends(
        by=by,
        points=points,
        score_limits=_median_limits(points, "score") if in_time else None,
        suggested_limits=_share_limits(points) if in_time else None,
        class_limits={name: _median_limits(points, name) for name in ARTEFACT_NAMES} if in_time else {},
        rule=RULE if in_time else "",
        hidden=sum(one.hidden for one in measured),
        unmeasured=len(entries) - len(measured),
    )


def _group_of(entry: QualityEntry, by: By) -> str:
    if by in _PERIODS:
        return f"{entry.added_at:{_PERIODS[by]}}"
    return entry.stain.value if by == "stain" else (entry.scanner if by == "scanner" else entry.site) or ""


def _point(group: str, entries: Sequence[QualityEntry]) -> TrendPoint:
    measured = [one.quality for one in entries if one.quality is not None]
    suggested = [one.disposition for one in measured if one.disposition is not None]
    verdicts = [one.verdict for one in entries if one.verdict is not None]
    return TrendPoint(
        group=group,
        slides=len(entries),
        parts={
            "score": _quantiles(measured, lambda one: one.score),
            "usable_fraction": _quantiles(measured, lambda one: one.usable_fraction),
            **{name: _quantiles(measured, lambda one, name=name: one.fractions[name]) for name in ARTEFACT_NAMES},
        },
        suggested_not_accepted=wilson(sum(one not in ACCEPTED for one in suggested), len(suggested)),
        not_accepted=wilson(sum(one not in ACCEPTED for one in verdicts), len(verdicts)),
    )


def _quantiles(measured: Sequence[SlideQuality], part: Callable[[SlideQuality], float | None]) -> Quantiles:
    values = [value for one in measured if (value := part(one)) is not None]
    if not values:
        return Quantiles(0, None, None, None, None, None)
    return Quantiles(len(values), *(float(value) for value in np.quantile(values, QUANTILES)))


def _median_limits(points: Sequence[TrendPoint], part: str) -> ControlLimits:
    """Return the limits of the medians; a period without the part stands at NaN and starts no signal."""
    medians = [points[place].parts[part].median for place in range(len(points))]
    known = [place for place, median in enumerate(medians) if median is not None]
    chart = individuals_chart([median for median in medians if median is not None])
    return _spread(chart, known, len(points))


def _share_limits(points: Sequence[TrendPoint]) -> ControlLimits:
    shares = [point.suggested_not_accepted for point in points]
    known = [place for place, share in enumerate(shares) if share.of]
    chart = share_chart([shares[place].count for place in known], [shares[place].of for place in known])
    return _spread(chart, known, len(points))


def _spread(chart: ControlLimits, known: Sequence[int], size: int) -> ControlLimits:
    low, high = np.full(size, np.nan), np.full(size, np.nan)
    low[list(known)], high[list(known)] = chart.low, chart.high
    return ControlLimits(chart.centre, low, high, tuple(known[place] for place in chart.signals))
