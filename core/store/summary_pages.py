"""One page of the worklist out of the summaries: filters, order and counts, by what one person may see only.

A case whose model result is hidden from the person has, for filters, counts and order, only the values that its row
shows. Else the place of a row, or its absence under a filter, would tell what the row itself does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlite_utils import Database

from core.domain import BANDS, CaseStatus, FlagKind, ReadCategory
from core.store.summary_schema import BITS

BLINDED_BAND = 20
"""Above every flag: where a blinded opinion is awaited, the case stands first, whatever is flagged."""
UNKNOWN_BENEFIT = 0.5
"""Of every case whose result is hidden: constant, so that their order among each other is that of waiting."""


class WorklistOrder(StrEnum):
    """What the worklist is sorted by."""

    BENEFIT = "benefit"
    """Expected benefit of a second look, highest first."""
    PRIORITY = "priority"
    """Band of the most pressing flag, highest first."""
    WAITING = "waiting"
    """Whoever waits longest first; settled cases last."""
    CASE = "case"
    """By name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistQuery:
    """Which cases are wanted; what is empty or None does not restrict."""

    text: str = ""
    """Part of the case's name or site, without regard to case."""
    statuses: tuple[CaseStatus, ...] = ()
    kinds: tuple[FlagKind, ...] = ()
    """Cases with a flag of any of these kinds."""
    diagnoses: tuple[ReadCategory, ...] = ()
    site: str | None = None
    assigned_to: str | None = None
    unassigned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one person may see, as sets of cases. The program itself sees everything: `everything=True`."""

    actor: str = ""
    everything: bool = False
    blinded: frozenset[str] = frozenset()
    """Cases on which a blinded opinion is awaited from the person."""
    without_first_read: frozenset[str] = frozenset()
    """Of those, the ones whose first read is hidden too."""
    awaited: frozenset[str] = frozenset()
    """Cases that wait for this very person."""
    open_kinds: frozenset[FlagKind] = frozenset()
    """Kinds of flags shown although the model's result is hidden."""
    blinded_kinds: frozenset[FlagKind] = frozenset()
    """Of those, kinds shown even to who is blinded."""


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


def _bits(kinds: frozenset[FlagKind]) -> int:
    return sum(BITS[kind] for kind in kinds)


_SHOWN = """
    SELECT case_id, site, added_at, severity, probability, quality, blind,
        CASE WHEN full AND assigned_to IS NOT :actor THEN NULL ELSE assigned_to END AS assigned_to,
        CASE WHEN full THEN NULL ELSE diagnosis END AS diagnosis,
        NOT seen AS hidden,
        CASE WHEN blind THEN 'second_opinion_requested' ELSE status END AS status,
        kinds & CASE WHEN blind THEN :blinded_bits WHEN seen THEN -1 ELSE :open_bits END AS kinds,
        CASE WHEN blind THEN {first} WHEN seen THEN priority WHEN {settled} THEN 0 ELSE {open_band} END AS priority,
        CASE WHEN seen THEN benefit WHEN {settled} AND NOT blind THEN 0.0 ELSE {unknown} END AS benefit,
        blind = 0 AND {settled} AS settled
    FROM (SELECT *, NOT blind AND (:everything OR diagnosis IS NOT NULL
            OR coalesce(instr(revealed_to, :revealed_line), 0)) AS seen
          FROM (SELECT *, {blind} AS blind, {full} AS full FROM case_summary))
"""

_SETTLED = "status IN ('reviewed', 'resolved', 'signed')"


def _shown(sight: Sight) -> str:
    """Return the query of what every case shows; sets that are empty cost nothing."""

    def within(cases: frozenset[str], name: str) -> str:
        return f"case_id IN (SELECT value FROM json_each(:{name}))" if cases else "0"  # noqa: S608 - our own names

    bands = sorted(sight.open_kinds, key=lambda kind: -BANDS[kind])
    arms = " ".join(f"WHEN kinds & {BITS[kind]} THEN {BANDS[kind]}" for kind in bands)
    return (
        _SHOWN.replace("{first}", str(BLINDED_BAND))
        .replace("{open_band}", f"CASE {arms} ELSE 1 END" if arms else "1")
        .replace("{settled}", _SETTLED)
        .replace("{unknown}", str(UNKNOWN_BENEFIT))
        .replace("{blind}", within(sight.blinded, "blinded"))
        .replace("{full}", within(sight.without_first_read, "without_first_read"))
    )


