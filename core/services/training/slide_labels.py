"""Which slides show the target: from a table, from the pathologists' reads, or from the truth beside phantom slides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from core.errors import InputError, NotFoundError
from core.interop.csv_table import read_csv
from core.phantom.truth import TUMOUR
from core.services import catalogue
from core.services.cases.verdicts import by_case_of, department_verdicts, to_slides
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.records import SlideRecord

LABELS_PREFIX = "labels:"
"""Begins the name of a table of labels that was taken in."""
READS = "reads"
TRUTH = "truth"
LABELS_FOLDER = "labels"
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
        source: "reads" (the log), "truth" (the outlines beside phantom slides), "labels:NAME" (a table taken in
            earlier), or the path of a CSV with the columns slide_id and label, and perhaps group.

    Raises:
        InputError: the table cannot be read or names slides that are not in the catalogue.
        NotFoundError: no table of that name was taken in.
    """
    slides = catalogue.list_slides(settings)
    return _from_reads(settings, slides) if source == READS else slide_labels_of(settings, slides, source)


def slide_labels_of(settings: Settings, slides: tuple[SlideRecord, ...], source: str) -> SlideLabels:
    """Return the labels of some slides from a source that speaks of slides; see `slide_labels`.

    Raises:
        InputError, NotFoundError: as `slide_labels`.
    """
    if source == TRUTH:
        return _from_truth(slides)
    if source.startswith(LABELS_PREFIX):
        name = source.removeprefix(LABELS_PREFIX)
        path = label_table(settings, name)
        return _from_table(path, slides, known=None, title=name)
    return _from_table(Path(source), slides, known={slide.slide_id for slide in catalogue.list_slides(settings)})


def label_table(settings: Settings, name: str) -> Path:
    """Return the file of a table of labels that was taken in.

    Raises:
        NotFoundError: there is none of that name.
    """
    path = settings.home / LABELS_FOLDER / f"{name}.csv"
    if Path(name).name != name or not path.is_file():
        raise NotFoundError(f"No table of labels called {name!r} was taken in. Upload it on the evaluation page.")
    return path


def label_tables(settings: Settings) -> tuple[str, ...]:
    """Return the names of the tables of labels that were taken in."""
    return tuple(sorted(path.stem for path in (settings.home / LABELS_FOLDER).glob("*.csv")))


def read_label_table(path: Path, slides: set[str], *, title: str) -> SlideLabels:
    """Read a table of labels before it is kept.

    Raises:
        InputError: it cannot be read, or names none of the slides.
    """
    table = read_csv(path)
    ids, labels = table.column("slide_id"), table.column("label")
    if not set(ids) & slides:
        raise InputError(f"{title} names no slide of the catalogue in its column slide_id.")
    target = {
        slide_id: _meant(label, where=f"{title}, row {row.number}")
        for slide_id, label, row in zip(ids, labels, table.rows, strict=True)
    }
    return SlideLabels(f"the table {title}", target)


def _from_table(
    path: Path, slides: tuple[SlideRecord, ...], *, known: set[str] | None, title: str | None = None
) -> SlideLabels:
    """Read a table; `known` are the slides that it may name, None leaves unknown ones out."""
    table = read_csv(path)
    ids, labels = table.column("slide_id"), table.column("label")
    groups = table.column("group") if "group" in table.columns else ("",) * len(ids)
    wanted = {slide.slide_id for slide in slides}
    unknown = sorted(set(ids) - known) if known is not None else []
    if unknown:
        raise InputError(f"{len(unknown)} slides of {table.name} are not in the catalogue: {', '.join(unknown[:10])}.")
    twice = sorted({slide_id for slide_id in ids if ids.count(slide_id) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        raise InputError(f"{table.name} lists these slides twice: {', '.join(twice[:10])}.")
    return SlideLabels(
        source=f"the table {title or table.name}",
        target={
            slide_id: _meant(label, where=f"{table.name}, row {row.number}")
            for slide_id, label, row in zip(ids, labels, table.rows, strict=True)
            if slide_id in wanted
        },
        groups={slide_id: group for slide_id, group in zip(ids, groups, strict=True) if group and slide_id in wanted},
        left_out=dict.fromkeys(sorted(wanted - set(ids)), "not in the table"),
    )


def _meant(label: str, *, where: str) -> bool:
    word = label.casefold()
    if word not in _YES | _NO:
        raise InputError(f"{where}: the label is {label!r}; write 1 where the target is on the slide, else 0.")
    return word in _YES


def _from_reads(settings: Settings, slides: tuple[SlideRecord, ...]) -> SlideLabels:
    by_case = by_case_of(slides)
    with open_log(settings) as database, reading(database):
        target, left_out = to_slides(*department_verdicts(database, tuple(by_case)), by_case)
    return SlideLabels("the pathologists' reads, given before the model was shown", target, left_out=left_out)


def _from_truth(slides: tuple[SlideRecord, ...]) -> SlideLabels:
    found = {slide.slide_id: _truth_beside(Path(slide.path).with_suffix(".geojson")) for slide in slides}
    return SlideLabels(
        "the planted truth of phantom slides",
        {slide_id: value for slide_id, value in found.items() if value is not None},
        left_out={slide_id: "no truth beside it" for slide_id, value in found.items() if value is None},
    )


def _truth_beside(path: Path) -> bool | None:
    """Return whether a phantom's truth holds tumour; None where there is no truth."""
    try:
        about = path.stat()
    except OSError:
        return None
    return _has_tumour(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4096)
def _has_tumour(path: Path, _changed_ns: int, _size: int) -> bool | None:
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        return any(feature["properties"]["classification"]["name"] == TUMOUR for feature in features)
    except (OSError, ValueError, KeyError, TypeError):
        return None
