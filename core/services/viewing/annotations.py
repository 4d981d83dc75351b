"""Marks that people make on slides: kept in the log with author and time, exchanged as QuPath GeoJSON."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

from core.errors import InputError, NotFoundError
from core.interop.qupath import Mark, feature_collection, marks_of
from core.roles import Permission
from core.services.cases.visibility import of_slide
from core.services.people.authority import require, require_now
from core.settings import Settings
from core.store import annotations as store
from core.store import cases
from core.store.annotations import AnnotationRecord, Shape
from core.store.connection import Log, open_log, reading, writing

LABEL_LIMIT = 80
NOTE_LIMIT = 2000
POINTS_LIMIT = 20_000
"""Corners of one mark; a contour of a whole slide at 1 px steps has fewer."""
_DEPTH = {"Point": 0, "LineString": 1, "Polygon": 2, "MultiPolygon": 3}
_LEAST = {"LineString": 2, "Polygon": 4, "MultiPolygon": 4}


def list_annotations(settings: Settings, slide_id: str, *, actor: str | None = None) -> tuple[AnnotationRecord, ...]:
    """Return the marks of a slide as they stand: those that an actor may see, or all for the program itself.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        return _shown(database, slide_id, store.current_annotations(database, slide_id), actor=actor)


def annotation_history(settings: Settings, slide_id: str, *, actor: str | None = None) -> tuple[AnnotationRecord, ...]:
    """Return every revision of every mark of a slide, removed ones too, as far as an actor may see them.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        return _shown(database, slide_id, store.annotation_revisions(database, slide_id), actor=actor)


def save_annotation(
    settings: Settings,
    slide_id: str,
    *,
    annotation_id: str,
    shape: Shape,
    geometry: Mapping[str, Any],
    label: str,
    note: str,
    actor: str,
) -> AnnotationRecord:
    """Record a mark, or a new revision of one. The same content twice leaves one row.

    Args:
        settings: Names the log.
        slide_id: The slide.
        annotation_id: UUID of the mark.
        shape: What it was made as.
        geometry: GeoJSON geometry in level-0 px.
        label: A few words.
        note: Free text.
        actor: Who says so.

    Raises:
        NotAllowedError: the actor may not annotate.
        NotFoundError: there is no such slide.
        InputError: the geometry, the id or a text cannot be used.
    """
    require_now(settings, actor, Permission.ANNOTATE)
    mark = _checked(Mark(annotation_id, shape.value, geometry, label=label.strip(), note=note.strip()))
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.ANNOTATE)
        cases.get_slide(database, slide_id)
        current = {record.annotation_id: record for record in store.current_annotations(database, slide_id)}
        known = current.get(mark.id)
        return known if known is not None and _same(known, mark) else _insert(database, slide_id, mark, actor=actor)


def save_drawn(settings: Settings, slide_id: str, drawn: Mapping[str, Any], *, actor: str) -> AnnotationRecord:
    """Record a mark as the viewer sends it: id, geometry, is_rectangle, label, note.

    Raises:
        NotAllowedError: the actor may not annotate.
        NotFoundError: there is no such slide.
        InputError: something in it cannot be used.
    """
    geometry = cast("Mapping[str, Any]", drawn.get("geometry") or {})
    shapes = {"Point": Shape.POINT, "LineString": Shape.LINE}
    shape = Shape.RECTANGLE if drawn.get("is_rectangle") else shapes.get(str(geometry.get("type")), Shape.POLYGON)
    return save_annotation(
        settings,
        slide_id,
        annotation_id=str(drawn.get("id", "")),
        shape=shape,
        geometry={"type": geometry.get("type"), "coordinates": geometry.get("coordinates")},
        label=str(drawn.get("label", "")),
        note=str(drawn.get("note", "")),
        actor=actor,
    )


def remove_annotation(settings: Settings, slide_id: str, *, annotation_id: str, actor: str) -> None:
    """Take a mark away; the log keeps it and who removed it. A mark that is gone already is left so.

    Raises:
        NotAllowedError: the actor may not annotate.
        NotFoundError: the slide never had such a mark.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.ANNOTATE)
        known = [one for one in store.annotation_revisions(database, slide_id) if one.annotation_id == annotation_id]
        if not known:
            raise NotFoundError(f"Slide {slide_id} has no annotation {annotation_id}.")
        last = known[-1]
        if not last.removed:
            store.insert_annotation(
                database,
                slide_id,
                annotation_id=annotation_id,
                shape=last.shape,
                geometry=last.geometry,
                label=last.label,
                note=last.note,
                removed=True,
                actor=actor,
            )