_OWN_FIRST = "blind DESC, CASE WHEN blind THEN NOT (case_id IN (SELECT value FROM json_each(:awaited))) END"
_ORDERS: Mapping[WorklistOrder, str] = {
    WorklistOrder.BENEFIT: f"{_OWN_FIRST}, CASE WHEN blind THEN 0 ELSE -benefit END, added_at, case_id",
    WorklistOrder.PRIORITY: f"{_OWN_FIRST}, CASE WHEN blind THEN 0 ELSE -priority END, added_at, case_id",
    WorklistOrder.WAITING: "settled, added_at, case_id",
    WorklistOrder.CASE: "case_id",
}


def _parameters(sight: Sight, query: WorklistQuery) -> dict[str, object]:
    escaped = query.text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {
        "actor": sight.actor,
        "everything": int(sight.everything),
        "open_bits": _bits(sight.open_kinds),
        "blinded_bits": _bits(sight.blinded_kinds),
        "revealed_line": f"\n{sight.actor}\n",
        "blinded": json.dumps(sorted(sight.blinded)),
        "without_first_read": json.dumps(sorted(sight.without_first_read)),
        "awaited": json.dumps(sorted(sight.awaited)),
        "text": f"%{escaped}%",
        "site": query.site,
        "assigned_to": query.assigned_to,
        "diagnoses": json.dumps(query.diagnoses),
        "statuses": json.dumps(query.statuses),
        "wanted_bits": _bits(frozenset(query.kinds)),
    }


def _around(query: WorklistQuery) -> str:
    """Return the conditions but for status and flags."""
    parts = ["1"]
    if query.text.strip():
        parts.append("(case_id LIKE :text ESCAPE '\\' OR site LIKE :text ESCAPE '\\')")
    if query.site is not None:
        parts.append("site = :site")
    if query.assigned_to is not None:
        parts.append("assigned_to = :assigned_to")
    if query.unassigned:
        parts.append("assigned_to IS NULL")
    if query.diagnoses:
        parts.append("diagnosis IN (SELECT value FROM json_each(:diagnoses))")
    return " AND ".join(parts)


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
    shown, parameters = _shown(sight), _parameters(sight, query) | {"offset": offset, "limit": limit}
    around = _around(query)
    within = around
    if query.statuses:
        within += " AND status IN (SELECT value FROM json_each(:statuses))"
    if query.kinds:
        within += " AND kinds & :wanted_bits"
    # Name and keys are sorted first, the few rows of the page are then fetched: sorting wide rows costs most.
    found = database.conn.execute(
        f"SELECT case_id, hidden, status, priority, severity, probability, quality, benefit FROM ({shown}) "  # noqa: S608
        f"WHERE {within} ORDER BY {_ORDERS[order]} LIMIT :limit OFFSET :offset",
        parameters,
    ).fetchall()
    groups = database.conn.execute(
        f"SELECT status, kinds, count(*) FROM (SELECT status, kinds FROM ({shown}) WHERE {around}) "  # noqa: S608
        "GROUP BY status, kinds",
        parameters,
    ).fetchall()
    return SummaryPage(
        rows=tuple(_row(*values) for values in found),
        total=sum(count for status, kinds, count in groups if _fits(query, status, kinds)),
        by_status={one: sum(count for status, _, count in groups if status == one.value) for one in CaseStatus},
        by_kind={one: sum(count for _, kinds, count in groups if kinds & BITS[one]) for one in FlagKind},
    )


def hidden_unread(database: Database, *, actor: str) -> frozenset[str]:
    """Return the cases that nobody has read and whose result was not revealed to an actor."""
    rows = database.conn.execute(
        "SELECT case_id FROM case_summary WHERE diagnosis IS NULL AND NOT coalesce(instr(revealed_to, ?), 0)",
        (f"\n{actor}\n",),
    )
    return frozenset(case_id for (case_id,) in rows)


def _fits(query: WorklistQuery, status: str, kinds: int) -> bool:
    return (not query.statuses or CaseStatus(status) in query.statuses) and (
        not query.kinds or bool(kinds & _bits(frozenset(query.kinds)))
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
