"""What one person may see of the worklist, as parts: in each, every case shows the same columns in the same way.

A case whose model result is hidden from the person has, for filters, counts and order, only the values that its row
shows. Else the place of a row, or its absence under a filter, would tell what the row itself does not. Taken part by
part these values are plain columns or constants, so that an index gives the order, and a deep page costs no sorting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.domain import BANDS, FlagKind
from core.store.summary_schema import BITS, SETTLED

BLINDED_BAND = 20
"""Above every flag: where a blinded opinion is awaited, the case stands first, whatever is flagged."""
_WAITED = "added_at, case_id"
_OPEN = ("case_id", "slide_names", "site")
_PERSONAL = ("diagnosis", "diagnosis_by", "assigned_to")
"""What is searched in; the latter may be hidden."""
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
    QUALITY = "quality"
    """Worst slide first; cases without a measure before all."""
    CASE = "case"
    """By name."""


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


@dataclass(frozen=True, slots=True)
class SortKey:
    """What a part is sorted by: as a value that rises from row to row, and as an ORDER BY that an index answers."""

    value: str
    ordered_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Cases that are shown alike."""

    where: str
    """Condition on the summary that its cases meet; no case meets that of two parts."""
    hidden: int
    """1 where the model's result is hidden."""
    rank: int = 2
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    """Column -> what is shown for it, where that is not the column itself."""

    @property
    def constants(self) -> frozenset[str]:
        """Expressions that are the same for every case of the part, by which there is nothing to sort."""
        return frozenset(text for text in self.columns.values() if text.replace(".", "").isdigit())

    @property
    def searched(self) -> str:
        """Return the expression of the text that is searched in."""
        if not any(column in self.columns for column in _PERSONAL):
            return "words"
        return " || ' ' || ".join(f"coalesce({self.shown(column)}, '')" for column in (*_OPEN, *_PERSONAL))

    def shown(self, column: str) -> str:
        """Return the expression of what is shown for a column."""
        return self.columns.get(column, column)

    def place(self, order: WorklistOrder) -> int:
        """Return where the part stands: by benefit and by priority, cases with an awaited blinded opinion go first."""
        return self.rank if order in (WorklistOrder.BENEFIT, WorklistOrder.PRIORITY) else 0

    def sort_key(self, order: WorklistOrder) -> SortKey:
        """Return what the part is sorted by."""
        if order is WorklistOrder.CASE:
            return SortKey("case_id", "case_id")
        if order is WorklistOrder.QUALITY:
            return SortKey("coalesce(qc_score, -1.0)", f"qc_score, {_WAITED}")
        column = "settled" if order is WorklistOrder.WAITING else order.value
        shown, falling = self.shown(column), order is not WorklistOrder.WAITING
        if shown in self.constants:
            return SortKey(f"-({shown})" if falling else shown, _WAITED)
        return SortKey(f"-({shown})", f"{shown} DESC, {_WAITED}") if falling else SortKey(shown, f"{shown}, {_WAITED}")


def bits_of(kinds: frozenset[FlagKind]) -> int:
    """Return kinds of flags as one number."""
    return sum(BITS[kind] for kind in kinds)


def sight_parameters(sight: Sight) -> dict[str, object]:
    """Return what the conditions of the parts refer to."""
    return {
        "actor": sight.actor,
        "revealed_line": f"\n{sight.actor}\n",
        "blinded": json.dumps(sorted(sight.blinded)),
        "without_first_read": json.dumps(sorted(sight.without_first_read)),
        "awaited": json.dumps(sorted(sight.awaited)),
    }


def parts_of(sight: Sight) -> tuple[Part, ...]:
    """Return the parts that a person's worklist is made of; those without a case cost nothing."""
    others = " AND case_id NOT IN (SELECT value FROM json_each(:blinded))" if sight.blinded else ""
    open_read = {"settled": SETTLED}
    if sight.everything:
        return (*_blinded(sight), Part(where="1" + others, hidden=0, columns=open_read))
    revealed = "coalesce(instr(revealed_to, :revealed_line), 0)"
    unread = f"diagnosis IS NULL AND NOT {revealed}{others}"
    return (
        *_blinded(sight),
        Part(where="diagnosis IS NOT NULL" + others, hidden=0, columns=open_read),
        Part(where=f"diagnosis IS NULL AND {revealed}{others}", hidden=0, columns=open_read),
        Part(where=f"{unread} AND NOT {SETTLED}", hidden=1, columns=_unread(sight, settled=False)),
        Part(where=f"{unread} AND {SETTLED}", hidden=1, columns=_unread(sight, settled=True)),
    )


def _blinded(sight: Sight) -> tuple[Part, ...]:
    if not sight.blinded:
        return ()
    full = "case_id IN (SELECT value FROM json_each(:without_first_read))"
    columns = {
        "status": "'second_opinion_requested'",
        "kinds": f"kinds & {bits_of(sight.blinded_kinds)}",
        "diagnosis": f"CASE WHEN {full} THEN NULL ELSE diagnosis END",
        "diagnosis_by": f"CASE WHEN {full} THEN NULL ELSE diagnosis_by END",
        "assigned_to": f"CASE WHEN {full} AND assigned_to IS NOT :actor THEN NULL ELSE assigned_to END",
        "priority": str(float(BLINDED_BAND)),
        "benefit": str(UNKNOWN_BENEFIT),
        "settled": "0",
    }
    own = "case_id IN (SELECT value FROM json_each(:awaited))"
    where = "case_id IN (SELECT value FROM json_each(:blinded))"
    return tuple(
        Part(where=f"{where} AND {own_or_not}", hidden=1, rank=rank, columns=columns)
        for rank, own_or_not in ((0, own), (1, f"NOT {own}"))
    )


def _unread(sight: Sight, *, settled: bool) -> dict[str, str]:
    bands = sorted(sight.open_kinds, key=lambda kind: -BANDS[kind])
    arms = " ".join(f"WHEN kinds & {BITS[kind]} THEN {float(BANDS[kind])}" for kind in bands)
    return {
        "kinds": f"kinds & {bits_of(sight.open_kinds)}",
        "priority": "0.0" if settled else f"CASE {arms} ELSE 1.0 END" if arms else "1.0",
        "benefit": "0.0" if settled else str(UNKNOWN_BENEFIT),
        "settled": "1" if settled else "0",
    }