def export_geojson(settings: Settings, slide_id: str, *, actor: str | None = None) -> str:
    """Return the marks of a slide that an actor may see as a QuPath FeatureCollection.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    marks = [
        Mark(
            record.annotation_id,
            record.shape.value,
            record.geometry,
            label=record.label,
            note=record.note,
            author=record.author,
            at_utc=record.created_at.isoformat(timespec="seconds"),
        )
        for record in list_annotations(settings, slide_id, actor=actor)
    ]
    return json.dumps(feature_collection(marks), indent=1)


def import_geojson(settings: Settings, slide_id: str, content: str | bytes, *, actor: str) -> int:
    """Record the marks of a GeoJSON file, all of them or, if one cannot be used, none.

    Marks whose id the slide already has are superseded where they differ, so importing twice changes nothing.

    Returns:
        How many marks are new or changed.

    Raises:
        NotAllowedError: the actor may not annotate.
        InputError: the file is no GeoJSON of marks; the sentence says what was found.
        NotFoundError: there is no such slide.
    """
    require_now(settings, actor, Permission.ANNOTATE)
    try:
        parsed: object = json.loads(content)
    except (ValueError, UnicodeDecodeError) as err:
        raise InputError("The file is not JSON. Export it from QuPath as GeoJSON and try again.") from err
    marks = [_checked(mark) for mark in marks_of(parsed)]
    changed = 0
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.ANNOTATE)
        cases.get_slide(database, slide_id)
        current = {record.annotation_id: record for record in store.current_annotations(database, slide_id)}
        for mark in marks:
            if not _same(current.get(mark.id), mark):
                _insert(database, slide_id, mark, actor=actor)
                changed += 1
    return changed


def _shown(
    database: Log, slide_id: str, records: tuple[AnnotationRecord, ...], *, actor: str | None
) -> tuple[AnnotationRecord, ...]:
    """Leave the marks of others out for who must not see them: they show what the others saw."""
    if actor is None:
        return records
    if of_slide(database, slide_id, actor=actor).marks:
        return records
    return tuple(record for record in records if record.author == actor)


def _insert(database: Log, slide_id: str, mark: Mark, *, actor: str) -> AnnotationRecord:
    return store.insert_annotation(
        database,
        slide_id,
        annotation_id=mark.id,
        shape=Shape(mark.shape),
        geometry=mark.geometry,
        label=mark.label,
        note=mark.note,
        removed=False,
        actor=actor,
    )


def _same(known: AnnotationRecord | None, mark: Mark) -> bool:
    if known is None:
        return False
    return (known.shape.value, known.geometry, known.label, known.note) == (
        mark.shape,
        mark.geometry,
        mark.label,
        mark.note,
    )


def _checked(mark: Mark) -> Mark:
    """Return a mark whose parts can be stored.

    Raises:
        InputError: one of them cannot.
    """
    try:
        uuid.UUID(mark.id)
    except ValueError as err:
        raise InputError(f"{mark.id!r} is not a UUID, so the annotation cannot be told from others.") from err
    if len(mark.label) > LABEL_LIMIT or len(mark.note) > NOTE_LIMIT:
        raise InputError(f"A label may have {LABEL_LIMIT} and a note {NOTE_LIMIT} characters.")
    kind = mark.geometry.get("type")
    if kind not in _DEPTH:
        raise InputError(f"An annotation of type {kind!r} cannot be kept; use points, lines and polygons.")
    points = _points(mark.geometry.get("coordinates"), depth=_DEPTH[kind], least=_LEAST.get(kind, 1))
    if len(points) > POINTS_LIMIT:
        raise InputError(f"An annotation may have {POINTS_LIMIT:,} corners, this one has {len(points):,}.")
    return mark


def _points(coordinates: object, *, depth: int, least: int) -> list[tuple[float, float]]:
    """Return all positions of a geometry, checking its nesting.

    Raises:
        InputError: something is not a list, not a position, or a part has too few positions.
    """
    if not isinstance(coordinates, Sequence) or isinstance(coordinates, str):
        raise InputError("The geometry of an annotation has no coordinates.")
    parts = cast("Sequence[object]", coordinates)
    if depth == 0:
        if len(parts) < 2 or not all(_is_number(value) for value in parts[:2]):
            raise InputError(f"{parts!r} is not a position in level-0 pixels.")
        return [(float(cast("float", parts[0])), float(cast("float", parts[1])))]
    if not parts or (depth == 1 and len(parts) < least):
        raise InputError("A part of an annotation has too few positions.")
    return [point for part in parts for point in _points(part, depth=depth - 1, least=least)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
