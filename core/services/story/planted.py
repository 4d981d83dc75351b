"""What was planted on phantom slides, as the truth beside them says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.interop.qupath import classified_marks
from core.interop.raster import polygons_of
from core.phantom.truth import TUMOUR
from core.services import catalogue
from core.services.training.slide_labels import TRUTH, slide_labels
from core.settings import Settings
from core.store.records import SlideRecord


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed line around something planted."""

    name: str
    is_lesion: bool
    """Tumour; otherwise an artefact."""
    ring: tuple[tuple[float, float], ...]
    """Level-0 x, y; the last point repeats the first."""


def planted_cases(settings: Settings) -> Mapping[str, bool]:
    """Return case id -> whether the target was planted on any of its slides; cases without any truth are absent."""
    truth = slide_labels(settings, TRUTH).target
    found: dict[str, bool] = {}
    for slide in catalogue.list_slides(settings):
        if slide.slide_id in truth:
            found[slide.case_id] = found.get(slide.case_id, False) or truth[slide.slide_id]
    return found


def planted_outlines(slide: SlideRecord) -> tuple[Outline, ...]:
    """Return what was drawn into a phantom slide; nothing where no truth lies beside the slide."""
    try:
        content = json.loads(Path(slide.path).with_suffix(".geojson").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(
        Outline(name, name == TUMOUR, tuple((float(x), float(y)) for x, y in ring))
        for name, mark in classified_marks(content)
        for polygon in polygons_of(mark.geometry)
        for ring in polygon
    )
