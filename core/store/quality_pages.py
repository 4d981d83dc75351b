"""The table of slide quality page by page: filters, counts and order in SQL, for cohorts of any size.

Verdicts that are hidden from whoever looks count as absent in every filter, count and order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from core.domain import SlideStatus, Stain
from core.errors import InputError
from core.store.connection import rows_of
from core.store.quality import STANDING
from core.store.quality_records import SlideQuality
from core.store.quality_results import quality_of
from core.store.quality_schema import ARTEFACT_NAMES, MEASURED_COLUMNS
from core.store.values import time_of, time_text
from core.vocabulary import QcDisposition

UNJUDGED = "unjudged"
"""Stands for the absence of a verdict in filters and counts."""
UNMEASURED = "unmeasured"
"""Stands for the absence of a suggestion."""
DISPUTED = "disputed"
"""Stands for two verdicts that differ."""


def _rank(column: str) -> str:
    arms = " ".join(f"WHEN '{one.value}' THEN {place}" for place, one in enumerate(QcDisposition))
    return f"CASE {column} {arms} END"


SORTS: Mapping[str, str] = {
    "slide": "slide_id",
    "case": "case_id",
    "score": "score",
    "tissue_mm2": "tissue_mm2",
    "usable_mm2": "usable_mm2",
    "usable_fraction": "usable_fraction",
    "sections": "sections",
    "disposition": _rank("disposition"),
    "verdict": _rank("verdict"),
    "scanner": "scanner",
    "site": "site",
    "stain": "stain",
    "date": "added_at",
    "measured": "measured_at",
    "stain_kind": "stain_kind",
    "stain_angle": "stain_angle",
    "stain_first": "stain_first",
    "stain_second": "stain_second",
    **{f"fraction_{name}": f"fraction_{name}" for name in ARTEFACT_NAMES},
    **{f"mm2_{name}": f"mm2_{name}" for name in ARTEFACT_NAMES},
}
"""Key -> expression by which the table can be sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityQuery:
    """Which slides are wanted, in which order. An empty tuple is no filter."""

    text: str = ""
    """Part of a slide or case id."""
    scanners: tuple[str, ...] = ()
    """"" stands for slides whose scanner is not stated; so for sites."""
    sites: tuple[str, ...] = ()
    stains: tuple[Stain, ...] = ()
    dispositions: tuple[str, ...] = ()
    """Suggestions: values of `QcDisposition`, or `UNMEASURED`."""
    verdicts: tuple[str, ...] = ()
    """Values of `QcDisposition`, `UNJUDGED` or `DISPUTED`."""
    start: datetime | None = None
    """Slides added from this moment on."""
    end: datetime | None = None
    """Slides added before this moment."""
    artefact: str | None = None
    """Only slides with at least `at_least` of their tissue in this class."""
    at_least: float = 0.01
    sort: str = "score"
    """One of `SORTS`; slides without that part come last either way."""
    descending: bool = False

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise InputError(f"The table cannot be sorted by {self.sort!r}. Choose one of {', '.join(SORTS)}.")
        if self.artefact is not None and self.artefact not in ARTEFACT_NAMES:
            raise InputError(f"There is no artefact {self.artefact!r}. Choose one of {', '.join(ARTEFACT_NAMES)}.")
        if any(one is not None and one.tzinfo is None for one in (self.start, self.end)):
            raise InputError("The period has a time without a time zone.")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEntry:
    """A slide and its latest measurement."""

    slide_id: str
    case_id: str
    stain: Stain
    site: str | None
    scanner: str | None
    added_at: datetime
    status: SlideStatus | None
    """Of the latest analysis; None before the first."""
    message: str
    quality: SlideQuality | None
    verdict: QcDisposition | None
    """The one that counts, as far as it may be shown: the first reader's, else the earliest."""
    disputed: bool
    """Whether verdicts that stand differ."""
    hidden: bool
    """Whether verdicts are hidden from whoever looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPage:
    """A page and the numbers around it."""

    entries: tuple[QualityEntry, ...]
    total: int
    facets: Mapping[str, Mapping[str, int]]
    """Part -> value -> slides that fit the query but for its filter on that part; "" where it is not stated."""


_MEASURED = ", ".join(f"slide_quality.{name}" for name in MEASURED_COLUMNS if name != "slide_id")
_ROWS = f"""
    WITH shown AS (
        SELECT slide_id, disposition,
            row_number() OVER (PARTITION BY slide_id ORDER BY role, verdict_id) AS place
        FROM qc_verdicts WHERE {STANDING} AND slide_id NOT IN (SELECT value FROM json_each(:hidden))),
    decided AS (
        SELECT slide_id, count(DISTINCT disposition) > 1 AS disputed,
            max(CASE WHEN place = 1 THEN disposition END) AS verdict
        FROM shown GROUP BY slide_id),
    entries AS (
        SELECT slides.slide_id, slides.case_id, slides.stain, slides.site, slides.scanner, slides.added_at,
            decided.verdict, coalesce(decided.disputed, 0) AS disputed,
            slides.slide_id IN (SELECT value FROM json_each(:hidden)) AS hidden, {_MEASURED}
        FROM slides LEFT JOIN slide_quality ON slide_quality.slide_id = slides.slide_id
        LEFT JOIN decided ON decided.slide_id = slides.slide_id)
