"""Pieces of the import page: what an import says of a table, which words mean what, what came in before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from core.errors import SecondReadError
from core.server.identity import User
from core.services.agreement.read_tables import Duplicates
from core.services.imports.history import imported_files
from core.services.imports.report import ImportReport
from core.services.imports.uploads import Layout, PredictionsMapping, ReadsMapping, Upload, guess_case, words_in
from core.services.rules.scheme_library import Scheme
from core.settings import Settings
from pages.parts.common.badges import time_in_words
from pages.parts.common.table_upload import column_choice
from pages.parts.common.tables import harmless

DUPLICATES = {
    Duplicates.REFUSE: "Is an error",
    Duplicates.FIRST: "The first counts",
    Duplicates.LAST: "The last counts",
}
"""What to do where one reader read a case twice with different results."""
_CHECKED = "import_checked"
_DONE = "import_done"
_SHOWN_ERRORS = 500
_MOST_AT_ONCE = 50_000
"""Rows that the page writes; more take minutes in which nobody else can record anything."""
_MEANS_ITSELF = "as it stands"
SUPERSEDE = (
    "Nothing is ever deleted. To correct an import, correct the table and import it again: what is the same stays, and "
    "another result of the same imported reader supersedes the earlier one, which stays in the log."
)

Import = Callable[[bool], ImportReport]
"""Runs the import; True = only say what would happen."""


def likely_scheme(upload: Upload, columns: Sequence[str], schemes: Mapping[str, Scheme]) -> str:
    """Return the first scheme that knows every word in some columns, bins of numbers last; as a first offer."""
    words = words_in(upload.table, tuple(columns))
    ordered = sorted(schemes, key=lambda name: schemes[name].is_binned)
    knowing = (name for name in ordered if words and all(schemes[name].code_of(word) for word in words))
    return next(knowing, next(iter(schemes)))


def choose_words(upload: Upload, mapping: ReadsMapping, scheme: Scheme) -> dict[str, str]:
    """Let somebody say what words of the table mean that the scheme does not know; word -> code."""
    columns = mapping.readers if mapping.layout is Layout.WIDE else (mapping.category,) if mapping.category else ()
    unknown = [word for word in words_in(upload.table, columns) if scheme.code_of(word) is None]
    if not unknown:
        return {}
    codes = {category.code: category.title for category in scheme.categories} | {"indeterminate": "Indeterminate"}
    st.markdown(
        f"**{len(unknown)} words are not known to {scheme.title}.** Say what they mean, or leave them as errors."
    )
    found: dict[str, str] = {}
    with st.container(horizontal=True):
        for word in unknown:
            chosen = st.selectbox(
                f"{word!r} means",
                [_MEANS_ITSELF, *codes],
                format_func=lambda code: codes.get(code, code),
                key=f"word_{upload.sha256[:12]}_{scheme.name}_{word}",
                width=210,
                help="Only what you choose here is written; the table itself stays as it is.",
            )
            if chosen in codes:
                found[word] = str(chosen)
    return found


def choose_prediction_columns(upload: Upload) -> PredictionsMapping | None:
    """Show which column is what in a table of predictions; None while something is missing."""
    columns, key = list(upload.table.columns), f"predict_{upload.sha256[:12]}"
    left, right = st.columns(2, gap="medium")
    with left:
        wide = st.segmented_control(
            "How the predictions lie in the table",
            ["A row a case, a column a class", "A row a class"],
            default="A row a case, a column a class",
            required=True,
            key=f"{key}_layout",
        )
        guess = guess_case(upload.table)
        case = column_choice("Case", columns, guess=guess, key=f"{key}_case", help="The column that names the case.")
        exclusive = st.toggle(
            "Classes exclude each other",
            value=True,
            key=f"{key}_exclusive",
            help="Then the probabilities of a case sum to 1 at most.",
        )
    others = [column for column in columns if column != case]
    with right:
        label = column_choice(
            "Call of the system (optional)",
            others,
            guess=None,
            key=f"{key}_label",
            help="The column with the class that the system calls.",
            optional=True,
        )
        if str(wide).startswith("A row a case"):
            return _wide_predictions(others, case=case or columns[0], label=label, exclusive=exclusive, key=key)
        with st.container(horizontal=True):
            name = column_choice("Class", others, guess=None, key=f"{key}_class", help="The column with the class.")
            value = column_choice(
                "Probability", others, guess=None, key=f"{key}_value", help="The column with its probability, 0 to 1."
            )
    return PredictionsMapping(
        case=case or columns[0], class_name=name, probability=value, label=label, exclusive=exclusive
    )


def _wide_predictions(
    columns: list[str], *, case: str, label: str | None, exclusive: bool, key: str
) -> PredictionsMapping | None:
    scores = st.multiselect(
        "Columns with probabilities",
        [column for column in columns if column != label],
        key=f"{key}_scores",
        help="One column a class, 0 to 1.",
    )
    if not scores:
        st.caption("Choose at least one column with probabilities.")
        return None
    with st.container(horizontal=True):
        names = [
            st.text_input(
                f"Class of {column}",
                value=column,
                key=f"{key}_name_{column}",
                width=150,
                help="Name the class as the reading scheme does, so that it can be compared with reads.",
            )
            for column in scores
        ]
    classes = [(name or "").strip() for name in names]
    if len(set(classes)) != len(classes) or not all(classes):
        st.warning("Name each class differently.", icon=":material/edit:")
        return None
    return PredictionsMapping(
        case=case, scores=dict(zip(classes, scores, strict=True)), label=label, exclusive=exclusive
    )


def check_and_import(run: Import, *, content: Mapping[str, object], noun: str) -> None:
    """Check a table first; only what was checked so, without an error, can be imported.

    Args:
        run: The import.
        content: What decides what it does, such as the file's digest and the mapping; another content needs a check.
        noun: What is imported.
    """
    signature = hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()
    checked: tuple[str, ImportReport] | None = st.session_state.get(_CHECKED)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Check the table",
            key="import_check",
            icon=":material/fact_check:",
            type="secondary" if checked is not None and checked[0] == signature else "primary",
            help="Reads every row and says what would happen. Nothing is written.",
        ):
            checked = _run(run, signature, dry_run=True) or checked
        current = checked[1] if checked is not None and checked[0] == signature else None
        ready = current is not None and current.dry_run and not current.errors
        ready = ready and current is not None and 0 < current.added <= _MOST_AT_ONCE
        if (
            ready
            and current is not None
            and st.button(
                f"Import {current.added:,} {noun}",
                key="import_run",
                icon=":material/download_done:",
                type="primary",
            )
        ):
            done = _run(run, signature, dry_run=False)
            current = done[1] if done is not None else current
            if current.written:
                st.session_state.pop(_CHECKED, None)
                st.session_state[_DONE] = current
                st.rerun()
    if current is None:
        st.caption("Check the table first. Either all of it is written, or nothing.")
        return
    if current.added > _MOST_AT_ONCE:
        st.warning(
            f"{current.added:,} {noun} take minutes to write, in which nobody else can record anything. Import them on "
            "the machine with `second-read import-reads` or `import-predictions`, when nobody works.",
            icon=":material/hourglass_top:",
        )
    _show_report(current, noun=noun)


def show_done(noun: str) -> None:
    """Say what the import before this run did, once."""
    done: ImportReport | None = st.session_state.pop(_DONE, None)
    if done is None:
        return
    cases = (
        f", and {len(done.cases_added):,} {'case' if len(done.cases_added) == 1 else 'cases'} with them"
        if done.cases_added
        else ""
    )
    st.success(
        f"{done.added:,} {noun} of {done.file} are in the log{cases}. {done.known:,} were there already. {SUPERSEDE}",
        icon=":material/check_circle:",
    )


def show_history(settings: Settings, *, user: User) -> None:
    """Show which files came in before."""
    files = imported_files(settings, actor=user.actor)
    st.subheader("Imported before")
    if not files:
        st.caption("Nothing was imported yet.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "File": [one.file for one in files],
                "What": [one.what for one in files],
                "Rows": [one.rows for one in files],
                "Superseded": [one.superseded for one in files],
                "Cases": [one.cases for one in files],
                "Readers": [one.readers or None for one in files],
                "Last": [time_in_words(one.latest) for one in files],
            }
        ),
        hide_index=True,
        height="content",
        key="import_history",
        placeholder="-",
        alt="Files that were imported",
    )
    st.caption(SUPERSEDE)


def _run(run: Import, signature: str, *, dry_run: bool) -> tuple[str, ImportReport] | None:
    words = "Checking every row..." if dry_run else "Writing; all of it or nothing..."
    try:
        with st.spinner(words):
            report = run(dry_run)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return None
    st.session_state[_CHECKED] = (signature, report)
    return signature, report


def _show_report(report: ImportReport, *, noun: str) -> None:
    with st.container(horizontal=True):
        st.metric(f"{noun.capitalize()} in the table", f"{report.found:,}", width="content")
        st.metric("Would be added", f"{report.added:,}", width="content")
        st.metric("In the log already", f"{report.known:,}", width="content")
        st.metric("Empty cells", f"{report.empty:,}", width="content")
        st.metric("Cases to be added", f"{len(report.cases_added):,}", width="content")
    if not report.errors:
        if report.added == 0:
            st.info(
                "Everything in this table is in the log already; there is nothing to import.", icon=":material/info:"
            )
        return
    what = "1 row or cell" if len(report.errors) == 1 else f"{len(report.errors):,} rows or cells"
    st.error(
        f"{what} cannot be taken, so nothing can be imported. Correct them in the table, or say above what they mean.",
        icon=":material/error:",
    )
    frame = pd.DataFrame(
        {
            "Row": [error.row for error in report.errors],
            "Column": [harmless(error.column) for error in report.errors],
            "Why": [harmless(error.message) for error in report.errors],
        }
    )
    st.dataframe(
        frame.head(_SHOWN_ERRORS),
        hide_index=True,
        height="content" if len(frame) < 12 else 430,
        key="import_errors",
        column_config={"Why": st.column_config.TextColumn(width="large")},
        alt="Rows that cannot be taken, with the reason",
    )
    if len(frame) > _SHOWN_ERRORS:
        st.caption(f"The first {_SHOWN_ERRORS} of {len(frame):,}; the file has all.")
    st.download_button(
        "Errors as CSV",
        frame.to_csv(index=False).encode("utf-8-sig"),
        file_name="second-read-import-errors.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="import_errors_csv",
    )
