"""A CSV file as a table of text: UTF-8, with commas, semicolons or tabs between the cells."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row below the header."""

    number: int
    """As a spreadsheet counts: the header is row 1."""
    cells: tuple[str, ...]
    """As many as there are columns, outer spaces cut off."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Header and rows."""

    name: str
    """For messages."""
    columns: tuple[str, ...]
    rows: tuple[CsvRow, ...]
    delimiter: str = ","
    """Between the cells of the file."""

    def position(self, column: str) -> int:
        """Return the place of a column; without regard to case where that names only one.

        Raises:
            InputError: there is none of that name.
        """
        if column in self.columns:
            return self.columns.index(column)
        alike = [place for place, name in enumerate(self.columns) if name.casefold() == column.casefold()]
        if len(alike) != 1:
            raise InputError(f"{self.name} has no column {column!r}. It has {', '.join(self.columns)}.")
        return alike[0]

    def column(self, column: str) -> tuple[str, ...]:
        """Return the cells of a column.

        Raises:
            InputError: there is none of that name.
        """
        place = self.position(column)
        return tuple(row.cells[place] for row in self.rows)


def read_csv(path: Path) -> CsvTable:
    """Read a CSV file.

    Raises:
        InputError: it cannot be read, is not UTF-8, or is no table; see `parse_csv`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise InputError(f"{path} cannot be read ({err.strerror}). Check the path.") from err
    except UnicodeDecodeError as err:
        raise InputError(f"{path.name} is not UTF-8 text. Save it as 'CSV UTF-8'.") from err
    return parse_csv(text, name=path.name)


def parse_csv(text: str, *, name: str) -> CsvTable:
    """Return the table in a CSV text. Empty rows are left out; short rows are filled with empty cells.

    Raises:
        InputError: there is no header or no row, a column has no name or the name of another, or a row is too long.
    """
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    header = lines[0] if lines else ""
    delimiter = max((",", ";", "\t"), key=header.count)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        columns = tuple(cell.strip() for cell in next(reader, list[str]()))
        _check_columns(columns, name=name)
        rows = tuple(
            CsvRow(reader.line_num, _filled(cells, len(columns), where=f"Row {reader.line_num} of {name}"))
            for cells in reader
            if any(cell.strip() for cell in cells)
        )
    except csv.Error as err:
        raise InputError(f"{name} is no CSV table: {err} (row {reader.line_num}).") from err
    if not rows:
        raise InputError(f"{name} has no rows below its header.")
    return CsvTable(name, columns, rows, delimiter)


def _check_columns(columns: Sequence[str], *, name: str) -> None:
    if not any(columns):
        raise InputError(f"{name} is empty. Its first row must name the columns.")
    for place, column in enumerate(columns, start=1):
        if not column:
            raise InputError(f"Row 1 of {name}: column {place} has no name.")
        if columns.index(column) != place - 1:
            raise InputError(f"Row 1 of {name}: the column {column!r} occurs twice.")


def _filled(cells: Sequence[str], count: int, *, where: str) -> tuple[str, ...]:
    if len(cells) > count:
        raise InputError(
            f"{where} has {len(cells)} cells for {count} columns. Put a cell that holds the separator in double quotes."
        )
    return (*(cell.strip() for cell in cells), *[""] * (count - len(cells)))
