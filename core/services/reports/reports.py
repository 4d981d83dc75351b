"""What guidelines on second opinions ask a department to count, each with its number of cases, interval and literature.

Every measure says what it is a share of. Cases on which a blinded opinion is awaited from whoever asks are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.roles import Permission
from core.services.people.authority import require
from core.services.reports.measures import CHANGED, MEASURES, Counted, Measure, median_interval
from core.services.reports.periods import Period
from core.services.triage.board import hidden_cases
from core.settings import Settings
from core.store.board import (
    AnsweredRequest,
    SettledCase,
    answered_flags,
    first_signatures,
    read_cases,
    requests,
    settled_cases,
)
from core.store.connection import Log, open_log, reading

__all__ = ["Measure", "Period", "Report", "first_read_at", "median_interval", "report", "reports_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All measures of a period."""

    period: Period
    measures: tuple[Measure, ...]
    hidden: int
    """Cases left out because an opinion on them is awaited from the person who asks."""
    made_at: datetime
    made_by: str


def report(settings: Settings, *, period: Period | None = None, actor: str) -> Report:
    """Return every measure of a period.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    return reports_of(settings, (period or Period(),), actor=actor)[0]


def reports_of(settings: Settings, periods: Sequence[Period], *, actor: str) -> tuple[Report, ...]:
    """Return every measure of several periods, from one look into the log.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        hidden = hidden_cases(database, actor)
        told = _told(database, hidden)
    now = datetime.now(UTC)
    return tuple(
        Report(
            period=period,
            measures=tuple(measure(counted) for measure in MEASURES),
            hidden=len(hidden),
            made_at=now,
            made_by=actor,
        )
        for period in periods
        for counted in (_counted(told, period),)
    )


def first_read_at(settings: Settings, *, actor: str) -> datetime | None:
    """Return when the first case was read, where a trend begins; None before that.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        hidden = hidden_cases(database, actor)
        return min((at for case_id, at in read_cases(database) if case_id not in hidden), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the log tells of the cases that may be counted, whenever."""

    read: tuple[tuple[str, datetime], ...]
    settled: tuple[SettledCase, ...]
    requests: tuple[AnsweredRequest, ...]
    answers: tuple[tuple[str, datetime, str], ...]
    signed: dict[str, datetime]


def _told(database: Log, hidden: frozenset[str]) -> _Told:
    return _Told(
        read=tuple(one for one in read_cases(database) if one[0] not in hidden),
        settled=tuple(one for one in settled_cases(database) if one.case_id not in hidden),
        requests=tuple(one for one in requests(database) if one.case_id not in hidden),
        answers=tuple(one for one in answered_flags(database) if one[0] not in hidden),
        signed=first_signatures(database),
    )


def _counted(told: _Told, period: Period) -> Counted:
    return Counted(
        read=frozenset(case_id for case_id, at in told.read if at in period),
        settled=tuple(one for one in told.settled if one.at in period),
        requests=tuple(one for one in told.requests if one.requested_at in period),
        asked_ever=frozenset(one.case_id for one in told.requests),
        amended=frozenset(one.case_id for one in told.settled if one.report_action in CHANGED),
        verdicts=tuple(word for _, at, word in told.answers if at in period),
        signed=told.signed,
    )
