"""Seals: what an event says about the rows written with it, so that the chain covers diagnoses, results and flags too.

The event of a diagnosis, a review, a run or an evaluation carries the SHA-256 of those rows. The hash chain then shows
a change of a row outside the event table as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from sqlite_utils import Database

from core.store.error_schema import ERROR_SEALS
from core.store.quality_schema import QUALITY_SEALS
from core.store.values import canonical_json


class Sealed(StrEnum):
    """Groups of rows that one event seals."""

    DIAGNOSIS = "diagnosis"
    REVIEW = "review"
    RUN = "run"
    EVALUATION = "evaluation"
    ANNOTATION = "annotation"
    READ = "read"
    """A diagnosis with how it was made; rows from before that have no role and stay sealed as `DIAGNOSIS`."""
    CONSULTATION = "consultation"
    CONSULTATION_STEP = "consultation_step"
    OPINION = "opinion"
    COMPARISON = "comparison"
    RESOLUTION = "resolution"
    SIGNATURE = "signature"
    CASE_STATE = "case_state"
    IMPORTED_PREDICTION = "imported_prediction"
    RATED_EVALUATION = "rated_evaluation"
    """An evaluation with its rule set and severities; one without a rule set stays sealed as `EVALUATION`."""
    QC_MEASUREMENT = "qc_measurement"
    QC_VERDICT = "qc_verdict"
    QC_SECOND_READ = "qc_second_read"
    QC_REFERENCE = "qc_reference"
    ERROR_REVIEW = "error_review"
    OVERLAP_SCORE = "overlap_score"


# Columns are named: one that a later migration adds must not change the digest of rows sealed before it.
_RUN_COLUMNS = (
    "run_id, job_id, slide_id, model, model_version, weights_sha256, status, message, mpp_x, mpp_y, mpp_source, "
    "tissue_mm2, tiles_total, tiles_kept, tiles_dropped, label, decision_aggregation, decision_score, threshold, "
    "peak_x, peak_y, peak_width, peak_height, seconds, tiles_per_second, device, settings, code_version, results_dir, "
    "created_at"
)

_QUERIES: Mapping[Sealed, tuple[str, ...]] = {
    Sealed.DIAGNOSIS: (
        "SELECT diagnosis_id, case_id, reader, category, grade, text, confidence, stage, supersedes, created_at "
        "FROM diagnoses WHERE diagnosis_id = ?",
    ),
    Sealed.REVIEW: (
        "SELECT review_id, case_id, reader, verdict, note, supersedes, evaluation_id, created_at "
        "FROM reviews WHERE review_id = ?",
    ),
    Sealed.RUN: (
        f"SELECT {_RUN_COLUMNS} FROM runs WHERE run_id = ?",  # noqa: S608 - a constant above
        "SELECT run_id, aggregation, class, probability FROM predictions WHERE run_id = ? ORDER BY aggregation, class",
        "SELECT run_id, score, report FROM qc WHERE run_id = ?",
    ),
    Sealed.EVALUATION: (
        "SELECT evaluation_id, case_id, run_seq, diagnosis_id, created_at FROM evaluations WHERE evaluation_id = ?",
        "SELECT flag_id, evaluation_id, kind, direction, reason, score, slide_id, x, y, width, height, rule_version, "
        "model, weights_sha256, created_at FROM flags WHERE evaluation_id = ? ORDER BY flag_id",
    ),
    Sealed.RATED_EVALUATION: (
        "SELECT evaluation_id, case_id, run_seq, diagnosis_id, created_at, rule_version FROM evaluations "
        "WHERE evaluation_id = ?",
        "SELECT flag_id, evaluation_id, kind, direction, reason, score, slide_id, x, y, width, height, rule_version, "
        "model, weights_sha256, created_at, severity FROM flags WHERE evaluation_id = ? ORDER BY flag_id",
    ),
    Sealed.ANNOTATION: (
        "SELECT revision, annotation_id, slide_id, shape, geometry, label, note, removed, author, supersedes, "
        "created_at FROM annotations WHERE revision = ?",
    ),
    Sealed.READ: (
        "SELECT diagnosis_id, case_id, reader, category, grade, text, confidence, stage, supersedes, created_at, role, "
        "scheme, scheme_version, code, ordinal, blinded_to_model, blinded_to_first, opened_at, submitted_at, "
        "seconds_on_case, source, import_key FROM diagnoses WHERE diagnosis_id = ?",
    ),
    Sealed.CONSULTATION: (
        "SELECT consultation_id, case_id, requester, consultant, pool, role, type, question, urgency, due_at, "
        "blinding, view, created_at FROM consultations WHERE consultation_id = ?",
    ),
    Sealed.CONSULTATION_STEP: (
        "SELECT step_id, consultation_id, state, actor, consultant, pool, reason, created_at FROM consultation_steps "
        "WHERE step_id = ?",
    ),
    Sealed.OPINION: (
        "SELECT opinion_id, consultation_id, diagnosis_id, author, additional_work, created_at FROM opinions "
        "WHERE opinion_id = ?",
    ),
    Sealed.COMPARISON: (
        "SELECT comparison_id, case_id, opinion_id, first_id, second_id, proposed, discordance, basis, "
        "management_impact, error_type, note, author, supersedes, created_at FROM comparisons WHERE comparison_id = ?",
    ),
    Sealed.RESOLUTION: (
        "SELECT resolution_id, case_id, method, diagnosis_id, report_action, communicated_to, communicated_at, "
        "learning_note, author, supersedes, created_at FROM resolutions WHERE resolution_id = ?",
    ),
    Sealed.SIGNATURE: (
        "SELECT signature_id, case_id, kind, record_id, record_sha256, signer, printed_name, meaning, created_at "
        "FROM signatures WHERE signature_id = ?",
    ),
    Sealed.CASE_STATE: (
        "SELECT change_id, case_id, step, from_state, to_state, reason, actor, created_at FROM case_states "
        "WHERE change_id = ?",
    ),
    Sealed.IMPORTED_PREDICTION: (
        "SELECT prediction_id, case_id, system, system_version, label, probabilities, source, import_key, created_at "
        "FROM imported_predictions WHERE prediction_id = ?",
    ),
    **{Sealed(kind): (query,) for kind, query in {**QUALITY_SEALS, **ERROR_SEALS}.items()},
}

_COUNTS: Mapping[Sealed, str] = {
    Sealed.DIAGNOSIS: "SELECT count(*) FROM diagnoses WHERE role IS NULL",
    Sealed.REVIEW: "SELECT count(*) FROM reviews",
    Sealed.RUN: "SELECT count(*) FROM runs",
    Sealed.EVALUATION: "SELECT count(*) FROM evaluations WHERE rule_version IS NULL",
    Sealed.RATED_EVALUATION: "SELECT count(*) FROM evaluations WHERE rule_version IS NOT NULL",
    Sealed.ANNOTATION: "SELECT count(*) FROM annotations",
    Sealed.READ: "SELECT count(*) FROM diagnoses WHERE role IS NOT NULL",
    Sealed.CONSULTATION: "SELECT count(*) FROM consultations",
    Sealed.CONSULTATION_STEP: "SELECT count(*) FROM consultation_steps",
    Sealed.OPINION: "SELECT count(*) FROM opinions",
    Sealed.COMPARISON: "SELECT count(*) FROM comparisons",
    Sealed.RESOLUTION: "SELECT count(*) FROM resolutions",
    Sealed.SIGNATURE: "SELECT count(*) FROM signatures",
    Sealed.CASE_STATE: "SELECT count(*) FROM case_states",
    Sealed.IMPORTED_PREDICTION: "SELECT count(*) FROM imported_predictions",
    Sealed.QC_MEASUREMENT: "SELECT count(*) FROM qc_measurements",
    Sealed.QC_VERDICT: "SELECT count(*) FROM qc_verdicts",
    Sealed.QC_SECOND_READ: "SELECT count(*) FROM qc_second_reads",
    Sealed.QC_REFERENCE: "SELECT count(*) FROM qc_references",
    Sealed.ERROR_REVIEW: "SELECT count(*) FROM error_reviews",
    Sealed.OVERLAP_SCORE: "SELECT count(*) FROM overlap_scores",
}


def seal(database: Database, kind: Sealed, key: int | str) -> dict[str, object]:
    """Return the payload entry that seals a group of rows as they stand now."""
    return {"kind": kind.value, "key": key, "sha256": digest_of(database, kind, key)}


def digest_of(database: Database, kind: Sealed, key: int | str) -> str | None:
    """Return the SHA-256 of a group of rows, or None if its first row is missing."""
    parts = [database.conn.execute(query, (key,)).fetchall() for query in _QUERIES[kind]]
    if not parts[0]:
        return None
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def count_of(database: Database, kind: Sealed) -> int:
    """Return how many groups of a kind the log holds."""
    return int(database.conn.execute(_COUNTS[kind]).fetchone()[0])
