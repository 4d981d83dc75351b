"""One page of the worklist out of the summaries: filters, order and counts, by what one person may see only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlite_utils import Database

from core.domain import CaseStatus, FlagKind, ReadCategory
from core.store.summary_parts import Part, Sight, WorklistOrder, bits_of, parts_of, sight_parameters
from core.store.summary_schema import BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistQuery:
    """Which cases are wanted; what is empty or None does not restrict."""

    text: str = ""
    """Words, all of which occur in the name of the case or of a slide, its site, diagnosis, reader or assignee."""
    statuses: tuple[CaseStatus, ...] = ()
    kinds: tuple[FlagKind, ...] = ()
    """Cases with a flag of any of these kinds."""
    diagnoses: tuple[ReadCategory, ...] = ()
    site: str | None = None
    assigned_to: str | None = None
    unassigned: bool = False
    unsettled: bool = False
    """Only cases that are not reviewed, resolved or signed."""
    awaited: bool = False
    """Only cases on which an opinion of the person is awaited."""
    cases: tuple[str, ...] | None = None
    """Only these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """A case of a page, as far as the person may see it."""

    case_id: str
    hidden: bool
    """Whether the model's result is hidden."""
    status: CaseStatus
    priority: float
    severity: float | None
    """None while hidden, as the next two."""
    probability: float | None
    quality: float | None
    benefit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryPage:
    """A page of cases with the numbers around it."""

    rows: tuple[PageRow, ...]
    total: int
    """Cases that fit the whole query."""
    by_status: Mapping[CaseStatus, int] = field(default_factory=dict[CaseStatus, int])
    """Cases that fit the query but for status and flags."""
    by_kind: Mapping[FlagKind, int] = field(default_factory=dict[FlagKind, int])
    """The same by flag; a case with two kinds counts for both."""


def summary_page(
    database: Database, sight: Sight, query: WorklistQuery, *, order: WorklistOrder, offset: int, limit: int
) -> SummaryPage:
    """Return a page of cases and the counts around it. Call inside `reading`.

    Args:
        database: The log.
        sight: What the person may see.
        query: Which cases are wanted.
        order: How they are sorted; ties go to whoever waits longest, then by name.
        offset: How many to skip.
        limit: How many to return.
    """
    parts, parameters = parts_of(sight), _parameters(sight, query)
    names = _names(database, parts, query, parameters, order=order, offset=offset, limit=limit)
    counts = _counts(database, parts, query, parameters)
    return SummaryPage(
        rows=_rows(database, parts, parameters, names),
        total=sum(count for (status, kinds), count in counts.items() if _fits(query, status, kinds)),
        by_status={one: sum(count for (status, _), count in counts.items() if status == one) for one in CaseStatus},
        by_kind={one: sum(count for (_, kinds), count in counts.items() if kinds & BITS[one]) for one in FlagKind},
    )


def summary_names(database: Database, sight: Sight, query: WorklistQuery, *, order: WorklistOrder) -> tuple[str, ...]:
    """Return the names of all cases that fit, in the order of the pages. Call inside `reading`."""
    parts, parameters = parts_of(sight), _parameters(sight, query)
    return _names(database, parts, query, parameters, order=order, offset=0, limit=None)


def _parameters(sight: Sight, query: WorklistQuery) -> dict[str, object]:
    words = enumerate(query.text.split())
    patterns: dict[str, object] = {f"word{number}": f"%{_escaped(word)}%" for number, word in words}
    return (
        patterns
        | sight_parameters(sight)
        | {
            "site": query.site,
            "assigned_to": query.assigned_to,
            "diagnoses": json.dumps(query.diagnoses),
            "statuses": json.dumps(query.statuses),
            "cases": json.dumps(query.cases or ()),
            "wanted_bits": bits_of(frozenset(query.kinds)),
        }
    )


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _around(part: Part, query: WorklistQuery) -> list[str]:
    """Return the conditions of a query but for status and flags, on what a part shows."""
    found = [f"({part.where})"]
    found += [f"{part.searched} LIKE :word{number} ESCAPE '\\'" for number in range(len(query.text.split()))]
    if query.site is not None:
        found.append("site = :site")
    if query.assigned_to is not None:
        found.append(f"{part.shown('assigned_to')} = :assigned_to")
    if query.unassigned:
        found.append(f"{part.shown('assigned_to')} IS NULL")
    if query.unsettled:
        found.append(f"NOT {part.shown('settled')}")
    if query.awaited:
        found.append("case_id IN (SELECT value FROM json_each(:awaited))")
    if query.cases is not None:
        found.append("case_id IN (SELECT value FROM json_each(:cases))")
    if query.diagnoses:
        found.append(f"{part.shown('diagnosis')} IN (SELECT value FROM json_each(:diagnoses))")  # noqa: S608
    return found


