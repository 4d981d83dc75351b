"""Tables of reads: wide (a row a case, a column a reader) or long (a row a read), with every bad row named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.interop.csv_table import CsvRow, CsvTable
from core.interop.reads_details import NO_DETAILS, ReadDetails, details_of, problems_of_details
from core.interop.reads_layout import Layout, ReadsMapping, resolve
from core.schemes import INDETERMINATE, Scheme


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One read of a file."""

    row: int
    """As a spreadsheet counts."""
    case: str
    reader: str
    category: str
    """The scheme's code, `INDETERMINATE`, or without a scheme the cell as it stands."""
    details: ReadDetails = NO_DETAILS

    @property
    def after_model(self) -> bool:
        """Whether the reader had seen the model's result."""
        return self.details.after_model

    @property
    def confidence(self) -> int | None:
        """1 (guess) to 5 (certain), where it is stated."""
        return self.details.confidence


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a read cannot be taken."""

    row: int
    column: str
    message: str
    """A sentence."""


@dataclass(frozen=True, slots=True)
class ParsedReads:
    """What a file holds."""

    layout: Layout
    """WIDE or LONG."""
    readers: tuple[str, ...]
    """In order of their columns or first appearance, the model last."""
    rows: tuple[ReadRow, ...]
    errors: tuple[RowError, ...]
    empty: int
    """Cells without a read (wide) or rows without a category (long); not an error."""
    cases: tuple[str, ...]
    """All cases of the file, those without a read too."""
    left_out: tuple[str, ...]
    """Columns that were not read."""


def parse(table: CsvTable, mapping: ReadsMapping, *, scheme: Scheme | None = None) -> ParsedReads:
    """Return the reads of a table, and an error for each that cannot be taken; good rows do not hide bad ones.

    Args:
        table: The file.
        mapping: Which column is what.
        scheme: What a cell may say; None = anything.

    Raises:
        InputError: a column of the mapping is missing, or no column of readers can be found.
    """
    found = resolve(table, mapping)
    return _parse_long(table, found, scheme) if found.layout is Layout.LONG else _parse_wide(table, found, scheme)


def _parse_wide(table: CsvTable, mapping: ReadsMapping, scheme: Scheme | None) -> ParsedReads:
    names = (*mapping.readers, *((mapping.model,) if mapping.model else ()))
    places = [table.position(name) for name in names]
    case_at = table.position(mapping.case)
    rows: list[ReadRow] = []
    errors: list[RowError] = []
    seen: dict[str, int] = {}
    empty = 0
    for row in table.rows:
        case = row.cells[case_at]
        problem = _case_problem(case, row, seen)
        if problem:
            errors.append(RowError(row.number, mapping.case, problem))
            continue
        for name, place in zip(names, places, strict=True):
            cell = row.cells[place]
            if not cell:
                empty += 1
                continue
            code = _code(cell, scheme)
            if code is None:
                errors.append(RowError(row.number, name, _no_category(cell, scheme)))
            else:
                rows.append(ReadRow(row.number, case, name, code))
    used = {mapping.case, *names}
    return ParsedReads(
        layout=Layout.WIDE,
        readers=names,
        rows=tuple(rows),
        errors=tuple(errors),
        empty=empty,
        cases=tuple(seen),
        left_out=tuple(name for name in table.columns if name not in used),
    )


def _case_problem(case: str, row: CsvRow, seen: dict[str, int]) -> str:
    if not case:
        return "The case is not named."
    first = seen.setdefault(case, row.number)
    return "" if first == row.number else f"Case {case} is already in row {first}; a wide table has one row a case."


def _parse_long(table: CsvTable, mapping: ReadsMapping, scheme: Scheme | None) -> ParsedReads:
    columns = mapping.named_columns()
    places = {field: table.position(column) for field, column in columns.items()}
    rows: list[ReadRow] = []
    errors: list[RowError] = []
    cases: dict[str, None] = {}
    empty = 0
    for row in table.rows:
        cells = {field: row.cells[place] for field, place in places.items()}
        if cells["case"]:
            cases.setdefault(cells["case"])
        problems = list(_problems(cells, scheme))
        errors += [RowError(row.number, columns[field], message) for field, message in problems]
        if not cells["category"]:
            empty += 1
        elif not problems:
            code = _code(cells["category"], scheme) or ""
            rows.append(ReadRow(row.number, cells["case"], cells["reader"], code, details_of(cells)))
    return ParsedReads(
        layout=Layout.LONG,
        readers=_model_last(dict.fromkeys(row.reader for row in rows), mapping.model),
        rows=tuple(rows),
        errors=tuple(errors),
        empty=empty,
        cases=tuple(cases),
        left_out=tuple(name for place, name in enumerate(table.columns) if place not in places.values()),
    )


def _problems(cells: Mapping[str, str], scheme: Scheme | None) -> Iterator[tuple[str, str]]:
    for field, words in (("case", "The case is not named."), ("reader", "The reader is not named.")):
        if not cells[field]:
            yield field, words
    if cells["category"] and _code(cells["category"], scheme) is None:
        yield "category", _no_category(cells["category"], scheme)
    yield from problems_of_details(cells)


def _code(cell: str, scheme: Scheme | None) -> str | None:
    if scheme is not None:
        return scheme.code_of(cell)
    plain = cell.strip()
    return INDETERMINATE if plain.casefold() == INDETERMINATE else plain


def _no_category(cell: str, scheme: Scheme | None) -> str:
    known = f"{', '.join(scheme.codes)} or {INDETERMINATE}" if scheme else "a category"
    return f"{cell!r} is none of {known}."


def _model_last(readers: dict[str, None], model: str | None) -> tuple[str, ...]:
    people = tuple(reader for reader in readers if reader != model)
    return (*people, model) if model is not None and model in readers else people
