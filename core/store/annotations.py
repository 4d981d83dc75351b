"""Marks on slides in the log. A change or a removal is a new row that supersedes the one before; nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from sqlite_utils import Database

from core.store.connection import rows_of
from core.store.events import Action, append_event, slide_entity
from core.store.seals import Sealed, seal
from core.store.values import canonical_json, time_of, time_text, utc_now


class Shape(StrEnum):
    """What a mark was made as."""

    RECTANGLE = "rectangle"
    POLYGON = "polygon"
    POINT = "point"
    LINE = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationRecord:
    """One revision of one mark."""

    revision: int
    annotation_id: str
    """UUID; the same for all revisions of a mark."""
    slide_id: str
    shape: Shape
    geometry: Mapping[str, Any]
    """GeoJSON geometry in level-0 px: Point, LineString, Polygon or MultiPolygon."""
    label: str
    note: str
    removed: bool
    author: str
    """Who made this revision."""
    supersedes: int | None
    created_at: datetime


def insert_annotation(
    database: Database,
    slide_id: str,
    *,
    annotation_id: str,
    shape: Shape,
    geometry: Mapping[str, Any],
    label: str,
    note: str,
    removed: bool,
    actor: str,
) -> AnnotationRecord:
    """Write a revision of a mark, superseding the current one of the same id. Call inside `writing`."""
    earlier = database.conn.execute(
        "SELECT max(revision) FROM annotations WHERE slide_id = ? AND annotation_id = ?", (slide_id, annotation_id)
    ).fetchone()[0]
    cursor = database.conn.execute(
        """INSERT INTO annotations (annotation_id, slide_id, shape, geometry, label, note, removed, author, supersedes,
           created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            annotation_id,
            slide_id,
            shape.value,
            canonical_json(geometry),
            label,
            note,
            int(removed),
            actor,
            earlier,
            time_text(utc_now()),
        ),
    )
    revision = cast("int", cursor.lastrowid)
    payload = {
        "revision": revision,
        "annotation_id": annotation_id,
        "supersedes": earlier,
        "sealed": seal(database, Sealed.ANNOTATION, revision),
    }
    action = Action.ANNOTATION_REMOVED if removed else Action.ANNOTATION_RECORDED
    append_event(database, action, entity=slide_entity(slide_id), actor=actor, payload=payload)
    rows = rows_of(database, "SELECT * FROM annotations WHERE revision = ?", (revision,))
    return _record(rows[0])


def annotation_revisions(database: Database, slide_id: str) -> tuple[AnnotationRecord, ...]:
    """Return every revision of every mark of a slide, removed ones too, in the order they were made."""
    rows = rows_of(database, "SELECT * FROM annotations WHERE slide_id = ? ORDER BY revision", (slide_id,))
    return tuple(_record(row) for row in rows)


def current_annotations(database: Database, slide_id: str) -> tuple[AnnotationRecord, ...]:
    """Return the marks of a slide as they stand: the latest revision of each, without the removed ones."""
    latest = {record.annotation_id: record for record in annotation_revisions(database, slide_id)}
    return tuple(record for record in latest.values() if not record.removed)


def _record(row: Mapping[str, Any]) -> AnnotationRecord:
    values = dict(row)
    values["shape"] = Shape(values["shape"])
    values["geometry"] = cast("Mapping[str, Any]", json.loads(values["geometry"]))
    values["removed"] = bool(values["removed"])
    values["created_at"] = time_of(values["created_at"])
    return AnnotationRecord(**values)
