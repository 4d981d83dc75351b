"""Diagnoses, reveals and reviews in the log. Writers must be called inside `writing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlite_utils import Database

from core.domain import ReadCategory, ReviewVerdict
from core.store.connection import rows_of
from core.store.events import Action, append_event, case_entity
from core.store.records import DiagnosisRecord, ReadStage, ReviewRecord
from core.store.results import latest_evaluation
from core.store.seals import Sealed, seal
from core.store.values import time_of, time_text, utc_now


def insert_diagnosis(
    database: Database,
    case_id: str,
    *,
    category: ReadCategory,
    grade: str | None,
    text: str,
    confidence: int | None,
    stage: ReadStage,
    actor: str,
) -> DiagnosisRecord:
    """Write a reader's diagnosis; it supersedes the same reader's current one on the case."""
    earlier = database.conn.execute(
        "SELECT max(diagnosis_id) FROM diagnoses WHERE case_id = ? AND reader = ?", (case_id, actor)
    ).fetchone()[0]
    cursor = database.conn.execute(
        """INSERT INTO diagnoses (case_id, reader, category, grade, text, confidence, stage, supersedes, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (case_id, actor, category.value, grade, text, confidence, stage.value, earlier, time_text(utc_now())),
    )
    diagnosis_id = cast("int", cursor.lastrowid)
    payload = {
        "diagnosis_id": diagnosis_id,
        "category": category.value,
        "stage": stage.value,
        "supersedes": earlier,
        "sealed": seal(database, Sealed.DIAGNOSIS, diagnosis_id),
    }
    append_event(database, Action.DIAGNOSIS_RECORDED, entity=case_entity(case_id), actor=actor, payload=payload)
    rows = rows_of(database, "SELECT * FROM diagnoses WHERE diagnosis_id = ?", (diagnosis_id,))
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
    """Return the diagnoses of a case that no other supersedes, one a reader, in the order they were recorded."""
    recorded = diagnoses_of_case(database, case_id)
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
    return DiagnosisRecord(**values)


def review_of(row: Mapping[str, Any]) -> ReviewRecord:
    """Return the review in a full row."""
    values = dict(row)
    values["verdict"] = ReviewVerdict(row["verdict"])
    values["created_at"] = time_of(row["created_at"])
    return ReviewRecord(**values)
