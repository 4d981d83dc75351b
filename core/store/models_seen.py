"""Which models have judged slides here, with the classes they give probabilities of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from core.store.connection import rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenModel:
    """A model as runs tell of it."""

    model: str
    weights_sha256: str
    classes: tuple[str, ...]
    """In the order of its predictions."""
    slides: int
    """Slides that it has judged."""


def seen_models(database: Database) -> tuple[SeenModel, ...]:
    """Return every model with a result, the one used last first."""
    rows = rows_of(
        database,
        """SELECT model, weights_sha256, max(seq) AS last, count(DISTINCT slide_id) AS slides FROM runs
           WHERE status = 'ok' AND decision_aggregation IS NOT NULL
           GROUP BY model, weights_sha256 ORDER BY last DESC""",
    )
    return tuple(_model(database, row) for row in rows)


def _model(database: Database, row: Mapping[str, object]) -> SeenModel:
    classes = database.conn.execute(
        """SELECT class FROM predictions JOIN runs USING (run_id)
           WHERE runs.seq = ? AND aggregation = runs.decision_aggregation ORDER BY predictions.rowid""",
        (row["last"],),
    )
    return SeenModel(
        model=str(row["model"]),
        weights_sha256=str(row["weights_sha256"]),
        classes=tuple(name for (name,) in classes),
        slides=int(str(row["slides"])),
    )
