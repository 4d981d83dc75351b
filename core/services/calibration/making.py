"""Calibration files made here: from a table of labelled scores, or from the cases that this department resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain import ReadCategory
from core.errors import InputError
from core.interop.csv_table import CsvTable, parse_csv
from core.interop.scores_csv import match_labels, read_labelled_scores
from core.roles import Permission
from core.services.calibration.coverage import deciding_runs, positive_classes
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.models_seen import SeenModel, seen_models
from core.uncertainty import Calibration, calibrate
from core.uncertainty.monitoring import EVERYTHING, CalibrationFile, Group, calibration_text

__all__ = [
    "Columns",
    "SeenModel",
    "calibration_from_resolved",
    "calibration_from_table",
    "list_seen_models",
    "table_columns",
]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table hold what."""

    label: str
    scores: tuple[str, ...]
    """In the order of the model's classes."""
    site: str | None = None
    scanner: str | None = None


def list_seen_models(settings: Settings, *, actor: str) -> tuple[SeenModel, ...]:
    """Return the models that have judged slides here, the one used last first.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        return seen_models(database)


def table_columns(text: str) -> tuple[str, ...]:
    """Return the columns of a CSV text.

    Raises:
        InputError: it is no table.
    """
    return parse_csv(text, name="The table").columns


def calibration_from_table(text: str, *, model: SeenModel, columns: Columns) -> str:
    """Return a calibration file out of a table with one labelled case a row.

    Every site, scanner and pair of them that has cases of every class gets a calibration of its own beside the one of
    all cases.

    Args:
        text: CSV.
        model: Whose probabilities they are.
        columns: Which columns hold what; labels are matched to the score columns as `second-read conformal` does.

    Raises:
        InputError: a column, cell or label cannot be used; the sentence says which.
    """
    if len(columns.scores) != len(model.classes):
        raise InputError(f"{model.model} has the classes {', '.join(model.classes)}: choose one score column for each.")
    table = parse_csv(text, name="The table")
    values = table.column(columns.label)
    meanings = match_labels(values, label=columns.label, scores=columns.scores)
    found = read_labelled_scores(table, label=columns.label, scores=columns.scores, meanings=meanings)
    groups = [Group(site, scanner) for site, scanner in _origins(table, columns)]
    return _file_of(model, found.probabilities, found.labels, groups)


def calibration_from_resolved(settings: Settings, weights_sha256: str, *, actor: str) -> str:
    """Return a calibration file out of the resolved cases, each by the slide that decides it.

    A resolution says benign or malignant, so this serves models of two classes of which one is the target.

    Raises:
        NotAllowedError: the actor may not change rules.
        NotFoundError: no such model has judged slides here.
        InputError: the model has other classes, or a class has no resolved case.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.MANAGE_RULES)
        model = next((one for one in seen_models(database) if one.weights_sha256 == weights_sha256), None)
        found = deciding_runs(database, actor=actor)
    if model is None:
        raise InputError("No model of these weights has judged slides here.")
    rows: list[list[float]] = []
    labels: list[int] = []
    groups: list[Group] = []
    for run, category in found:
        positive = [name for name in model.classes if name in positive_classes(run)]
        scores = run.scores.get(run.decision or "", {})
        if run.weights_sha256 != weights_sha256 or not set(model.classes) <= set(scores):
            continue
        if len(model.classes) != 2 or len(positive) != 1:
            raise InputError(f"{model.model} has other classes than a target and the rest: use a table of its scores.")
        rows.append([scores[name] for name in model.classes])
        target = model.classes.index(positive[0])
        labels.append(target if category is ReadCategory.MALIGNANT else 1 - target)
        groups.append(Group(run.site, run.scanner))
    if not rows:
        raise InputError("No resolved case of this model yet. Resolve second opinions, or use a table of its scores.")
    return _file_of(model, np.array(rows, np.float64), np.array(labels, np.intp), groups)


def _origins(table: CsvTable, columns: Columns) -> Iterable[tuple[str | None, str | None]]:
    none = ("",) * len(table.rows)
    sites = none if columns.site is None else table.column(columns.site)
    scanners = none if columns.scanner is None else table.column(columns.scanner)
    return [(site or None, scanner or None) for site, scanner in zip(sites, scanners, strict=True)]


def _file_of(
    model: SeenModel, probabilities: NDArray[np.float64], labels: NDArray[np.intp], origins: Sequence[Group]
) -> str:
    groups: dict[Group, Calibration] = {EVERYTHING: calibrate(probabilities, labels, classes=model.classes)}
    wanted = [*origins, *(Group(None, one.scanner) for one in origins), *(Group(one.site, None) for one in origins)]
    for group in dict.fromkeys(one for one in wanted if one != EVERYTHING):
        own = np.array([_within(origin, group) for origin in origins])
        if set(labels[own].tolist()) == set(range(len(model.classes))):
            groups[group] = calibrate(probabilities[own], labels[own], classes=model.classes)
    return calibration_text(CalibrationFile(model.model, model.weights_sha256, _sorted(groups)))


def _sorted(groups: Mapping[Group, Calibration]) -> dict[Group, Calibration]:
    return dict(sorted(groups.items(), key=lambda one: (one[0] != EVERYTHING, str(one[0]))))


def _within(origin: Group, group: Group) -> bool:
    return group.site in (None, origin.site) and group.scanner in (None, origin.scanner)
