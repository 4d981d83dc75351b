"""What an evaluation needs of all slides and cases at once, in a few queries however many there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from core.domain import SlideStatus
from core.store.connection import rows_of
from core.store.imports import ImportedPrediction, prediction_of
from core.store.records import DiagnosisRecord, Scores
from core.store.reviews import diagnosis_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """The latest run of one model on one slide, without what an evaluation does not need."""

    slide_id: str
    run_id: str
    status: SlideStatus
    message: str
    weights_sha256: str
    decision: str | None
    """Rule or aggregator that decided."""
    decision_score: float | None
    threshold: float | None
    tiles_kept: int
    qc_score: float | None
    scores: Scores


_RUNS = """
    SELECT runs.slide_id, runs.run_id, runs.status, runs.message, runs.weights_sha256, runs.decision_aggregation,
           runs.decision_score, runs.threshold, runs.tiles_kept, qc.score AS qc_score
    FROM runs LEFT JOIN qc ON qc.run_id = runs.run_id
    WHERE runs.model = ? AND runs.seq =
        (SELECT max(seq) FROM runs AS newer WHERE newer.slide_id = runs.slide_id AND newer.model = runs.model)
"""
_SCORES = """
    SELECT predictions.run_id, aggregation, class, probability FROM predictions JOIN runs USING (run_id)
    WHERE runs.model = ? ORDER BY predictions.rowid
"""
_LATEST_PREDICTIONS = """
    SELECT * FROM imported_predictions AS own WHERE system = ? AND prediction_id =
        (SELECT max(prediction_id) FROM imported_predictions AS newer
         WHERE newer.case_id = own.case_id AND newer.system = own.system)
    ORDER BY case_id
"""


def latest_runs_of_model(database: Database, model: str) -> dict[str, ModelRun]:
    """Return slide id -> the latest run of a model. Call inside `reading`."""
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows_of(database, _SCORES, (model,)):
        scores.setdefault(row["run_id"], {}).setdefault(row["aggregation"], {})[row["class"]] = row["probability"]
    return {row["slide_id"]: _run(row, scores.get(row["run_id"], {})) for row in rows_of(database, _RUNS, (model,))}


def models_with_runs(database: Database) -> tuple[str, ...]:
    """Return the models that have a result on some slide, the one that was used last first."""
    rows = database.conn.execute(
        "SELECT model FROM runs WHERE status = 'ok' GROUP BY model ORDER BY max(seq) DESC"
    ).fetchall()
    return tuple(model for (model,) in rows)


def systems(database: Database) -> tuple[str, ...]:
    """Return the other systems whose predictions were imported."""
    rows = database.conn.execute("SELECT DISTINCT system FROM imported_predictions ORDER BY system").fetchall()
    return tuple(system for (system,) in rows)


def latest_predictions(database: Database, system: str) -> dict[str, ImportedPrediction]:
    """Return case id -> what a system said last."""
    return {row["case_id"]: prediction_of(row) for row in rows_of(database, _LATEST_PREDICTIONS, (system,))}


def all_reads(database: Database) -> dict[str, list[DiagnosisRecord]]:
    """Return case id -> every read of it, superseded ones too, in the order they were recorded."""
    found: dict[str, list[DiagnosisRecord]] = {}
    for row in rows_of(database, "SELECT * FROM diagnoses ORDER BY diagnosis_id"):
        found.setdefault(row["case_id"], []).append(diagnosis_of(row))
    return found


def read_case_ids(database: Database) -> frozenset[str]:
    """Return the cases that somebody has read."""
    return frozenset(case_id for (case_id,) in database.conn.execute("SELECT DISTINCT case_id FROM diagnoses"))


def _run(row: Mapping[str, Any], scores: Scores) -> ModelRun:
    return ModelRun(
        slide_id=row["slide_id"],
        run_id=row["run_id"],
        status=SlideStatus(row["status"]),
        message=row["message"],
        weights_sha256=row["weights_sha256"],
        decision=row["decision_aggregation"],
        decision_score=row["decision_score"],
        threshold=row["threshold"],
        tiles_kept=row["tiles_kept"],
        qc_score=row["qc_score"],
        scores=scores,
    )
