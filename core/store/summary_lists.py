"""Few questions to the summaries that no page is needed for: which cases, whose, and how many."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlite_utils import Database

from core.domain import CaseStatus
from core.store.summary_parts import Sight, parts_of, sight_parameters


def hidden_unread(database: Database, *, actor: str) -> frozenset[str]:
    """Return the cases that nobody has read and whose result was not revealed to an actor."""
    rows = database.conn.execute(
        "SELECT case_id FROM case_summary WHERE diagnosis IS NULL AND NOT coalesce(instr(revealed_to, ?), 0)",
        (f"\n{actor}\n",),
    )
    return frozenset(case_id for (case_id,) in rows)


def assignments(database: Database, sight: Sight) -> tuple[int, int]:
    """Return how many unsettled cases a person has, and how many nobody has, as far as the person is told."""
    parts, parameters = parts_of(sight), sight_parameters(sight)
    mine = nobodys = 0
    for part in parts:
        who = part.shown("assigned_to")
        own, free = database.conn.execute(
            f"SELECT coalesce(sum({who} = :actor), 0), coalesce(sum({who} IS NULL), 0) FROM case_summary "  # noqa: S608
            f"WHERE ({part.where}) AND NOT {part.shown('settled')}",
            parameters,
        ).fetchone()
        mine, nobodys = mine + own, nobodys + free
    return mine, nobodys


def cases_in_states(database: Database, statuses: tuple[CaseStatus, ...]) -> tuple[str, ...]:
    """Return the cases that stand in one of these states now, whatever anybody may see of them."""
    rows = database.conn.execute(
        "SELECT case_id FROM case_summary WHERE status IN (SELECT value FROM json_each(?)) ORDER BY case_id",
        (json.dumps(statuses),),
    )
    return tuple(case_id for (case_id,) in rows)


def states_of_cases(database: Database, case_ids: Sequence[str]) -> dict[str, CaseStatus]:
    """Return where cases stand now, whatever anybody may see of them."""
    rows = database.conn.execute(
        "SELECT case_id, status FROM case_summary WHERE case_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(case_ids)),),
    )
    return {case_id: CaseStatus(status) for case_id, status in rows}


def sites(database: Database) -> tuple[str, ...]:
    """Return the sites that cases come from, by name."""
    rows = database.conn.execute("SELECT DISTINCT site FROM case_summary WHERE site IS NOT NULL ORDER BY site")
    return tuple(site for (site,) in rows)
