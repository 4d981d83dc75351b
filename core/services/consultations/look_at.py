"""Places that a request for an opinion may point to, and where an address points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from core.domain import Region
from core.roles import Permission
from core.services.cases.deep_link import View
from core.services.people.authority import require_now
from core.services.viewing.annotations import list_annotations
from core.settings import Settings
from core.store.records import Json, SlideRecord

_STAGE_PX = 500
"""Screen px that a place fills: about the height of the slide on the case page."""
_ROOM = 2.5
"""How much of its surroundings is shown around a mark, as in the viewer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a consultant is asked to look."""

    label: str
    view: Json
    """What the request keeps; empty = the whole case."""


def places(settings: Settings, slides: Sequence[SlideRecord], *, actor: str) -> tuple[Place, ...]:
    """Return the whole case, each of its slides, and the places that an actor has marked on them.

    The model's places are left out: they would tell a blinded consultant where the model looked.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    require_now(settings, actor, Permission.SEE_CASES)
    found = [Place("The whole case", {})]
    for slide in slides:
        found.append(Place(f"Slide {slide.slide_id}", {"slide_id": slide.slide_id}))
        own = [mark for mark in list_annotations(settings, slide.slide_id, actor=actor) if mark.author == actor]
        for number, mark in enumerate(own, start=1):
            name = mark.label or f"mark {number}"
            found.append(Place(f"Slide {slide.slide_id}: {name}", _view(slide.slide_id, mark.geometry)))
    return tuple(found)


def region_of(view: View) -> Region | None:
    """Return what a view shows of a slide, for the viewer to fit, in level-0 px; None if it names no place."""
    if view.x is None or view.y is None:
        return None
    side = max(round(_STAGE_PX / _ROOM / (view.z or 1.0)), 1)
    return Region(round(view.x - side / 2), round(view.y - side / 2), side, side)


def _view(slide_id: str, geometry: Json) -> Json:
    """Return the middle of a mark and a magnification at which it is seen whole."""
    points = list(_points(geometry.get("coordinates")))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    side = max(max(xs) - min(xs), max(ys) - min(ys), 1.0)
    zoom = min(_STAGE_PX / (side * _ROOM), 1.0)
    return {"slide_id": slide_id, "x": (min(xs) + max(xs)) / 2, "y": (min(ys) + max(ys)) / 2, "z": zoom}


def _points(coordinates: object) -> Iterable[tuple[float, float]]:
    """Return the points of a GeoJSON geometry, however deep they lie."""
    if not isinstance(coordinates, Sequence):
        return
    parts = cast("Sequence[object]", coordinates)
    numbers = [float(part) for part in parts[:2] if isinstance(part, int | float)]
    if len(numbers) == 2:
        yield numbers[0], numbers[1]
        return
    for part in parts:
        yield from _points(part)
