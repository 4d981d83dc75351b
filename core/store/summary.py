"""Keeping the derived table of case summaries right: rebuilding it, and finding what in it is not as the log says."""

from __future__ import annotations

from sqlite_utils import Database

from core.store.connection import reading, writing
from core.store.summary_schema import COLUMNS, SUMMARY_TRIGGERS, TRIGGER_NAMES, summary_query

_NAMES = ", ".join(COLUMNS)


def rebuild(database: Database) -> int:
    """Derive the table anew from the log, and with it the triggers that maintain it; return the number of cases."""
    with writing(database):
        for name in TRIGGER_NAMES:
            database.conn.execute(f"DROP TRIGGER IF EXISTS {name}")
        database.conn.execute("DELETE FROM case_summary")
        database.conn.execute(f"INSERT INTO case_summary ({_NAMES}) {summary_query('true')}")
        for statement in SUMMARY_TRIGGERS:
            database.conn.execute(statement)
        return int(database.conn.execute("SELECT count(*) FROM case_summary").fetchone()[0])


def differing_cases(database: Database) -> tuple[str, ...]:
    """Return the cases whose summary is not what the log says now; none while the table is maintained."""
    derived = f"SELECT {_NAMES} FROM ({summary_query('true')})"  # noqa: S608 - constants
    kept = f"SELECT {_NAMES} FROM case_summary"  # noqa: S608 - constants
    with reading(database):
        rows = database.conn.execute(
            f"SELECT case_id FROM (SELECT * FROM ({derived}) EXCEPT SELECT * FROM ({kept})) "  # noqa: S608 - constants
            f"UNION SELECT case_id FROM (SELECT * FROM ({kept}) EXCEPT SELECT * FROM ({derived})) ORDER BY 1"
        )
        return tuple(case_id for (case_id,) in rows)
