"""What the columns of a table of reads probably are, as a first offer for whoever maps them."""

from __future__ import annotations

from dataclasses import replace

from core.errors import InputError
from core.interop.csv_table import CsvTable
from core.interop.reads_layout import MOST_CATEGORIES, OPTIONAL_FIELDS, Layout, ReadsMapping, resolve

_CASE_NAMES = ("case", "case_id", "biopsy", "slide", "roi", "specimen", "id", "accession", "block")
_ALIKE: dict[str, tuple[str, ...]] = {
    "confidence": ("confidence", "certainty"),
    "text": ("text", "note", "comment", "remark"),
    "stage": ("stage",),
    "role": ("role",),
    "blinded": ("blinded", "blind"),
    "submitted_at": ("submitted_at", "time", "date", "created", "read_at"),
    "seconds": ("seconds", "duration"),
    "grade": ("grade",),
}


def guess_case(table: CsvTable) -> str:
    """Return the column that probably names the case: a usual name, else the first column."""
    lower = {name.casefold(): name for name in table.columns}
    return next((lower[name] for name in _CASE_NAMES if name in lower), table.columns[0])


def guess_mapping(table: CsvTable) -> ReadsMapping:
    """Return a mapping of which every column is in the table; its layout is wide or long, never left open."""
    case = guess_case(table)
    lower = {name.casefold(): name for name in table.columns}
    repeats = len(set(table.column(case))) < len(table.rows)
    try:
        found = resolve(table, ReadsMapping(case=case))
    except InputError:
        found = ReadsMapping(case=case, layout=Layout.WIDE)
    if found.layout is Layout.WIDE and not repeats:
        return found
    if found.layout is Layout.WIDE:
        found = ReadsMapping(case=case, reader=lower.get("reader"))
    taken = {found.case, found.reader, found.category}
    fields: dict[str, str | None] = {}
    for field in OPTIONAL_FIELDS:
        column = next((lower[name] for name in _ALIKE[field] if name in lower and lower[name] not in taken), None)
        fields[field] = column
        taken.add(column)
    return replace(ReadsMapping(case=case, layout=Layout.LONG, reader=found.reader, category=found.category), **fields)


def words_in(table: CsvTable, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the different cells of some columns, sorted; none where they are more than words of a scheme would be."""
    words = sorted({cell for column in columns for cell in table.column(column) if cell})
    return tuple(words) if len(words) <= MOST_CATEGORIES else ()
