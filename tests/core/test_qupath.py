"""QuPath GeoJSON: what is written, what is read, and that going there and back changes nothing."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.interop.qupath import Mark, feature_collection, marks_of

RING = [[10, 20], [110, 20], [110, 70], [10, 70], [10, 20]]
HOLE = [[30, 30], [30, 50], [60, 50], [60, 30], [30, 30]]
ID = "0b6f6f0e-6e3c-4c57-9a55-0f3f1c1f0001"


def feature(geometry: object, **properties: object) -> dict[str, object]:
    return {"type": "Feature", "id": ID, "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


def test_one_mark_as_qupath_reads_it() -> None:
    mark = Mark(
        ID,
        "rectangle",
        {"type": "Polygon", "coordinates": [RING]},
        "Tumour",
        "solid",
        "Ada",
        "2026-01-02T03:04:05+00:00",
    )
    assert feature_collection([mark]) == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": ID,
                "geometry": {"type": "Polygon", "coordinates": [RING]},
                "properties": {
                    "objectType": "annotation",
                    "isLocked": False,
                    "measurements": {},
                    "metadata": {
                        "ANNOTATION_DESCRIPTION": "solid",
                        "Author": "Ada",
                        "Recorded (UTC)": "2026-01-02T03:04:05+00:00",
                        "Shape": "rectangle",
                    },
                    "name": "Tumour",
                    "classification": {"name": "Tumour", "color": [26, 26, 26]},
                },
            }
        ],
    }


numbers = st.floats(0, 200_000, allow_nan=False).map(lambda value: round(value, 2))
points = st.tuples(numbers, numbers).map(list)
rings = st.lists(points, min_size=3, max_size=8, unique_by=tuple).map(lambda ring: [*ring, ring[0]])
geometries = st.one_of(
    points.map(lambda point: ("point", {"type": "Point", "coordinates": point})),
    st.lists(points, min_size=2, max_size=5).map(lambda way: ("line", {"type": "LineString", "coordinates": way})),
    st.lists(rings, min_size=1, max_size=3).map(lambda parts: ("polygon", {"type": "Polygon", "coordinates": parts})),
    rings.map(lambda ring: ("rectangle", {"type": "Polygon", "coordinates": [ring]})),
    st.lists(st.lists(rings, min_size=1, max_size=2), min_size=1, max_size=3).map(
        lambda parts: ("polygon", {"type": "MultiPolygon", "coordinates": parts})
    ),
)
texts = st.text(max_size=30)
marks = st.builds(
    lambda identity, shaped, label, note: Mark(str(identity), *shaped, label=label, note=note),
    st.uuids(),
    geometries,
    texts,
    texts,
)


@given(st.lists(marks, max_size=4))
def test_there_and_back_changes_nothing(made: list[Mark]) -> None:
    assert marks_of(json.loads(json.dumps(feature_collection(made)))) == tuple(made)


def test_another_geojson_library_reads_the_same_shapes() -> None:
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    polygon = {"type": "Polygon", "coordinates": [RING, HOLE]}
    made = [
        Mark(str(uuid.uuid4()), "polygon", polygon),
        Mark(str(uuid.uuid4()), "line", {"type": "LineString", "coordinates": [[0, 0], [30, 40]]}),
        Mark(str(uuid.uuid4()), "point", {"type": "Point", "coordinates": [7.5, 8]}),
    ]
    collection = shapely.from_geojson(json.dumps(feature_collection(made)))
    area, line, point = collection.geoms
    assert area.is_valid
    assert area.area == 100 * 50 - 30 * 20
    assert line.length == 50
    assert (point.x, point.y) == (7.5, 8)


def test_files_of_other_programs() -> None:
    # A list of features, an open ring, a classification as text, no id: all seen in the wild.
    open_ring = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING[:-1]]}, "properties": {}}
    (mark,) = marks_of([open_ring])
    assert mark.geometry["coordinates"] == [RING]
    assert uuid.UUID(mark.id)
    assert marks_of([open_ring]) == (mark,), "the same file gives the same id again"
    (named,) = marks_of(
        feature({"type": "Point", "coordinates": [1, 2]}, classification={"names": ["Tumor", "Positive"]})
    )
    assert named.label == "Tumor: Positive"
    assert marks_of({"type": "FeatureCollection", "features": []}) == ()


def test_detections_and_tiles_are_not_marks() -> None:
    content = [
        {**feature({"type": "Point", "coordinates": [1, 2]}), "properties": {"objectType": kind}}
        for kind in ("detection", "tile", "cell", "annotation")
    ]
    assert len(marks_of(content)) == 1


@pytest.mark.parametrize(
    "content",
    [
        None,
        3,
        "text",
        {"type": "FeatureCollection"},
        {"type": "Polygon", "coordinates": []},
        [{"type": "Point"}],
        feature(None),
        feature({"type": "GeometryCollection", "geometries": []}),
        feature({"type": "MultiPoint", "coordinates": []}),
    ],
)
def test_what_is_no_file_of_marks_is_refused(content: object) -> None:
    with pytest.raises(InputError):
        marks_of(content)
