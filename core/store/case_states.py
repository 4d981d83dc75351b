"""The moves of a case from state to state in the log. Writers must be called inside `writing`."""

from __future__ import annotations

from sqlite_utils import Database

from core.domain import CaseStatus
from core.store.connection import rows_of
from core.store.consult_records import StateChange
from core.store.events import Action, append_event, case_entity
from core.store.seals import Sealed, seal
from core.store.values import time_of, time_text, utc_now


def insert_change(
    database: Database,
    case_id: str,
    *,
    step: str,
    before: CaseStatus,
    after: CaseStatus,
    reason: str = "",
    actor: str,
) -> None:
    """Write that a case moved, with its event."""
    cursor = database.conn.execute(
        """INSERT INTO case_states (case_id, step, from_state, to_state, reason, actor, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (case_id, step, before.value, after.value, reason, actor, time_text(utc_now())),
    )
    payload = {
        "step": step,
        "from": before.value,
        "to": after.value,
        "reason": reason,
        "sealed": seal(database, Sealed.CASE_STATE, int(cursor.lastrowid or 0)),
    }
    append_event(database, Action.CASE_STATE_CHANGED, entity=case_entity(case_id), actor=actor, payload=payload)


def recorded_state(database: Database, case_id: str) -> CaseStatus:
    """Return the state that a case moved to last; unread before its first move."""
    row = database.conn.execute(
        "SELECT to_state FROM case_states WHERE case_id = ? ORDER BY change_id DESC LIMIT 1", (case_id,)
    ).fetchone()
    return CaseStatus(row[0]) if row else CaseStatus.UNREAD


def changes_of_case(database: Database, case_id: str) -> tuple[StateChange, ...]:
    """Return every move of a case, in order."""
    rows = rows_of(
        database,
        "SELECT case_id, step, from_state, to_state, reason, actor, created_at FROM case_states WHERE case_id = ? "
        "ORDER BY change_id",
        (case_id,),
    )
    return tuple(
        StateChange(
            case_id=row["case_id"],
            step=row["step"],
            from_state=CaseStatus(row["from_state"]),
            to_state=CaseStatus(row["to_state"]),
            reason=row["reason"],
            actor=row["actor"],
            created_at=time_of(row["created_at"]),
        )
        for row in rows
    )
