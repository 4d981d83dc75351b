"""Saying which column of a table of reads is what, beginning with a guess."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from core.services.imports.uploads import Layout, ReadsMapping, Upload, guess_mapping
from pages.parts.common.table_upload import column_choice

_LAYOUTS = {Layout.WIDE: "A row a case, a column a reader", Layout.LONG: "A row a read"}
_OPTIONAL = {
    "confidence": ("Confidence", "1 (guess) to 5 (certain)."),
    "stage": ("Before or after the model", "before_model or after_model; without it all reads are before."),
    "grade": ("Grade in words", "Kept with the read."),
    "text": ("Note", "Kept with the read."),
    "role": ("Role", "primary, second, adjudicator, consensus or report."),
    "blinded": ("Blinded to the model", "yes or no."),
    "submitted_at": ("Time", "2026-05-31T14:05:00Z; without a time zone it is UTC."),
    "seconds": ("Seconds on the case", "How long the read took."),
}


def choose_mapping(upload: Upload, *, key: str, with_model: bool, all_fields: bool) -> ReadsMapping:
    """Show the choices and return the mapping they say.

    Args:
        upload: The table.
        key: Part of the widgets' keys.
        with_model: Whether a column or reader may be the model.
        all_fields: Whether every field of a read can be mapped, or only what agreement needs.
    """
    columns, guess = list(upload.table.columns), guess_mapping(upload.table)
    name = f"{key}_{upload.sha256[:12]}"
    left, right = st.columns([2, 3], gap="medium")
    with left:
        layout = st.segmented_control(
            "How the reads lie in the table",
            list(_LAYOUTS),
            default=guess.layout,
            required=True,
            format_func=_LAYOUTS.__getitem__,
            key=f"{name}_layout",
        )
        case = column_choice(
            "Case", columns, guess=guess.case, key=f"{name}_case", help="The column that names the case."
        )
    with right:
        if layout is Layout.WIDE:
            return _wide(columns, guess, case=case or columns[0], name=name, with_model=with_model)
        return _long(upload, guess, case=case or columns[0], name=name, with_model=with_model, all_fields=all_fields)


def _wide(columns: list[str], guess: ReadsMapping, *, case: str, name: str, with_model: bool) -> ReadsMapping:
    others = [column for column in columns if column != case]
    readers = st.multiselect(
        "Columns of the readers",
        others,
        default=[one for one in guess.readers if one in others],
        key=f"{name}_readers",
        help="One column a reader; its cells are what that reader said of each case.",
    )
    model = None
    if with_model:
        model = column_choice(
            "Column of the model (optional)",
            others,
            guess=None,
            key=f"{name}_model",
            help="Taken as one more reader and shown apart.",
            optional=True,
        )
    return ReadsMapping(
        case=case, layout=Layout.WIDE, readers=tuple(one for one in readers if one != model), model=model
    )


def _long(
    upload: Upload, guess: ReadsMapping, *, case: str, name: str, with_model: bool, all_fields: bool
) -> ReadsMapping:
    columns = list(upload.table.columns)
    with st.container(horizontal=True):
        reader = column_choice(
            "Reader", columns, guess=guess.reader, key=f"{name}_reader", help="The column that names who read."
        )
        category = column_choice(
            "Result", columns, guess=guess.category, key=f"{name}_category", help="The column with what was said."
        )
    wanted = list(_OPTIONAL) if all_fields else ["confidence", "stage"]
    chosen: dict[str, str | None] = {}
    with st.expander("More columns", icon=":material/view_column:"), st.container(horizontal=True):
        for field in wanted:
            label, told = _OPTIONAL[field]
            with st.container(width=220):
                chosen[field] = column_choice(
                    label,
                    columns,
                    guess=getattr(guess, field),
                    key=f"{name}_{field}",
                    help=told,
                    optional=True,
                )
    model = None
    if with_model and reader is not None:
        model = column_choice(
            "The reader that is the model (optional)",
            sorted(set(upload.table.column(reader)) - {""}),
            guess=None,
            key=f"{name}_long_model",
            help="Taken as one more reader and shown apart.",
            optional=True,
        )
    found = ReadsMapping(case=case, layout=Layout.LONG, reader=reader, category=category, model=model)
    return replace(found, **chosen)
