"""Requests for second opinions in the log. Writers must be called inside `writing`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from core.errors import NotFoundError
from core.store.connection import insert_rows, rows_of
from core.store.consult_records import ConsultationRecord, ConsultationStep, NewConsultation
from core.store.events import Action, append_event, case_entity
from core.store.seals import Sealed, seal
from core.store.values import canonical_json, json_object, time_of, time_or_none, time_text, utc_now
from core.vocabulary import Blinding, ConsultationRole, ConsultationState, ConsultationType, Urgency


def insert_consultation(database: Database, case_id: str, new: NewConsultation, *, actor: str) -> ConsultationRecord:
    """Write a request and its first step."""
    row = {
        "case_id": case_id,
        "requester": actor,
        "consultant": new.consultant,
        "pool": new.pool,
        "role": new.role.value,
        "type": new.type.value,
        "question": new.question,
        "urgency": new.urgency.value,
        "due_at": None if new.due_at is None else time_text(new.due_at),
        "blinding": new.blinding.value,
        "view": canonical_json(dict(new.view)),
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "consultations", [row])
    consultation_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "consultation_id": consultation_id,
        "consultant": new.consultant,
        "pool": new.pool,
        "type": new.type.value,
        "blinding": new.blinding.value,
        "sealed": seal(database, Sealed.CONSULTATION, consultation_id),
    }
    append_event(database, Action.CONSULTATION_REQUESTED, entity=case_entity(case_id), actor=actor, payload=payload)
    insert_step(
        database,
        case_id,
        consultation_id,
        state=ConsultationState.REQUESTED,
        consultant=new.consultant,
        pool=new.pool,
        actor=actor,
    )
    return get_consultation(database, consultation_id)


def insert_step(
    database: Database,
    case_id: str,
    consultation_id: int,
    *,
    state: ConsultationState,
    consultant: str | None,
    pool: str | None,
    reason: str = "",
    actor: str,
) -> None:
    """Write what happened to a request.

    Args:
        database: Log with an open write transaction.
        case_id: Case of the request.
        consultation_id: The request.
        state: Where it stands from now on.
        consultant: Who owes the opinion from now on, if one person.
        pool: Who owes it, if a pool.
        reason: Why, in the actor's words.
        actor: Who did it.
    """
    cursor = database.conn.execute(
        """INSERT INTO consultation_steps (consultation_id, state, actor, consultant, pool, reason, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (consultation_id, state.value, actor, consultant, pool, reason, time_text(utc_now())),
    )
    payload = {
        "consultation_id": consultation_id,
        "state": state.value,
        "consultant": consultant,
        "pool": pool,
        "reason": reason,
        "sealed": seal(database, Sealed.CONSULTATION_STEP, int(cursor.lastrowid or 0)),
    }
    append_event(database, Action.CONSULTATION_CHANGED, entity=case_entity(case_id), actor=actor, payload=payload)


def get_consultation(database: Database, consultation_id: int) -> ConsultationRecord:
    """Return a request as it stands.

    Raises:
        NotFoundError: there is none of that number.
    """
    found = _consultations(database, "WHERE consultation_id = ?", (consultation_id,))
    if not found:
        raise NotFoundError(f"There is no request for a second opinion of number {consultation_id}.")
    return found[0]


def consultations_of_case(database: Database, case_id: str) -> tuple[ConsultationRecord, ...]:
    """Return every request about a case, in the order they were made."""
    return _consultations(database, "WHERE case_id = ?", (case_id,))


def consultations_of_cases(database: Database, case_ids: Sequence[str]) -> tuple[ConsultationRecord, ...]:
    """Return every request about some cases, in the order they were made."""
    condition = "WHERE case_id IN (SELECT value FROM json_each(?))"
    return _consultations(database, condition, (json.dumps(list(case_ids)),))


def open_consultations(database: Database, *, case_id: str | None = None) -> tuple[ConsultationRecord, ...]:
    """Return the requests of all cases, or of one, that no opinion and no withdrawal has ended."""
    condition = """WHERE NOT EXISTS (
        SELECT 1 FROM consultation_steps AS step WHERE step.consultation_id = consultations.consultation_id
        AND step.state IN ('withdrawn', 'answered'))"""
    if case_id is None:
        return _consultations(database, condition, ())
    return _consultations(database, f"{condition} AND case_id = ?", (case_id,))


def all_consultations(database: Database) -> tuple[ConsultationRecord, ...]:
    """Return every request there ever was, in the order they were made."""
    return _consultations(database, "", ())


def _consultations(database: Database, condition: str, parameters: Sequence[object]) -> tuple[ConsultationRecord, ...]:
    rows = rows_of(database, f"SELECT * FROM consultations {condition} ORDER BY consultation_id", parameters)  # noqa: S608
    steps: defaultdict[int, list[ConsultationStep]] = defaultdict(list)
    query = f"""SELECT * FROM consultation_steps WHERE consultation_id IN
        (SELECT consultation_id FROM consultations {condition}) ORDER BY step_id"""  # noqa: S608 - our own conditions
    for step in rows_of(database, query, parameters):
        steps[step["consultation_id"]].append(_step(step))
    return tuple(_consultation(row, tuple(steps[row["consultation_id"]])) for row in rows)


def _step(row: Mapping[str, Any]) -> ConsultationStep:
    return ConsultationStep(
        state=ConsultationState(row["state"]),
        actor=row["actor"],
        consultant=row["consultant"],
        pool=row["pool"],
        reason=row["reason"],
        created_at=time_of(row["created_at"]),
    )


def _consultation(row: Mapping[str, Any], steps: tuple[ConsultationStep, ...]) -> ConsultationRecord:
    last = steps[-1]
    return ConsultationRecord(
        consultation_id=row["consultation_id"],
        case_id=row["case_id"],
        requester=row["requester"],
        consultant=last.consultant,
        pool=last.pool,
        role=ConsultationRole(row["role"]),
        type=ConsultationType(row["type"]),
        question=row["question"],
        urgency=Urgency(row["urgency"]),
        due_at=time_or_none(row["due_at"]),
        blinding=Blinding(row["blinding"]),
        view=json_object(row["view"]),
        state=last.state,
        steps=steps,
        created_at=time_of(row["created_at"]),
    )
