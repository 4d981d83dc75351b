"""Periods of a report, and how a stretch of time is cut into them for a trend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.errors import InputError

MOST_PERIODS = 120
"""Periods of a trend; a longer stretch needs longer periods."""


class Step(StrEnum):
    """How long the periods of a trend are."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Period:
    """From the start to just before the end; None = open. Times are aware."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if any(one is not None and one.tzinfo is None for one in (self.start, self.end)):
            raise InputError("The period has a time without a time zone.")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InputError("The period ends before it begins. Exchange the two dates.")

    def __contains__(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)

    @property
    def words(self) -> str:
        """The period in words."""
        start = "the beginning" if self.start is None else f"{self.start.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        end = "now" if self.end is None else f"{self.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"{start} to {end}"


def periods_between(start: datetime, end: datetime, *, step: Step) -> tuple[Period, ...]:
    """Cut a stretch of time into whole weeks, months, quarters or years of the calendar (UTC), earliest first.

    The first period begins at or before the start, the last one ends after the end.

    Raises:
        InputError: these would be too many, or the end comes before the start.
    """
    if end < start:
        raise InputError("The period ends before it begins. Exchange the two dates.")
    found: list[Period] = []
    for first, following in _steps(start.astimezone(UTC), step):
        if first > end or len(found) > MOST_PERIODS:
            break
        found.append(Period(first, following))
    if len(found) > MOST_PERIODS:
        raise InputError(f"A trend has at most {MOST_PERIODS} periods. Choose longer periods or a shorter time.")
    return tuple(found)


def label_of(period: Period, *, step: Step) -> str:
    """Return a period's name on an axis."""
    start = period.start
    if start is None:
        return period.words
    if step is Step.WEEK:
        return f"{start:%G-W%V}"
    if step is Step.MONTH:
        return f"{start:%Y-%m}"
    return f"{start:%Y}" if step is Step.YEAR else f"{start:%Y}-Q{(start.month + 2) // 3}"


def _steps(start: datetime, step: Step) -> Iterator[tuple[datetime, datetime]]:
    """Yield (first moment, first moment of the next period), without end."""
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    if step is Step.WEEK:
        first = day - timedelta(days=day.weekday())
        while True:
            yield first, first + timedelta(days=7)
            first += timedelta(days=7)
    months = {Step.MONTH: 1, Step.QUARTER: 3, Step.YEAR: 12}[step]
    first = day.replace(day=1, month=(day.month - 1) // months * months + 1)
    while True:
        following = _later(first, months)
        yield first, following
        first = following


def _later(first: datetime, months: int) -> datetime:
    whole = first.year * 12 + first.month - 1 + months
    return first.replace(year=whole // 12, month=whole % 12 + 1)
