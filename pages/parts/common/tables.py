"""Tables as files to take away."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pandas as pd

from core.domain import NOT_FOR_DIAGNOSIS
from pages.parts.common.frame import PHANTOM_SENTENCE


def csv_bytes(table: pd.DataFrame, *, notes: Iterable[str] = ()) -> bytes:
    """Return a table as CSV (UTF-8 with a mark for spreadsheets), under the two sentences and further notes."""
    text = io.StringIO()
    text.write(f"# {NOT_FOR_DIAGNOSIS} {PHANTOM_SENTENCE}\n")
    text.writelines(f"# {note}\n" for note in notes)
    table.to_csv(text, index=False)
    return text.getvalue().encode("utf-8-sig")


def harmless(value: object) -> object:
    """Return a cell of an export; text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and len(value) > 1 and value[0] in "=+-@\t\r" else value
