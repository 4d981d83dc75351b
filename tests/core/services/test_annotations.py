"""Marks in the log: superseded, never changed; refused when they cannot be drawn; imported once."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from people_kit import CLERK, enrol

from core.domain import Stain
from core.errors import InputError, NotFoundError
from core.services.catalogue import SlideRequest, add_slides, verify_log
from core.services.viewing.annotations import (
    annotation_history,
    export_geojson,
    import_geojson,
    list_annotations,
    remove_annotation,
    save_annotation,
    save_drawn,
)
from core.settings import Settings
from core.store.annotations import Shape

ID, OTHER = "0b6f6f0e-6e3c-4c57-9a55-0f3f1c1f0001", "0b6f6f0e-6e3c-4c57-9a55-0f3f1c1f0002"
RING = [[10, 20], [110.5, 20], [110.5, 70], [10, 70], [10, 20]]
BOX = {"type": "Polygon", "coordinates": [RING]}


@pytest.fixture
def slide(settings: Settings, tmp_path: Path) -> str:
    enrol(settings, "Ada", "Ben", "Eve")
    path = tmp_path / "one.tif"
    path.write_bytes(b"never opened here")
    return add_slides(settings, [SlideRequest(path, None, None, Stain.HE, None, None)], actor=CLERK).slide_ids[0]


def save(settings: Settings, slide: str, *, label: str = "Tumour", note: str = "", actor: str = "Ada") -> None:
    save_annotation(
        settings, slide, annotation_id=ID, shape=Shape.RECTANGLE, geometry=BOX, label=label, note=note, actor=actor
    )


def contents(settings: Settings, slide: str) -> list[tuple[object, ...]]:
    """Everything about the marks but who made them when."""
    return [
        (one.annotation_id, one.shape, one.geometry, one.label, one.note) for one in list_annotations(settings, slide)
    ]


def test_a_change_and_a_removal_supersede(settings: Settings, slide: str) -> None:
    save(settings, slide)
    save(settings, slide, note="solid growth", actor="Ben")
    (mark,) = list_annotations(settings, slide)
    assert (mark.note, mark.author, mark.shape, mark.geometry) == ("solid growth", "Ben", "rectangle", BOX)
    remove_annotation(settings, slide, annotation_id=ID, actor="Ada")
    remove_annotation(settings, slide, annotation_id=ID, actor="Ada")
    assert list_annotations(settings, slide) == ()
    history = annotation_history(settings, slide)
    assert [(one.author, one.note, one.removed) for one in history] == [
        ("Ada", "", False),
        ("Ben", "solid growth", False),
        ("Ada", "solid growth", True),
    ]
    assert [one.supersedes for one in history] == [None, history[0].revision, history[1].revision]
    assert verify_log(settings).ok


def test_the_same_again_leaves_one_row(settings: Settings, slide: str) -> None:
    save(settings, slide)
    save(settings, slide, actor="Ben")
    assert [one.author for one in annotation_history(settings, slide)] == ["Ada"]


def test_an_altered_row_breaks_the_log(settings: Settings, slide: str) -> None:
    save(settings, slide)
    connection = sqlite3.connect(settings.log_path, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("UPDATE annotations SET label = 'Benign'")
    connection.execute("DROP TRIGGER annotations_no_update")
    connection.execute("UPDATE annotations SET label = 'Benign'")
    connection.close()
    assert not verify_log(settings).ok


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"type": "Circle", "coordinates": [1, 2]},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": ["1", "2"]},
        {"type": "Point", "coordinates": [float("nan"), 2]},
        {"type": "LineString", "coordinates": [[1, 2]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [1, 2]]]},
        {"type": "Polygon", "coordinates": "none"},
        {"type": "Polygon", "coordinates": [[[i, i] for i in range(20_001)]]},
    ],
)
def test_what_cannot_be_drawn_is_refused(settings: Settings, slide: str, geometry: dict[str, object]) -> None:
    with pytest.raises(InputError):
        save_drawn(settings, slide, {"id": ID, "geometry": geometry, "label": "x", "note": ""}, actor="Ada")
    assert annotation_history(settings, slide) == ()


def test_other_refusals(settings: Settings, slide: str) -> None:
    drawn = {"id": ID, "geometry": BOX, "label": "x", "note": ""}
    with pytest.raises(InputError, match="UUID"):
        save_drawn(settings, slide, drawn | {"id": "7"}, actor="Ada")
    with pytest.raises(InputError, match="characters"):
        save_drawn(settings, slide, drawn | {"label": "x" * 81}, actor="Ada")
    with pytest.raises(NotFoundError):
        save_drawn(settings, "nobody", drawn, actor="Ada")
    with pytest.raises(NotFoundError):
        remove_annotation(settings, slide, annotation_id=OTHER, actor="Ada")


def test_export_and_import_there_and_back(settings: Settings, slide: str) -> None:
    save(settings, slide, note="solid")
    save_drawn(
        settings,
        slide,
        {"id": OTHER, "geometry": {"type": "LineString", "coordinates": [[0, 0], [3, 4]]}, "label": "", "note": ""},
        actor="Ben",
    )
    exported = export_geojson(settings, slide)
    assert import_geojson(settings, slide, exported, actor="Eve") == 0, "nothing in it is new"
    before = [
        (one.annotation_id, one.shape, one.geometry, one.label, one.note) for one in list_annotations(settings, slide)
    ]
    for mark in (ID, OTHER):
        remove_annotation(settings, slide, annotation_id=mark, actor="Eve")
    assert import_geojson(settings, slide, exported.encode(), actor="Eve") == 2
    after = [
        (one.annotation_id, one.shape, one.geometry, one.label, one.note) for one in list_annotations(settings, slide)
    ]
    assert after == before
    assert {one.author for one in list_annotations(settings, slide)} == {"Eve"}, "who imports is who says so"


def test_an_import_is_whole_or_nothing(settings: Settings, slide: str) -> None:
    good = {"type": "Feature", "id": ID, "geometry": BOX, "properties": {"objectType": "annotation"}}
    bad = good | {"id": OTHER, "geometry": {"type": "Polygon", "coordinates": [[[1, 2]]]}}
    with pytest.raises(InputError):
        import_geojson(settings, slide, json.dumps([good, bad]), actor="Ada")
    with pytest.raises(InputError, match="not JSON"):
        import_geojson(settings, slide, b"\xff\xfe", actor="Ada")
    assert list_annotations(settings, slide) == ()
