"""Diagnoses, reveals and reviews in the log. Writers must be called inside `writing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlite_utils import Database

from core.domain import ReadCategory, ReviewVerdict
from core.errors import NotFoundError
from core.store.connection import insert_rows, rows_of
from core.store.events import Action, append_event, case_entity
from core.store.records import DiagnosisRecord, NewRead, ReadStage, ReviewRecord
from core.store.results import latest_evaluation
from core.store.seals import Sealed, seal
from core.store.values import time_of, time_or_none, time_text, utc_now
from core.vocabulary import COUNTING_ROLES, ReadRole

_PLAIN_COLUMNS = (
    *("grade", "text", "confidence", "scheme", "scheme_version", "code", "ordinal", "seconds_on_case", "source"),
    "import_key",
)


def insert_read(
    database: Database, case_id: str, read: NewRead, *, actor: str, reader: str | None = None
) -> DiagnosisRecord:
    """Write a read; it supersedes the current one of the same reader in the same role on the case.

    Args:
        database: Log with an open write transaction.
        case_id: The case, which exists.
        read: What was seen, and how.
        actor: Who records it.
        reader: Who made it, where that is somebody else: an imported read.
    """
    name = reader or actor
    earlier = database.conn.execute(
        "SELECT max(diagnosis_id) FROM diagnoses WHERE case_id = ? AND reader = ? AND coalesce(role, 'primary') = ?",
        (case_id, name, read.role.value),
    ).fetchone()[0]
    row: dict[str, object] = {column: getattr(read, column) for column in _PLAIN_COLUMNS}
    row |= {
        "case_id": case_id,
        "reader": name,
        "category": read.category.value,
        "stage": read.stage.value,
        "role": read.role.value,
        "blinded_to_model": None if read.blinded_to_model is None else int(read.blinded_to_model),
        "blinded_to_first": None if read.blinded_to_first is None else int(read.blinded_to_first),
        "opened_at": None if read.opened_at is None else time_text(read.opened_at),
        "submitted_at": None if read.submitted_at is None else time_text(read.submitted_at),
        "supersedes": earlier,
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "diagnoses", [row])
    diagnosis_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "diagnosis_id": diagnosis_id,
        "reader": name,
        "role": read.role.value,
        "category": read.category.value,
        "stage": read.stage.value,
        "supersedes": earlier,
        "sealed": seal(database, Sealed.READ, diagnosis_id),
    }
    append_event(database, Action.DIAGNOSIS_RECORDED, entity=case_entity(case_id), actor=actor, payload=payload)
    return get_diagnosis(database, diagnosis_id)


def get_diagnosis(database: Database, diagnosis_id: int) -> DiagnosisRecord:
    """Return a read.

    Raises:
        NotFoundError: there is none of that number.
    """
    rows = rows_of(database, "SELECT * FROM diagnoses WHERE diagnosis_id = ?", (diagnosis_id,))
    if not rows:
        raise NotFoundError(f"There is no read of number {diagnosis_id}.")
    return diagnosis_of(rows[0])


def insert_review(database: Database, case_id: str, *, verdict: ReviewVerdict, note: str, actor: str) -> None:
    """Write a reader's answer to the model's result; it supersedes the same reader's earlier one on the case."""
    earlier = database.conn.execute(
        "SELECT max(review_id) FROM reviews WHERE case_id = ? AND reader = ?", (case_id, actor)
    ).fetchone()[0]
    evaluation_id = latest_evaluation(database, case_id)
    cursor = database.conn.execute(
        """INSERT INTO reviews (case_id, reader, verdict, note, supersedes, evaluation_id, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (case_id, actor, verdict.value, note, earlier, evaluation_id, time_text(utc_now())),
    )
    review_id = cast("int", cursor.lastrowid)
    payload = {
        "review_id": review_id,
        "verdict": verdict.value,
        "evaluation_id": evaluation_id,
        "supersedes": earlier,
        "sealed": seal(database, Sealed.REVIEW, review_id),
    }
    append_event(database, Action.REVIEW_RECORDED, entity=case_entity(case_id), actor=actor, payload=payload)


def insert_reveal(database: Database, case_id: str, *, because: str, actor: str) -> None:
    """Log that the model's result on a case is shown to a reader from now on."""
    append_event(
        database, Action.MODEL_REVEALED, entity=case_entity(case_id), actor=actor, payload={"because": because}
    )


def has_reveal(database: Database, case_id: str, *, actor: str) -> bool:
    """Say whether the model's result on a case was ever shown to a reader."""
    found = database.conn.execute(
        "SELECT 1 FROM events WHERE entity = ? AND action = ? AND actor = ?",
        (case_entity(case_id), Action.MODEL_REVEALED.value, actor),
    ).fetchone()
    return found is not None


def revealed_cases(database: Database, *, actor: str) -> frozenset[str]:
    """Return the cases on which the model's result was shown to a reader."""
    start = len(case_entity(""))
    rows = database.conn.execute(
        "SELECT DISTINCT entity FROM events WHERE action = ? AND actor = ?", (Action.MODEL_REVEALED.value, actor)
    )
    return frozenset(entity[start:] for (entity,) in rows)


def diagnoses_of_case(database: Database, case_id: str) -> tuple[DiagnosisRecord, ...]:
    """Return every diagnosis of a case, superseded ones too, in the order they were recorded."""
    rows = rows_of(database, "SELECT * FROM diagnoses WHERE case_id = ? ORDER BY diagnosis_id", (case_id,))
    return tuple(diagnosis_of(row) for row in rows)


def current_diagnoses(database: Database, case_id: str) -> tuple[DiagnosisRecord, ...]:
    """Return the reads of a case that no other supersedes, one a reader and role, in the order they were recorded."""
    recorded = diagnoses_of_case(database, case_id)
    return standing(recorded)


def counting_diagnosis(recorded: Sequence[DiagnosisRecord]) -> DiagnosisRecord | None:
    """Return the diagnosis of a case among its reads: the one recorded last that is no second opinion."""
    return next((read for read in reversed(standing(recorded)) if read.role in COUNTING_ROLES), None)


def standing(recorded: Sequence[DiagnosisRecord]) -> tuple[DiagnosisRecord, ...]:
    """Return the reads that no other of them supersedes, in their order."""
    superseded = {diagnosis.supersedes for diagnosis in recorded}
    return tuple(diagnosis for diagnosis in recorded if diagnosis.diagnosis_id not in superseded)


def reviews_of_case(database: Database, case_id: str) -> tuple[ReviewRecord, ...]:
    """Return every review of a case, superseded ones too, in the order they were recorded."""
    rows = rows_of(database, "SELECT * FROM reviews WHERE case_id = ? ORDER BY review_id", (case_id,))
    return tuple(review_of(row) for row in rows)


def diagnosis_of(row: Mapping[str, Any]) -> DiagnosisRecord:
    """Return the diagnosis in a full row."""
    values = dict(row)
    values["category"] = ReadCategory(row["category"])
    values["stage"] = ReadStage(row["stage"])
    values["created_at"] = time_of(row["created_at"])
    values["role"] = ReadRole(row["role"]) if row["role"] else ReadRole.PRIMARY
    for column in ("blinded_to_model", "blinded_to_first"):
        values[column] = None if row[column] is None else bool(row[column])
    for column in ("opened_at", "submitted_at"):
        values[column] = time_or_none(row[column])
    return DiagnosisRecord(**values)


def review_of(row: Mapping[str, Any]) -> ReviewRecord:
    """Return the review in a full row."""
    values = dict(row)
    values["verdict"] = ReviewVerdict(row["verdict"])
    values["created_at"] = time_of(row["created_at"])
    return ReviewRecord(**values)
