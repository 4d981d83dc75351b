"""The table of slide quality: every part of every slide, filtered and sorted, as one person may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import InputError
from core.qc.report import QcReport, StainFacts
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.blinding import hidden_slides
from core.services.quality.limits import bring_up_to_date
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.quality import standing_verdicts
from core.store.quality_pages import (
    DISPUTED,
    SORTS,
    UNJUDGED,
    UNMEASURED,
    QualityEntry,
    QualityQuery,
    quality_entries,
    quality_page,
)
from core.store.quality_records import QcVerdictRecord, SlideQuality
from core.store.quality_results import reports_of
from core.store.records import Json

__all__ = [
    "DISPUTED",
    "SORTS",
    "UNJUDGED",
    "UNMEASURED",
    "QualityPage",
    "QualityQuery",
    "QualityRow",
    "SlideQuality",
    "quality_row",
    "quality_table",
    "slide_order",
]

PAGE_LIMIT = 1_000
"""Largest page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRow:
    """A slide in the table of quality."""

    entry: QualityEntry
    """Slide, case, stain, site, scanner, dates, measured parts, and the verdict that counts."""
    report: QcReport | None
    """The whole report; None where there is none, or one from before the artefact classes."""
    verdicts: tuple[QcVerdictRecord, ...]
    """Those that stand and may be shown."""

    @property
    def stain(self) -> StainFacts | None:
        """Stain vectors and amounts."""
        return None if self.report is None else self.report.stain


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPage:
    """A page of the table and the numbers around it."""

    rows: tuple[QualityRow, ...]
    total: int
    """Slides that fit the query."""
    facets: Mapping[str, Mapping[str, int]]
    """scanner, site, stain, disposition, verdict -> value -> slides that fit the query but for that filter."""
    offset: int
    limit: int


def quality_table(
    settings: Settings, *, actor: str, query: QualityQuery | None = None, offset: int = 0, limit: int = 100
) -> QualityPage:
    """Return a page of the table of slide quality.

    Args:
        settings: Names the home folder.
        actor: Who looks; verdicts that are hidden from this person count as absent in filters, counts and order.
        query: Which slides, in which order; None = all, the lowest score first.
        offset: Slides to skip.
        limit: Slides to return, at most `PAGE_LIMIT`.

    Raises:
        NotAllowedError: the actor may not see cases.
        InputError: offset or limit cannot be used.
    """
    if offset < 0 or not 1 <= limit <= PAGE_LIMIT:
        raise InputError(
            f"A page of {limit} slides from {offset} cannot be shown; ask for 1 to {PAGE_LIMIT} from 0 on."
        )
    with open_log(settings) as database:
        require(database, actor, Permission.SEE_CASES)
        bring_up_to_date(database)
        with reading(database):
            hidden = hidden_slides(database, actor=actor)
            page = quality_page(database, query or QualityQuery(), hidden=hidden, offset=offset, limit=limit)
            verdicts = _verdicts(standing_verdicts(database, [one.slide_id for one in page.entries]))
            reports = reports_of(database, [one.quality for one in page.entries if one.quality])
    rows = tuple(_row(one, reports, verdicts, actor=actor) for one in page.entries)
    return QualityPage(rows=rows, total=page.total, facets=page.facets, offset=offset, limit=limit)


def quality_row(settings: Settings, slide_id: str, *, actor: str) -> QualityRow:
    """Return the row of one slide.

    Raises:
        NotAllowedError: the actor may not see cases.
        InputError: there is no such slide.
    """
    with open_log(settings) as database:
        require(database, actor, Permission.SEE_CASES)
        bring_up_to_date(database)
        with reading(database):
            hidden = hidden_slides(database, actor=actor)
            found = quality_entries(database, QualityQuery(), hidden=hidden, slide_ids=[slide_id])
            if not found:
                raise InputError(f"There is no slide {slide_id!r}. Choose one from the table of quality.")
            verdicts = _verdicts(standing_verdicts(database, [slide_id]))
            reports = reports_of(database, [one.quality for one in found if one.quality])
    return _row(found[0], reports, verdicts, actor=actor)


def slide_order(settings: Settings, *, actor: str, query: QualityQuery | None = None) -> tuple[str, ...]:
    """Return the ids of all slides that fit a query, in its order: the way from one slide to the next.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        hidden = hidden_slides(database, actor=actor)
        return tuple(one.slide_id for one in quality_entries(database, query or QualityQuery(), hidden=hidden))


def parsed_report(values: Json | None) -> QcReport | None:
    """Return the report in the log, or None if it is of a version before the artefact classes."""
    if values is None:
        return None
    try:
        return QcReport.from_dict(values)
    except ValueError:
        return None


def _row(
    entry: QualityEntry,
    reports: Mapping[str, Json],
    verdicts: Mapping[str, Sequence[QcVerdictRecord]],
    *,
    actor: str,
) -> QualityRow:
    own = verdicts.get(entry.slide_id, ())
    return QualityRow(
        entry=entry,
        report=parsed_report(reports.get(entry.slide_id)),
        verdicts=tuple(one for one in own if not entry.hidden or one.reader == actor),
    )


def _verdicts(found: Sequence[QcVerdictRecord]) -> dict[str, list[QcVerdictRecord]]:
    by_slide: dict[str, list[QcVerdictRecord]] = {}
    for one in found:
        by_slide.setdefault(one.slide_id, []).append(one)
    return by_slide
