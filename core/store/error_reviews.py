"""Why a model was wrong, and how well its area fits, as people judged it: append-only, sealed by an event each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlite_utils import Database

from core.store.connection import insert_rows, rows_of
from core.store.events import Action, append_event, slide_entity
from core.store.seals import Sealed, seal
from core.store.values import time_of, time_text, utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class NewErrorReview:
    """One reader's code of one error, before it is in the log."""

    slide_id: str
    run_id: str
    level: str
    """tile | slide."""
    direction: str
    """false_negative | false_positive."""
    x: int | None
    """Level-0 px, as the next three; None for a whole slide."""
    y: int | None
    width: int | None
    height: int | None
    reference: str
    """What the model differed from, in words."""
    score: float
    threshold: float
    role: str
    """first | second: in which order the readers coded it."""
    reason: str
    note: str

    @property
    def key(self) -> ErrorKey:
        """What tells errors apart."""
        return (self.run_id, self.level, self.direction, self.x, self.y)


ErrorKey = tuple[str, str, str, int | None, int | None]
"""Run, level, direction, x and y: one error, whoever codes it and against whichever reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReviewRecord(NewErrorReview):
    """The same, in the log. A correction supersedes it."""

    error_id: int
    reader: str
    supersedes: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapScoreRecord:
    """A person's judgement of how well the model's area fits an annotation."""

    score_id: int
    slide_id: str
    run_id: str
    threshold: float
    score: int
    """0 (nothing fits) to 5 (as one would draw it)."""
    note: str
    reader: str
    supersedes: int | None
    created_at: datetime


def insert_error_review(
    database: Database, review: NewErrorReview, *, supersedes: int | None, actor: str
) -> ErrorReviewRecord:
    """Write a code. Call inside `writing`."""
    names = ("slide_id", "run_id", "level", "direction", "x", "y", "width", "height")
    more = ("reference", "score", "threshold", "role", "reason", "note")
    row: dict[str, object] = {name: getattr(review, name) for name in (*names, *more)}
    row |= {"reader": actor, "supersedes": supersedes, "created_at": time_text(utc_now())}
    error_id = _insert(database, "error_reviews", row)
    payload = {"error_id": error_id, "supersedes": supersedes, "sealed": seal(database, Sealed.ERROR_REVIEW, error_id)}
    append_event(database, Action.ERROR_CODED, entity=slide_entity(review.slide_id), actor=actor, payload=payload)
    return _error(rows_of(database, "SELECT * FROM error_reviews WHERE error_id = ?", (error_id,))[0])


def standing_error_reviews(
    database: Database, slide_ids: Sequence[str], *, model: str | None = None
) -> tuple[ErrorReviewRecord, ...]:
    """Return the codes on some slides that no other supersedes, in the order they were given; of one model if named."""
    rows = rows_of(
        database,
        """SELECT error_reviews.* FROM error_reviews JOIN runs USING (run_id)
           WHERE error_reviews.slide_id IN (SELECT value FROM json_each(?)) AND (? IS NULL OR runs.model = ?)
             AND error_id NOT IN (SELECT supersedes FROM error_reviews WHERE supersedes IS NOT NULL)
           ORDER BY error_id""",
        (json.dumps(list(slide_ids)), model, model),
    )
    return tuple(_error(row) for row in rows)


def insert_overlap_score(
    database: Database, slide_id: str, *, run_id: str, threshold: float, score: int, note: str, actor: str
) -> OverlapScoreRecord:
    """Write a score; it supersedes the same reader's earlier one of the run. Call inside `writing`."""
    earlier = database.conn.execute(
        "SELECT max(score_id) FROM overlap_scores WHERE run_id = ? AND reader = ?", (run_id, actor)
    ).fetchone()[0]
    row: dict[str, object] = {
        "slide_id": slide_id,
        "run_id": run_id,
        "threshold": threshold,
        "score": score,
        "note": note,
        "reader": actor,
        "supersedes": earlier,
        "created_at": time_text(utc_now()),
    }
    score_id = _insert(database, "overlap_scores", row)
    payload = {"score_id": score_id, "supersedes": earlier, "sealed": seal(database, Sealed.OVERLAP_SCORE, score_id)}
    append_event(database, Action.OVERLAP_SCORED, entity=slide_entity(slide_id), actor=actor, payload=payload)
    return _score(rows_of(database, "SELECT * FROM overlap_scores WHERE score_id = ?", (score_id,))[0])


def standing_overlap_scores(database: Database, run_id: str) -> tuple[OverlapScoreRecord, ...]:
    """Return the scores of a run that no other supersedes, in the order they were given."""
    rows = rows_of(
        database,
        """SELECT * FROM overlap_scores WHERE run_id = ? AND score_id NOT IN
           (SELECT supersedes FROM overlap_scores WHERE supersedes IS NOT NULL) ORDER BY score_id""",
        (run_id,),
    )
    return tuple(_score(row) for row in rows)


def _insert(database: Database, table: str, row: Mapping[str, object]) -> int:
    insert_rows(database, table, [row])
    return cast("int", database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])


def _error(row: Mapping[str, Any]) -> ErrorReviewRecord:
    values = dict(row)
    values["created_at"] = time_of(row["created_at"])
    return ErrorReviewRecord(**values)


def _score(row: Mapping[str, Any]) -> OverlapScoreRecord:
    values = dict(row)
    values["created_at"] = time_of(row["created_at"])
    return OverlapScoreRecord(**values)
