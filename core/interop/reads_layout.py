"""Where the reads lie in a table: which columns are readers, and what the other columns mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.errors import InputError
from core.interop.csv_table import CsvTable

MOST_CATEGORIES = 20
"""A column with more different values than this is not taken for a reader's categories."""

OPTIONAL_FIELDS = ("grade", "confidence", "text", "stage", "role", "blinded", "submitted_at", "seconds")
"""Fields of a read that a long table may have beside case, reader and category."""

_READER_NAMES = ("reader", "pathologist", "observer", "rater", "annotator", "system")
_CATEGORY_NAMES = ("category", "grade", "diagnosis", "read", "score", "value")
_CONFIDENCE_NAMES = ("confidence", "certainty")


class Layout(StrEnum):
    """How the reads lie in the table."""

    AUTO = "auto"
    """Long if there is a column of readers and one of categories, else wide."""
    WIDE = "wide"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class ReadsMapping:
    """Which column is what. Names that are None are looked for under their usual names (long) or not read (wide)."""

    case: str = "case"
    layout: Layout = Layout.AUTO
    readers: tuple[str, ...] = ()
    """Wide: the columns of the readers; empty = found by `reader_columns`."""
    model: str | None = None
    """Wide: a column with the model's category. Long: the name of the reader that is the model."""
    reader: str | None = None
    category: str | None = None
    grade: str | None = None
    confidence: str | None = None
    text: str | None = None
    stage: str | None = None
    """Column with before_model or after_model; None = before_model."""
    role: str | None = None
    """Column with primary, second, adjudicator, consensus or report."""
    blinded: str | None = None
    """Column with yes or no: whether the reader was blinded to the model."""
    submitted_at: str | None = None
    """Column with the time of the read in ISO 8601; without a time zone it is UTC."""
    seconds: str | None = None
    """Column with the seconds spent on the case."""

    def named_columns(self) -> dict[str, str]:
        """Return field -> column of the fields of a long table for which a column is named."""
        return {
            field: column
            for field in ("case", "reader", "category", *OPTIONAL_FIELDS)
            if (column := getattr(self, field)) is not None
        }


def resolve(table: CsvTable, mapping: ReadsMapping) -> ReadsMapping:
    """Return the mapping with layout and columns decided, all of which the table has.

    Raises:
        InputError: as `parse`.
    """
    try:
        table.position(mapping.case)
    except InputError as err:
        raise InputError(f"{err} Say which of them names the case.") from err
    reader = mapping.reader or _usual(table, _READER_NAMES)
    category = mapping.category or _usual(table, tuple(n for n in _CATEGORY_NAMES if n != mapping.case))
    if mapping.layout is Layout.AUTO:
        is_long = mapping.reader is not None or (reader is not None and category is not None and not mapping.readers)
        layout = Layout.LONG if is_long else Layout.WIDE
    else:
        layout = mapping.layout
    if layout is Layout.WIDE:
        readers = mapping.readers or reader_columns(table, case=mapping.case, model=mapping.model)
        return replace(mapping, layout=layout, readers=tuple(r for r in readers if r != mapping.model))
    if reader is None or category is None:
        missing = "the reader" if reader is None else "the category"
        raise InputError(f"No column of {table.name} names {missing}. It has {', '.join(table.columns)}.")
    confidence = mapping.confidence or _usual(table, _CONFIDENCE_NAMES)
    return replace(mapping, layout=layout, reader=reader, category=category, confidence=confidence)


def reader_columns(table: CsvTable, *, case: str, model: str | None = None) -> tuple[str, ...]:
    """Return the columns of a wide table that look like readers.

    A reader's column holds few different words or whole numbers. Where several such columns share a name and differ in
    a number (reader_1, reader_2 ...; IB1, IB2 ...), the largest of these families is taken; else all such columns.

    Raises:
        InputError: there are fewer than two; the sentence says how to name them.
    """
    usable = [name for name in table.columns if name not in (case, model) and _is_categorical(table.column(name))]
    families: dict[str, list[str]] = {}
    for name in usable:
        stem = re.fullmatch(r"(.*?)\d+", name)
        if stem is not None:
            families.setdefault(stem.group(1), []).append(name)
    largest = max(families.values(), key=len, default=list[str]())
    readers = largest if len(largest) >= 2 else usable
    if len(readers) + (model is not None) < 2:
        raise InputError(
            f"No columns of readers were found in {table.name}, which has {', '.join(table.columns)}. Name them (wide "
            "table), or name the columns with the reader and the category (long table)."
        )
    return tuple(readers)


def is_number(text: str) -> bool:
    """Say whether a cell is a finite number."""
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text.strip(), re.IGNORECASE) is not None


def _is_categorical(cells: Sequence[str]) -> bool:
    values = {cell for cell in cells if cell}
    if not values or len(values) > MOST_CATEGORIES:
        return False
    return not all(is_number(value) for value in values) or all(float(value).is_integer() for value in values)


def _usual(table: CsvTable, names: Sequence[str]) -> str | None:
    lower = {column.casefold(): column for column in table.columns}
    return next((lower[name] for name in names if name in lower), None)