"""  # noqa: S608 - constants

_FACETS: Mapping[str, str] = {
    "scanner": "coalesce(scanner, '')",
    "site": "coalesce(site, '')",
    "stain": "stain",
    "disposition": f"coalesce(disposition, '{UNMEASURED}')",
    "verdict": f"coalesce(verdict, '{UNJUDGED}')",
}


def quality_page(
    database: Database, query: QualityQuery, *, hidden: frozenset[str], offset: int, limit: int
) -> EntryPage:
    """Return a page of the table.

    Args:
        database: The log, inside a transaction.
        query: Which slides, in which order.
        hidden: Slides whose verdicts may not be shown.
        offset: Slides to skip.
        limit: Slides to return.
    """
    conditions = _conditions(query)
    parameters = {**_parameters(query), "hidden": json.dumps(sorted(hidden)), "offset": offset, "limit": limit}
    where = " AND ".join(conditions.values()) or "true"
    direction = "DESC" if query.descending else "ASC"
    rows = _query(
        database,
        f"{_ROWS} SELECT * FROM entries WHERE {where} "  # noqa: S608 - constants
        f"ORDER BY {SORTS[query.sort]} IS NULL, {SORTS[query.sort]} {direction}, slide_id LIMIT :limit OFFSET :offset",
        parameters,
    )
    facets, total = _counts(database, conditions, parameters, where=where)
    outcomes = _outcomes(database, [row["slide_id"] for row in rows])
    return EntryPage(entries=tuple(_entry(row, outcomes) for row in rows), total=total, facets=facets)


def quality_entries(
    database: Database, query: QualityQuery, *, hidden: frozenset[str], slide_ids: Sequence[str] | None = None
) -> tuple[QualityEntry, ...]:
    """Return every slide that fits a query, or those of some slides, in the order of the query."""
    conditions = list(_conditions(query).values())
    parameters = {**_parameters(query), "hidden": json.dumps(sorted(hidden))}
    if slide_ids is not None:
        conditions.append("slide_id IN (SELECT value FROM json_each(:slide_ids))")
        parameters["slide_ids"] = json.dumps(list(slide_ids))
    direction = "DESC" if query.descending else "ASC"
    rows = _query(
        database,
        f"{_ROWS} SELECT * FROM entries WHERE {' AND '.join(conditions) or 'true'} "  # noqa: S608 - constants
        f"ORDER BY {SORTS[query.sort]} IS NULL, {SORTS[query.sort]} {direction}, slide_id",
        parameters,
    )
    outcomes = _outcomes(database, [row["slide_id"] for row in rows])
    return tuple(_entry(row, outcomes) for row in rows)


def _conditions(query: QualityQuery) -> dict[str, str]:
    """Return the conditions by the part that they filter."""
    found: dict[str, str] = {}
    if query.text.strip():
        found["text"] = "(instr(lower(slide_id), :text) OR instr(lower(case_id), :text))"
    for part in ("scanner", "site", "stain", "disposition"):
        if getattr(query, f"{part}s"):
            found[part] = f"{_FACETS[part]} IN (SELECT value FROM json_each(:{part}))"  # noqa: S608 - constants
    if query.verdicts:
        disputed = " OR disputed" if DISPUTED in query.verdicts else ""
        own = f"{_FACETS['verdict']} IN (SELECT value FROM json_each(:verdict))"  # noqa: S608 - constants
        found["verdict"] = f"({own}{disputed})"
    if query.start is not None:
        found["start"] = "added_at >= :start"
    if query.end is not None:
        found["end"] = "added_at < :end"
    if query.artefact is not None:
        found["artefact"] = f"fraction_{query.artefact} >= :at_least"
    return found


def _parameters(query: QualityQuery) -> dict[str, object]:
    return {
        "text": query.text.strip().lower(),
        **{part: json.dumps(list(getattr(query, f"{part}s"))) for part in _FACETS},
        "start": None if query.start is None else time_text(query.start),
        "end": None if query.end is None else time_text(query.end),
        "at_least": query.at_least,
    }


def _counts(
    database: Database, conditions: Mapping[str, str], parameters: Mapping[str, object], *, where: str
) -> tuple[dict[str, dict[str, int]], int]:
    """Return the facets and the number of slides that fit."""
    facets: dict[str, dict[str, int]] = {}
    for part, column in _FACETS.items():
        others = " AND ".join(text for name, text in conditions.items() if name != part) or "true"
        rows = _query(
            database,
            f"{_ROWS} SELECT {column} AS value, count(*) AS slides, sum(disputed) AS disputed FROM entries "  # noqa: S608
            f"WHERE {others} GROUP BY 1 ORDER BY 1",
            parameters,
        )
        facets[part] = {row["value"]: row["slides"] for row in rows}
        if part == "verdict":
            facets[part][DISPUTED] = sum(row["disputed"] for row in rows)
    total = _query(database, f"{_ROWS} SELECT count(*) AS slides FROM entries WHERE {where}", parameters)  # noqa: S608
    return facets, int(total[0]["slides"])


def _query(database: Database, query: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    cursor = database.conn.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _outcomes(database: Database, slide_ids: Sequence[str]) -> dict[str, tuple[SlideStatus, str]]:
    """Return status and message of the latest analysis of slides that have one."""
    rows = rows_of(
        database,
        """SELECT slide_id, status, message FROM runs WHERE seq IN (
               SELECT max(seq) FROM runs WHERE slide_id IN (SELECT value FROM json_each(?)) GROUP BY slide_id)""",
        (json.dumps(list(slide_ids)),),
    )
    return {row["slide_id"]: (SlideStatus(row["status"]), row["message"] or "") for row in rows}


def _entry(row: Mapping[str, Any], outcomes: Mapping[str, tuple[SlideStatus, str]]) -> QualityEntry:
    status, message = outcomes.get(row["slide_id"], (None, ""))
    return QualityEntry(
        slide_id=row["slide_id"],
        case_id=row["case_id"],
        stain=Stain(row["stain"]),
        site=row["site"],
        scanner=row["scanner"],
        added_at=time_of(row["added_at"]),
        status=status,
        message=message,
        quality=None if row["source_id"] is None else quality_of(row),
        verdict=QcDisposition(row["verdict"]) if row["verdict"] else None,
        disputed=bool(row["disputed"]),
        hidden=bool(row["hidden"]),
    )
