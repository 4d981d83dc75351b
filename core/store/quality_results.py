"""What was measured of the quality of slides, and what others say about it. Writers must be called inside `writing`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from core.store.cases import save_facts, save_scale
from core.store.connection import insert_rows, rows_of, writing
from core.store.events import Action, append_event, quality_entity
from core.store.quality_records import NewMeasurement, NewReference, ReferenceKind, ReferenceRecord, SlideQuality
from core.store.quality_schema import ARTEFACT_NAMES, MEASURED_COLUMNS, REBUILD_QUALITY
from core.store.records import Json
from core.store.seals import Sealed, seal
from core.store.values import canonical_json, json_object, time_of, time_text, utc_now
from core.vocabulary import QcDisposition, QcOrigin, QcReason

_PLAIN_MEASUREMENT = (
    *("slide_id", "limits_version", "weights_sha256", "mpp_x", "mpp_y", "mpp_source", "code_version", "seconds"),
    "results_dir",
)
_PLAIN_REFERENCE = (
    *("slide_id", "name", "version", "source", "content_sha256", "mask_path", "source_id", "human_score", "note"),
    "import_key",
)


def save_measurement(database: Database, new: NewMeasurement, *, actor: str = "system") -> int:
    """Write the quality of a slide that a job of its own measured; return its number."""
    row: dict[str, object] = {name: getattr(new, name) for name in _PLAIN_MEASUREMENT}
    row |= {
        "score": new.report.get("score"),
        "report": canonical_json(dict(new.report)),
        "created_at": time_text(utc_now()),
    }
    with writing(database):
        insert_rows(database, "qc_measurements", [row])
        number = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
        save_scale(database, new.slide_id, mpp_x=new.mpp_x, mpp_y=new.mpp_y, mpp_source=new.mpp_source)
        if new.facts is not None:
            save_facts(database, new.slide_id, new.facts)
        payload = {
            "measurement_id": number,
            "score": row["score"],
            "disposition": new.report.get("disposition"),
            "limits_version": new.limits_version,
            "weights_sha256": new.weights_sha256,
            "sealed": seal(database, Sealed.QC_MEASUREMENT, number),
        }
        append_event(database, Action.QC_MEASURED, entity=quality_entity(new.slide_id), actor=actor, payload=payload)
    return number


def quality_of_slide(database: Database, slide_id: str) -> SlideQuality | None:
    """Return the latest measurement of a slide in short, or None before the first."""
    rows = rows_of(database, "SELECT * FROM slide_quality WHERE slide_id = ?", (slide_id,))
    return quality_of(rows[0]) if rows else None


def quality_of_slides(database: Database, slide_ids: Sequence[str] | None = None) -> tuple[SlideQuality, ...]:
    """Return the latest measurement of some slides, or of all that have one, in the order of their ids."""
    chosen = "" if slide_ids is None else "WHERE slide_id IN (SELECT value FROM json_each(?))"
    parameters = () if slide_ids is None else (json.dumps(list(slide_ids)),)
    query = f"SELECT * FROM slide_quality {chosen} ORDER BY slide_id"  # noqa: S608 - a constant
    return tuple(quality_of(row) for row in rows_of(database, query, parameters))


def report_of(database: Database, quality: SlideQuality) -> Json:
    """Return the whole report of a measurement."""
    return reports_of(database, [quality])[quality.slide_id]


def reports_of(database: Database, qualities: Iterable[SlideQuality]) -> Mapping[str, Json]:
    """Return the whole reports of measurements by slide."""
    wanted = json.dumps([one.source_id for one in qualities])
    query = """SELECT runs.slide_id, qc.report FROM qc JOIN runs ON runs.run_id = qc.run_id
               WHERE qc.run_id IN (SELECT value FROM json_each(:wanted))
               UNION ALL SELECT slide_id, report FROM qc_measurements WHERE measurement_id IN (
                   SELECT CAST(substr(value, 13) AS INTEGER) FROM json_each(:wanted)
                   WHERE value LIKE 'measurement:%')"""
    return {slide_id: json_object(text) for slide_id, text in database.conn.execute(query, {"wanted": wanted})}


def provenance_of(database: Database, quality: SlideQuality) -> Json:
    """Return what a measurement was made with: weights, scale and its source, program version, time taken."""
    names = ("weights_sha256", "mpp_x", "mpp_y", "mpp_source", "code_version", "seconds")
    columns = ", ".join(names)
    if quality.source_id.startswith("measurement:"):
        query = f"SELECT {columns} FROM qc_measurements WHERE measurement_id = ?"  # noqa: S608 - constants
        row = database.conn.execute(query, (int(quality.source_id.removeprefix("measurement:")),)).fetchone()
    else:
        query = f"SELECT {columns} FROM runs WHERE run_id = ?"  # noqa: S608 - constants
        row = database.conn.execute(query, (quality.source_id,)).fetchone()
    return dict(zip(names, row, strict=True))


def stale_slides(database: Database, *, limits_version: str) -> tuple[str, ...]:
    """Return the slides whose suggestion was made under other limits."""
    query = (
        "SELECT slide_id FROM slide_quality WHERE disposition IS NOT NULL AND limits_version IS NOT ? ORDER BY slide_id"
    )
    return tuple(slide_id for (slide_id,) in database.conn.execute(query, (limits_version,)))


def change_suggestions(
    database: Database,
    suggestions: Iterable[tuple[str, QcDisposition, QcReason | None, QcOrigin | None]],
    *,
    version: str,
) -> None:
    """Bring the derived suggestions up to other limits; the reports in the log stay as they were made."""
    rows = [
        (disposition.value, reason.value if reason else None, origin.value if origin else None, version, slide_id)
        for slide_id, disposition, reason, origin in suggestions
    ]
    database.conn.executemany(
        "UPDATE slide_quality SET disposition = ?, reason = ?, origin = ?, limits_version = ? WHERE slide_id = ?", rows
    )


def drop_suggestions(database: Database, slide_ids: Iterable[str]) -> None:
    """Leave slides without a suggestion whose report is of a version that limits cannot be applied to."""
    rows = [(slide_id,) for slide_id in slide_ids]
    database.conn.executemany(
        "UPDATE slide_quality SET disposition = NULL, reason = NULL, origin = NULL WHERE slide_id = ?", rows
    )


def rebuild_quality(database: Database) -> int:
    """Derive the latest quality of every slide anew from the log; return how many have one."""
    with writing(database):
        for statement in REBUILD_QUALITY:
            database.conn.execute(statement)
        return int(database.conn.execute("SELECT count(*) FROM slide_quality").fetchone()[0])


def insert_reference(database: Database, new: NewReference, *, actor: str) -> int:
    """Write what somebody else says about the quality of a slide; return its number."""
    row: dict[str, object] = {name: getattr(new, name) for name in _PLAIN_REFERENCE}
    row |= {
        "kind": new.kind.value,
        "author": actor,
        "metrics": canonical_json(dict(new.metrics)),
        "figures": None if new.figures is None else canonical_json(dict(new.figures)),
        "usable": None if new.usable is None else int(new.usable),
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "qc_references", [row])
    number = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "reference_id": number,
        "kind": new.kind.value,
        "name": new.name,
        "source": new.source,
        "sealed": seal(database, Sealed.QC_REFERENCE, number),
    }
    append_event(
        database, Action.QC_REFERENCE_RECORDED, entity=quality_entity(new.slide_id), actor=actor, payload=payload
    )
    return number


def references_of_slide(database: Database, slide_id: str) -> tuple[ReferenceRecord, ...]:
    """Return what others say about the quality of a slide, in the order it came in."""
    rows = rows_of(database, "SELECT * FROM qc_references WHERE slide_id = ? ORDER BY reference_id", (slide_id,))
    return tuple(map(_reference, rows))


def known_references(database: Database, keys: Iterable[str]) -> frozenset[str]:
    """Return the import keys among these that are in the log already."""
    query = "SELECT import_key FROM qc_references WHERE import_key IN (SELECT value FROM json_each(?))"
    return frozenset(key for (key,) in database.conn.execute(query, (json.dumps(list(keys)),)))


def quality_of(row: Mapping[str, Any]) -> SlideQuality:
    """Return the measurement in a row that has at least the columns of `slide_quality`."""
    values = {name: row[name] for name in MEASURED_COLUMNS if not name.startswith(("fraction_", "mm2_", "stain_"))}
    values["measured_at"] = time_of(row["measured_at"])
    values["disposition"] = QcDisposition(row["disposition"]) if row["disposition"] else None
    values["reason"] = QcReason(row["reason"]) if row["reason"] else None
    values["origin"] = QcOrigin(row["origin"]) if row["origin"] else None
    return SlideQuality(
        **values,
        stain_kind=row["stain_kind"],
        stain_angle=row["stain_angle"],
        stain_amounts=(row["stain_first"], row["stain_second"]),
        fractions={name: row[f"fraction_{name}"] for name in ARTEFACT_NAMES},
        areas_mm2={name: row[f"mm2_{name}"] for name in ARTEFACT_NAMES},
    )


def _reference(row: Mapping[str, Any]) -> ReferenceRecord:
    values = dict(row)
    values["kind"] = ReferenceKind(row["kind"])
    values["metrics"] = json_object(row["metrics"])
    values["figures"] = None if row["figures"] is None else json_object(row["figures"])
    values["usable"] = None if row["usable"] is None else bool(row["usable"])
    values["created_at"] = time_of(row["created_at"])
    return ReferenceRecord(**values)
