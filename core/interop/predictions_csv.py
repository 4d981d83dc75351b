"""Predictions of other systems: wide (a column a class) or long (a row a class), with every bad row named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError
from core.interop.csv_table import CsvRow, CsvTable
from core.interop.reads_csv import RowError

SUM_TOLERANCE = 0.02
"""How far the probabilities of a case may sum to more than 1: files round them."""


@dataclass(frozen=True, slots=True)
class PredictionsMapping:
    """Which column is what. Either `scores` (wide) or `class_name` and `probability` (long)."""

    case: str = "case"
    scores: Mapping[str, str] | None = None
    """Wide: class -> its column."""
    class_name: str | None = None
    """Long: column with the class."""
    probability: str | None = None
    """Long: column with the probability."""
    label: str | None = None
    """Column with the class that the system calls."""
    exclusive: bool = True
    """Whether the classes exclude each other, so that their probabilities sum to 1 at most."""

    def __post_init__(self) -> None:
        is_long = self.class_name is not None and self.probability is not None
        if bool(self.scores) == is_long:
            raise InputError(
                "Name the columns of the classes (wide table), or the column of the class and that of the probability "
                "(long table)."
            )


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """What the system says about one case."""

    row: int
    """First row of the case, as a spreadsheet counts."""
    case: str
    probabilities: Mapping[str, float]
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedPredictions:
    """What a file holds."""

    rows: tuple[PredictionRow, ...]
    errors: tuple[RowError, ...]


def parse_predictions(table: CsvTable, mapping: PredictionsMapping) -> ParsedPredictions:
    """Return one prediction a case, and an error for each row that cannot be taken.

    Raises:
        InputError: a column of the mapping is missing.
    """
    errors: list[RowError] = []
    first: dict[str, CsvRow] = {}
    found: dict[str, dict[str, float]] = {}
    case_at = table.position(mapping.case)
    label_at = None if mapping.label is None else table.position(mapping.label)
    for row in table.rows:
        case = row.cells[case_at]
        if not case:
            errors.append(RowError(row.number, mapping.case, "The case is not named."))
            continue
        repeated = first.setdefault(case, row).number
        if mapping.scores and repeated != row.number:
            errors.append(RowError(row.number, mapping.case, f"Case {case} is already in row {repeated}."))
            continue
        _take(table, row, mapping, found.setdefault(case, {}), errors)
    errors += _sums(first, found, mapping)
    return ParsedPredictions(
        rows=tuple(
            PredictionRow(row.number, case, found[case], None if label_at is None else row.cells[label_at] or None)
            for case, row in first.items()
            if found[case]
        ),
        errors=tuple(sorted(errors, key=lambda error: error.row)),
    )


def _take(
    table: CsvTable, row: CsvRow, mapping: PredictionsMapping, found: dict[str, float], errors: list[RowError]
) -> None:
    """Add the probabilities in one row to those of its case."""
    if mapping.scores:
        cells = {name: (column, row.cells[table.position(column)]) for name, column in mapping.scores.items()}
    else:
        class_at, at = table.position(mapping.class_name or ""), table.position(mapping.probability or "")
        cells = {row.cells[class_at]: (table.columns[at], row.cells[at])}
    for name, (column, text) in cells.items():
        value = _probability(text)
        if not name:
            errors.append(RowError(row.number, mapping.class_name or column, "The class is not named."))
        elif name in found:
            errors.append(RowError(row.number, column, f"Class {name} of this case is already given."))
        elif value is None:
            errors.append(RowError(row.number, column, f"{text!r} is no probability between 0 and 1."))
        else:
            found[name] = value


def _sums(
    first: Mapping[str, CsvRow], found: Mapping[str, Mapping[str, float]], mapping: PredictionsMapping
) -> list[RowError]:
    if not mapping.exclusive:
        return []
    return [
        RowError(row.number, mapping.case, f"The probabilities of case {case} sum to {sum(found[case].values()):.2f}.")
        for case, row in first.items()
        if sum(found[case].values()) > 1 + SUM_TOLERANCE
    ]


def _probability(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return value if 0 <= value <= 1 else None
