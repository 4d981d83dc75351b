"""Uploading tables: files of any usual encoding, numbers with commas, a look at what was read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.errors import InputError
from core.services.imports.uploads import ENCODINGS, Upload, read_upload

_FOUND_OUT = "Find out"
_DECIMALS = {"Find out": None, "Point (0.5)": False, "Comma (0,5)": True}
_PREVIEW_ROWS = 8


def upload_tables(label: str, *, key: str, help: str, several: bool = False) -> tuple[Upload, ...]:
    """Let somebody choose CSV files, and return those that can be read; of each other one the page says why not.

    Args:
        label: Of the field.
        key: Of the field.
        help: What is expected.
        several: Whether more than one file may be chosen.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.file_uploader(
            label, type=["csv", "tsv", "txt"], accept_multiple_files=several, key=key, help=help, width="stretch"
        )
        encoding = st.selectbox(
            "Written in",
            (_FOUND_OUT, *ENCODINGS),
            key=f"{key}_encoding",
            width=170,
            help="If letters such as ä or é come out wrong, choose the encoding here.",
        )
        decimals = st.selectbox(
            "Numbers with",
            list(_DECIMALS),
            key=f"{key}_decimals",
            width=150,
            help="Whether a half is written 0.5 or 0,5.",
        )
    files = chosen if isinstance(chosen, list) else [chosen] if chosen is not None else []
    return tuple(
        found
        for file in files
        if (
            found := _read(
                file, encoding=None if encoding == _FOUND_OUT else encoding, decimal_comma=_DECIMALS[decimals]
            )
        )
        is not None
    )


def show_preview(upload: Upload, *, key: str) -> None:
    """Show how a table was read and its first rows."""
    table = upload.table
    separator = {",": "commas", ";": "semicolons", "\t": "tabs"}[table.delimiter]
    numbers = ", numbers with commas" if upload.decimal_comma else ""
    size = f"{_counted(len(table.rows), 'row')}, {_counted(len(table.columns), 'column')}"
    st.caption(f"{table.name}: {size}, separated by {separator}, {upload.encoding}{numbers}.")
    rows = [row.cells for row in table.rows[:_PREVIEW_ROWS]]
    st.dataframe(
        pd.DataFrame(rows, columns=list(table.columns), index=[row.number for row in table.rows[:_PREVIEW_ROWS]]),
        key=key,
        height="content",
        alt=f"The first rows of {table.name}",
    )


def column_choice(
    label: str,
    columns: Sequence[str],
    *,
    guess: str | None,
    key: str,
    help: str,
    optional: bool = False,
) -> str | None:
    """Let somebody say which column is what, beginning with a guess; None where there is none."""
    chosen = st.selectbox(
        label,
        columns,
        index=columns.index(guess) if guess in columns else None,
        key=key,
        placeholder="None" if optional else "Choose a column",
        help=help,
    )
    return None if chosen is None else str(chosen)


def _read(file: UploadedFile, *, encoding: str | None, decimal_comma: bool | None) -> Upload | None:
    data = file.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    try:
        return _table(digest, file.name, encoding, decimal_comma=decimal_comma, _data=data)
    except InputError as err:
        st.error(str(err), icon=":material/error:")
        return None


@st.cache_resource(max_entries=6, show_spinner="Reading the table...")
def _table(digest: str, name: str, encoding: str | None, *, decimal_comma: bool | None, _data: bytes) -> Upload:
    """Return the table of some bytes; their digest is the key."""
    del digest
    return read_upload(_data, name=name, encoding=encoding, decimal_comma=decimal_comma)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
