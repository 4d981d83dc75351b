"""Which slides show the target: from a table, from the pathologists' reads, or from the truth beside phantom slides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.domain import ReadCategory
from core.errors import InputError
from core.interop.csv_table import read_csv
from core.phantom.truth import TUMOUR
from core.services import catalogue
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.records import ReadStage, SlideRecord
from core.store.reviews import counting_diagnosis, diagnoses_of_case

READS = "reads"
TRUTH = "truth"
_YES = frozenset({"1", "yes", "true", "positive", "malignant"})
_NO = frozenset({"0", "no", "false", "negative", "benign"})


@dataclass(frozen=True, slots=True)
class SlideLabels:
    """Labels of slides of the catalogue."""

    source: str
    """Where they came from, in words."""
    target: Mapping[str, bool]
    """Slide id -> whether the target is on it."""
    groups: Mapping[str, str] = field(default_factory=dict[str, str])
    """Slide id -> what must not be divided, where the source states it; otherwise the case."""
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    """Slide id -> why it has no label."""


def slide_labels(settings: Settings, source: str) -> SlideLabels:
    """Return the labels of the slides in the catalogue.

    Args:
        settings: Names the home folder.
        source: "reads" (the log), "truth" (the outlines beside phantom slides), or the path of a CSV with the columns
            slide_id and label, and perhaps group.

    Raises:
        InputError: the table cannot be read or names slides that are not in the catalogue.
    """
    slides = catalogue.list_slides(settings)
    if source == READS:
        return _from_reads(settings, slides)
    if source == TRUTH:
        return _from_truth(slides)
    return _from_table(Path(source), slides)


def _from_table(path: Path, slides: tuple[SlideRecord, ...]) -> SlideLabels:
    table = read_csv(path)
    ids, labels = table.column("slide_id"), table.column("label")
    groups = table.column("group") if "group" in table.columns else ("",) * len(ids)
    known = {slide.slide_id for slide in slides}
    unknown = sorted(set(ids) - known)
    if unknown:
        raise InputError(f"{len(unknown)} slides of {table.name} are not in the catalogue: {', '.join(unknown[:10])}.")
    twice = sorted({slide_id for slide_id in ids if ids.count(slide_id) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        raise InputError(f"{table.name} lists these slides twice: {', '.join(twice[:10])}.")
    return SlideLabels(
        source=f"the table {table.name}",
        target={
            slide_id: _meant(label, where=f"{table.name}, row {row.number}")
            for slide_id, label, row in zip(ids, labels, table.rows, strict=True)
        },
        groups={slide_id: group for slide_id, group in zip(ids, groups, strict=True) if group},
        left_out=dict.fromkeys(sorted(known - set(ids)), "not in the table"),
    )


def _meant(label: str, *, where: str) -> bool:
    word = label.casefold()
    if word not in _YES | _NO:
        raise InputError(f"{where}: the label is {label!r}; write 1 where the target is on the slide, else 0.")
    return word in _YES


def _from_reads(settings: Settings, slides: tuple[SlideRecord, ...]) -> SlideLabels:
    """Label slides by the reads of their cases, as far as a read says something about a slide.

    A case read as malignant has the disease on some slide, not on each: of several slides none can be labelled. A read
    given after the model was shown would teach the model's own opinion.
    """
    by_case: dict[str, list[SlideRecord]] = {}
    for slide in slides:
        by_case.setdefault(slide.case_id, []).append(slide)
    target: dict[str, bool] = {}
    left_out: dict[str, str] = {}
    with open_log(settings) as database, reading(database):
        for case_id, members in by_case.items():
            read = counting_diagnosis(diagnoses_of_case(database, case_id))
            reason = ""
            if read is None:
                reason = "its case was not read"
            elif read.stage is ReadStage.AFTER_MODEL:
                reason = "its case was read after the model's result was shown"
            elif read.category is ReadCategory.INDETERMINATE:
                reason = "its case was read as indeterminate"
            elif read.category is ReadCategory.MALIGNANT and len(members) > 1:
                reason = "its case was read as malignant and has several slides: the read does not say which"
            for slide in members:
                if reason or read is None:
                    left_out[slide.slide_id] = reason
                else:
                    target[slide.slide_id] = read.category is ReadCategory.MALIGNANT
    return SlideLabels("the pathologists' reads, given before the model was shown", target, left_out=left_out)


def _from_truth(slides: tuple[SlideRecord, ...]) -> SlideLabels:
    found = {slide.slide_id: _has_tumour(Path(slide.path).with_suffix(".geojson")) for slide in slides}
    return SlideLabels(
        "the planted truth of phantom slides",
        {slide_id: value for slide_id, value in found.items() if value is not None},
        left_out={slide_id: "no truth beside it" for slide_id, value in found.items() if value is None},
    )


def _has_tumour(path: Path) -> bool | None:
    """Return whether a phantom's truth holds tumour; None where there is no truth."""
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        return any(feature["properties"]["classification"]["name"] == TUMOUR for feature in features)
    except (OSError, ValueError, KeyError, TypeError):
        return None
