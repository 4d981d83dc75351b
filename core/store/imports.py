"""What came in from files: predictions of other systems, and the keys that keep an import from coming in twice.

Writers must be called inside `writing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlite_utils import Database

from core.store.connection import insert_rows, rows_of
from core.store.events import Action, append_event, case_entity
from core.store.seals import Sealed, seal
from core.store.values import canonical_json, json_object, time_of, time_text, utc_now

_AT_ONCE = 500
"""Keys asked for in one query; SQLite allows a limited number of parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrediction:
    """What another system says about a case."""

    case_id: str
    system: str
    system_version: str
    probabilities: Mapping[str, float]
    """Class -> probability, 0-1."""
    label: str | None = None
    """The class that the system calls; None = it only gives probabilities."""
    source: str
    """Name of the file."""
    import_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPrediction(NewPrediction):
    """The same, in the log."""

    prediction_id: int
    created_at: datetime


def insert_prediction(database: Database, prediction: NewPrediction, *, actor: str) -> int:
    """Write a prediction of another system on a case, which exists; return its number."""
    row: dict[str, object] = {
        "case_id": prediction.case_id,
        "system": prediction.system,
        "system_version": prediction.system_version,
        "label": prediction.label,
        "probabilities": canonical_json(dict(prediction.probabilities)),
        "source": prediction.source,
        "import_key": prediction.import_key,
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "imported_predictions", [row])
    prediction_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "prediction_id": prediction_id,
        "system": prediction.system,
        "source": prediction.source,
        "sealed": seal(database, Sealed.IMPORTED_PREDICTION, prediction_id),
    }
    entity = case_entity(prediction.case_id)
    append_event(database, Action.PREDICTION_IMPORTED, entity=entity, actor=actor, payload=payload)
    return prediction_id


def predictions_of_case(database: Database, case_id: str) -> tuple[ImportedPrediction, ...]:
    """Return what other systems say about a case, in the order it came in."""
    rows = rows_of(database, "SELECT * FROM imported_predictions WHERE case_id = ? ORDER BY prediction_id", (case_id,))
    return tuple(prediction_of(row) for row in rows)


def prediction_of(row: Mapping[str, Any]) -> ImportedPrediction:
    """Return the prediction in a full row."""
    values = dict(row)
    values["probabilities"] = cast("Mapping[str, float]", json_object(row["probabilities"]))
    values["created_at"] = time_of(row["created_at"])
    return ImportedPrediction(**values)


def known_reads(database: Database, keys: Iterable[str]) -> frozenset[str]:
    """Return the import keys among these that a read in the log already bears."""
    return _known(database, "SELECT import_key FROM diagnoses WHERE import_key IN ({marks})", keys)


def known_predictions(database: Database, keys: Iterable[str]) -> frozenset[str]:
    """Return the import keys among these that a prediction in the log already bears."""
    return _known(database, "SELECT import_key FROM imported_predictions WHERE import_key IN ({marks})", keys)


def known_cases(database: Database, case_ids: Iterable[str]) -> frozenset[str]:
    """Return the cases among these that there are."""
    return _known(database, "SELECT case_id FROM cases WHERE case_id IN ({marks})", case_ids)


def readers_recorded_here(database: Database, case_ids: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Return (case, reader) of every read that was recorded here rather than imported."""
    query = "SELECT DISTINCT case_id, reader FROM diagnoses WHERE source IS NULL AND case_id IN ({marks})"
    return frozenset((case_id, reader) for case_id, reader in _rows(database, query, case_ids))


def _known(database: Database, query: str, values: Iterable[str]) -> frozenset[str]:
    return frozenset(value for (value,) in _rows(database, query, values))


def _rows(database: Database, query: str, values: Iterable[str]) -> list[tuple[str, ...]]:
    wanted = list(dict.fromkeys(values))
    found: list[tuple[str, ...]] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        found += database.conn.execute(query.format(marks=", ".join("?" * len(part))), part).fetchall()
    return found
