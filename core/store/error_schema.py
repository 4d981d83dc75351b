"""Tables of error review, as one migration creates them."""

from __future__ import annotations

ERROR_TABLES = ("error_reviews", "overlap_scores")

ERROR_STATEMENTS = (
    """CREATE TABLE error_reviews (
        error_id INTEGER PRIMARY KEY AUTOINCREMENT,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        run_id TEXT NOT NULL REFERENCES runs(run_id),
        level TEXT NOT NULL CHECK (level IN ('tile', 'slide')),
        direction TEXT NOT NULL CHECK (direction IN ('false_negative', 'false_positive')),
        x INTEGER,
        y INTEGER,
        width INTEGER,
        height INTEGER,
        reference TEXT NOT NULL,
        score REAL NOT NULL,
        threshold REAL NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('first', 'second')),
        reason TEXT NOT NULL,
        note TEXT NOT NULL,
        reader TEXT NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES error_reviews(error_id),
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX error_reviews_run ON error_reviews(run_id, level, direction)",
    """CREATE TABLE overlap_scores (
        score_id INTEGER PRIMARY KEY AUTOINCREMENT,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        run_id TEXT NOT NULL REFERENCES runs(run_id),
        threshold REAL NOT NULL,
        score INTEGER NOT NULL CHECK (score BETWEEN 0 AND 5),
        note TEXT NOT NULL,
        reader TEXT NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES overlap_scores(score_id),
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX overlap_scores_run ON overlap_scores(run_id)",
)

ERROR_SEALS = {
    "error_review": (
        "SELECT error_id, slide_id, run_id, level, direction, x, y, width, height, reference, score, threshold, role, "
        "reason, note, reader, supersedes, created_at FROM error_reviews WHERE error_id = ?"
    ),
    "overlap_score": (
        "SELECT score_id, slide_id, run_id, threshold, score, note, reader, supersedes, created_at FROM overlap_scores "
        "WHERE score_id = ?"
    ),
}
"""Kind of seal -> what it is made of; columns are named, so that a later one changes no earlier digest."""
