"""Marks as QuPath reads and writes them: GeoJSON features in level-0 pixels.

QuPath 0.4 and later: a FeatureCollection; each feature has a UUID `id` and `properties` with `objectType`, `name`,
`classification {name, color: [r, g, b]}`, `measurements` and a `metadata` map of texts, of which
`ANNOTATION_DESCRIPTION` is what QuPath shows as the description. A rectangle is a closed polygon of four corners there.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from core.errors import InputError

DESCRIPTION_KEY = "ANNOTATION_DESCRIPTION"
AUTHOR_KEY = "Author"
TIME_KEY = "Recorded (UTC)"
SHAPE_KEY = "Shape"
COLOUR = (26, 26, 26)
"""RGB of classifications without one of their own; dark, as in our viewer."""
_KEPT = ("Point", "LineString", "Polygon", "MultiPolygon")
_SHAPES = {"Point": "point", "LineString": "line", "Polygon": "polygon", "MultiPolygon": "polygon"}
_UUID_SPACE = uuid.UUID("5ec0d2ea-d000-5000-8000-000000000001")


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark on a slide."""

    id: str
    """UUID."""
    shape: str
    """rectangle | polygon | point | line."""
    geometry: Mapping[str, Any]
    """GeoJSON geometry in level-0 px."""
    label: str = ""
    note: str = ""
    author: str = ""
    at_utc: str = ""


def feature_collection(marks: Sequence[Mark]) -> dict[str, object]:
    """Return marks as QuPath imports them."""
    return {"type": "FeatureCollection", "features": [_feature(mark) for mark in marks]}


def _feature(mark: Mark) -> dict[str, object]:
    metadata = {DESCRIPTION_KEY: mark.note, AUTHOR_KEY: mark.author, TIME_KEY: mark.at_utc, SHAPE_KEY: mark.shape}
    properties: dict[str, object] = {
        "objectType": "annotation",
        "isLocked": False,
        "measurements": {},
        "metadata": {key: value for key, value in metadata.items() if value},
    }
    if mark.label:
        properties["name"] = mark.label
        properties["classification"] = {"name": mark.label, "color": list(COLOUR)}
    return {"type": "Feature", "id": mark.id, "geometry": _closed(mark.geometry), "properties": properties}


def marks_of(content: object) -> tuple[Mark, ...]:
    """Read marks from a FeatureCollection, a list of features or a single feature.

    Detections and tiles are left out: they are results of programs, not marks of people.

    Raises:
        InputError: this is no GeoJSON, or a feature has a geometry that no mark can have.
    """
    return tuple(_mark(feature) for feature in _features(content) if _properties(feature).get("objectType") in _MARKS)


def classified_marks(content: object) -> tuple[tuple[str, Mark], ...]:
    """Read marks as `marks_of` does, each behind the name of its class; a mark without a class goes by its own name.

    Raises:
        InputError: as `marks_of`.
    """
    marked = [feature for feature in _features(content) if _properties(feature).get("objectType") in _MARKS]
    return tuple(
        (_class_of(_properties(feature)) or _label_of(_properties(feature)), _mark(feature)) for feature in marked
    )


_MARKS = ("annotation", None)


def _features(content: object) -> list[Mapping[str, Any]]:
    if isinstance(content, Mapping):
        found = cast("Mapping[str, Any]", content)
        features: object = found.get("features") if found.get("type") == "FeatureCollection" else [found]
    else:
        features = content
    if not isinstance(features, list):
        raise InputError("The file holds no GeoJSON features. Export annotations from QuPath as GeoJSON.")
    for feature in cast("list[object]", features):
        if not isinstance(feature, Mapping) or cast("Mapping[str, Any]", feature).get("type") != "Feature":
            raise InputError("The file holds something that is not a GeoJSON feature.")
    return cast("list[Mapping[str, Any]]", features)


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    found: object = feature.get("properties")
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _mark(feature: Mapping[str, Any]) -> Mark:
    geometry, properties = feature.get("geometry"), _properties(feature)
    if not isinstance(geometry, Mapping) or cast("Mapping[str, Any]", geometry).get("type") not in _KEPT:
        kind = cast("Mapping[str, Any]", geometry).get("type") if isinstance(geometry, Mapping) else geometry
        raise InputError(f"A feature has the geometry {kind!r}; marks are {', '.join(_KEPT)}.")
    shape_of = cast("Mapping[str, Any]", geometry)
    metadata: object = properties.get("metadata")
    texts: Mapping[str, Any] = cast("Mapping[str, Any]", metadata) if isinstance(metadata, Mapping) else {}
    shape = _SHAPES[str(shape_of["type"])]
    if texts.get(SHAPE_KEY) == "rectangle" and shape == "polygon":
        shape = "rectangle"
    return Mark(
        id=_id_of(feature),
        shape=shape,
        geometry=_closed({"type": shape_of["type"], "coordinates": shape_of.get("coordinates")}),
        label=_label_of(properties),
        note=str(texts.get(DESCRIPTION_KEY, "")),
        author=str(texts.get(AUTHOR_KEY, "")),
        at_utc=str(texts.get(TIME_KEY, "")),
    )


def _id_of(feature: Mapping[str, Any]) -> str:
    """Return the feature's UUID, or one made from its geometry, so that importing twice does not double it."""
    text = str(feature.get("id", ""))
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return str(uuid.uuid5(_UUID_SPACE, f"{text}|{feature.get('geometry')}"))


def _label_of(properties: Mapping[str, Any]) -> str:
    """Return the name, else the name of the classification."""
    return str(properties["name"]) if properties.get("name") else _class_of(properties)


def _class_of(properties: Mapping[str, Any]) -> str:
    """Return the name of the classification, which older files hold as text or list."""
    found: object = properties.get("classification")
    if isinstance(found, Mapping):
        names = cast("Mapping[str, Any]", found).get("names")
        name = cast("Mapping[str, Any]", found).get("name")
        return (
            str(name) if name else ": ".join(map(str, cast("list[object]", names))) if isinstance(names, list) else ""
        )
    return str(found) if isinstance(found, str) else ""


def _closed(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the geometry with every ring ending where it begins, as GeoJSON (RFC 7946) wants it."""
    kind, coordinates = geometry["type"], geometry.get("coordinates")
    if kind == "Polygon" and isinstance(coordinates, list):
        coordinates = [_ring(ring) for ring in cast("list[object]", coordinates)]
    elif kind == "MultiPolygon" and isinstance(coordinates, list):
        coordinates = [
            [_ring(ring) for ring in cast("list[object]", polygon)] if isinstance(polygon, list) else polygon
            for polygon in cast("list[object]", coordinates)
        ]
    return {"type": kind, "coordinates": coordinates}


def _ring(ring: object) -> object:
    if not isinstance(ring, list) or not ring:
        return cast("object", ring)
    points = cast("list[object]", ring)
    return points if points[0] == points[-1] else [*points, points[0]]
