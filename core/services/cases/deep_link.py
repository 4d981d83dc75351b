"""The address of a case, a slide and a place on it, so that a request leads to what it is about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A place to look at; what is None is left to the page."""

    case_id: str
    slide_id: str | None = None
    x: float | None = None
    """Middle of the view, level-0 px, as y."""
    y: float | None = None
    z: float | None = None
    """Screen px per level-0 px: 1 = full resolution."""

    def __post_init__(self) -> None:
        numbers = [value for value in (self.x, self.y, self.z) if value is not None]
        if not all(math.isfinite(value) for value in numbers) or (self.z is not None and self.z <= 0):
            raise InputError("A place on a slide needs finite level-0 pixels and a positive magnification.")
        if (self.x is None) != (self.y is None) or (numbers and (self.slide_id is None or self.x is None)):
            raise InputError("A place on a slide needs the slide and both x and y.")


def link_of(view: View) -> str:
    """Return the query of the case page's address: `?case=..&slide=..&x=..&y=..&z=..`."""
    return f"?{urlencode(params_of(view))}"


def params_of(view: View) -> dict[str, str]:
    """Return the parts of a view's address, those it has."""
    found = {"case": view.case_id}
    if view.slide_id is not None:
        found["slide"] = view.slide_id
    if view.x is not None and view.y is not None:
        found |= {"x": _short(round(view.x, 1)), "y": _short(round(view.y, 1))}
        found |= {} if view.z is None else {"z": _short(float(f"{view.z:.6g}"))}
    return found


def view_of(params: Mapping[str, str]) -> View | None:
    """Return the place an address asks for; None if it names no case. What cannot be read in it is left out."""
    case_id = params.get("case")
    if not case_id:
        return None
    slide_id = params.get("slide") or None
    x, y, z = (_number(params.get(name)) for name in ("x", "y", "z"))
    if slide_id is None or x is None or y is None:
        return View(case_id=case_id, slide_id=slide_id)
    return View(case_id=case_id, slide_id=slide_id, x=x, y=y, z=z if z is not None and z > 0 else None)


def _short(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
