"""Seals: what an event says about the rows written with it, so that the chain covers diagnoses, results and flags too.

The event of a diagnosis, a review, a run or an evaluation carries the SHA-256 of those rows. The hash chain then shows
a change of a row outside the event table as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from sqlite_utils import Database

from core.store.values import canonical_json


class Sealed(StrEnum):
    """Groups of rows that one event seals."""

    DIAGNOSIS = "diagnosis"
    REVIEW = "review"
    RUN = "run"
    EVALUATION = "evaluation"
    ANNOTATION = "annotation"


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
    Sealed.ANNOTATION: (
        "SELECT revision, annotation_id, slide_id, shape, geometry, label, note, removed, author, supersedes, "
        "created_at FROM annotations WHERE revision = ?",
    ),
}

_COUNTS: Mapping[Sealed, str] = {
    Sealed.DIAGNOSIS: "SELECT count(*) FROM diagnoses",
    Sealed.REVIEW: "SELECT count(*) FROM reviews",
    Sealed.RUN: "SELECT count(*) FROM runs",
    Sealed.EVALUATION: "SELECT count(*) FROM evaluations",
    Sealed.ANNOTATION: "SELECT count(*) FROM annotations",
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