def _names(
    database: Database,
    parts: tuple[Part, ...],
    query: WorklistQuery,
    parameters: dict[str, object],
    *,
    order: WorklistOrder,
    offset: int,
    limit: int | None,
) -> tuple[str, ...]:
    """Return names in order: each part as an index has it, and the few sorted runs merged."""
    end = None if limit is None else offset + limit
    # Words are looked for in every row: in the table's own order that is twice as fast as in an index's.
    source = "case_summary NOT INDEXED" if query.text.split() else "case_summary"
    runs: list[tuple[object, ...]] = []
    for part in parts:
        within = _around(part, query)
        if query.statuses:
            within.append(f"{part.shown('status')} IN (SELECT value FROM json_each(:statuses))")  # noqa: S608
        if query.kinds:
            within.append(f"{part.shown('kinds')} & :wanted_bits")
        key = part.sort_key(order)
        rows = database.conn.execute(
            f"SELECT {key.value}, added_at, case_id FROM {source} WHERE {' AND '.join(within)} "  # noqa: S608
            f"ORDER BY {key.ordered_by} LIMIT :end",
            parameters | {"end": -1 if end is None else end},
        )
        place = part.place(order)
        runs += [(place, *row) for row in rows]
    return tuple(str(row[3]) for row in sorted(runs)[offset:end])


def _counts(
    database: Database, parts: tuple[Part, ...], query: WorklistQuery, parameters: dict[str, object]
) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    for part in parts:
        # Grouped by the columns themselves, as an index has them; what is shown for them follows from each group.
        rows = database.conn.execute(
            f"SELECT {part.shown('status')}, {part.shown('kinds')}, count(*) FROM case_summary "  # noqa: S608
            f"WHERE {' AND '.join(_around(part, query))} GROUP BY status, kinds",
            parameters,
        )
        for status, kinds, count in rows:
            found[status, kinds] += count
    return found


def _rows(
    database: Database, parts: tuple[Part, ...], parameters: dict[str, object], names: tuple[str, ...]
) -> tuple[PageRow, ...]:
    arms = " UNION ALL ".join(
        f"SELECT case_id, {part.hidden}, {part.shown('status')}, {part.shown('priority')}, severity, probability, "  # noqa: S608
        f"quality, {part.shown('benefit')} FROM case_summary "
        f"WHERE case_id IN (SELECT value FROM json_each(:names)) AND {part.where}"
        for part in parts
    )
    found = {row[0]: _row(*row) for row in database.conn.execute(arms, parameters | {"names": json.dumps(names)})}
    return tuple(found[name] for name in names)


def _fits(query: WorklistQuery, status: str, kinds: int) -> bool:
    return (not query.statuses or CaseStatus(status) in query.statuses) and (
        not query.kinds or bool(kinds & bits_of(frozenset(query.kinds)))
    )


def _row(
    case_id: str,
    hidden: int,
    status: str,
    priority: float,
    severity: float,
    probability: float,
    quality: float,
    benefit: float,
) -> PageRow:
    return PageRow(
        case_id=case_id,
        hidden=bool(hidden),
        status=CaseStatus(status),
        priority=float(priority),
        severity=None if hidden else severity,
        probability=None if hidden else probability,
        quality=None if hidden else quality,
        benefit=benefit,
    )
