"""A table out of the bytes of an uploaded file: what spreadsheets of other countries write is read, too."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from core.errors import InputError
from core.interop.csv_table import CsvRow, CsvTable, parse_csv

SIZE_LIMIT = 50_000_000
"""Bytes; a table of a million reads has about 40 MB."""
ENCODINGS = ("utf-8", "utf-16", "windows-1252")
"""What a file may be written in, beside finding it out."""

_MAGIC: Mapping[bytes, str] = {
    b"PK\x03\x04": "an Excel or other zipped file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite format 3": "a database",
}
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class Upload:
    """A table and how it was read."""

    table: CsvTable
    encoding: str
    decimal_comma: bool
    """Whether numbers were written with a comma; in the table they have points."""
    sha256: str
    """Of the bytes."""


def read_upload(data: bytes, *, name: str, encoding: str | None = None, decimal_comma: bool | None = None) -> Upload:
    """Return the table in some bytes.

    Args:
        data: The file's content.
        name: For messages.
        encoding: One of `ENCODINGS`; None = found out: UTF-16 by its mark, UTF-8 where that fits, else Windows-1252.
        decimal_comma: Whether 0,5 is a half; None = where cells are not separated by commas and a column's numbers are
            written so.

    Raises:
        InputError: it is too large, no text, or no table; the sentence says what it looks like.
    """
    if len(data) > SIZE_LIMIT:
        raise InputError(
            f"{name} has {len(data) / 1e6:.0f} MB; at most {SIZE_LIMIT / 1e6:.0f} MB can be uploaded. Use "
            "`second-read import-reads` or `import-predictions` on the machine instead."
        )
    looks = next((words for magic, words in _MAGIC.items() if data.startswith(magic)), None)
    if looks is not None:
        raise InputError(f"{name} is {looks}, no CSV table. Save it as 'CSV UTF-8'.")
    used = encoding or _encoding_of(data)
    try:
        text = data.decode("utf-8-sig" if used == "utf-8" else used)
    except UnicodeDecodeError as err:
        raise InputError(
            f"{name} is not written in {used}. Choose another encoding, or save it as 'CSV UTF-8'."
        ) from err
    if "\x00" in text:
        raise InputError(f"{name} is no text file: it holds zero bytes. Save the table as 'CSV UTF-8'.")
    table = parse_csv(text, name=name)
    commas = _comma_columns(table) if decimal_comma is None else frozenset(range(len(table.columns)))
    if decimal_comma is False or (decimal_comma is None and table.delimiter == ","):
        commas = frozenset[int]()
    pointed = _with_points(table, commas) if commas else table
    return Upload(pointed, used, pointed != table, hashlib.sha256(data).hexdigest())


def with_words(table: CsvTable, columns: Collection[str], words: Mapping[str, str]) -> CsvTable:
    """Return the table with cells of some columns replaced: what a file says -> what a scheme or the log says."""
    places = {table.position(column) for column in columns}
    if not words:
        return table
    rows = tuple(
        CsvRow(row.number, tuple(words.get(cell, cell) if at in places else cell for at, cell in enumerate(row.cells)))
        for row in table.rows
    )
    return replace(table, rows=rows)


def with_prefix(table: CsvTable, column: str, prefix: str) -> CsvTable:
    """Return the table with a prefix before every name in a column: case ids of one study are not those of another."""
    if not prefix:
        return table
    place = table.position(column)
    rows = tuple(
        CsvRow(
            row.number,
            tuple(f"{prefix}{cell}" if at == place and cell else cell for at, cell in enumerate(row.cells)),
        )
        for row in table.rows
    )
    return replace(table, rows=rows)


def _encoding_of(data: bytes) -> str:
    if data.startswith(_UTF16_MARKS):
        return "utf-16"
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"


def _comma_columns(table: CsvTable) -> frozenset[int]:
    """Return the columns that hold nothing but numbers, at least one of them with a comma."""
    found: set[int] = set()
    for place in range(len(table.columns)):
        cells = [row.cells[place] for row in table.rows if row.cells[place]]
        written = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
        if written and all(_DECIMAL_COMMA.fullmatch(cell) or _WHOLE.fullmatch(cell) for cell in cells):
            found.add(place)
    return frozenset(found)


def _with_points(table: CsvTable, places: Collection[int]) -> CsvTable:
    rows = tuple(
        CsvRow(
            row.number,
            tuple(
                cell.replace(",", ".") if at in places and _DECIMAL_COMMA.fullmatch(cell) else cell
                for at, cell in enumerate(row.cells)
            ),
        )
        for row in table.rows
    )
    return replace(table, rows=rows)
