"""Import: reads and predictions of others from a table; columns are mapped, every row is checked, then all or none."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.roles import Permission
from core.services.agreement.read_tables import Duplicates
from core.services.imports.predictions import import_prediction_table
from core.services.imports.reads import PLAIN, import_read_table
from core.services.imports.uploads import Layout, with_prefix, with_words
from core.services.rules.scheme_library import list_schemes
from core.vocabulary import ReadRole
from pages.parts.common.reads_mapping import choose_mapping
from pages.parts.common.session import current_settings, require_permission
from pages.parts.common.table_upload import show_preview, upload_tables
from pages.parts.consultations.words import ROLES
from pages.parts.imports.table_import import (
    DUPLICATES,
    SUPERSEDE,
    check_and_import,
    choose_prediction_columns,
    choose_words,
    likely_scheme,
    show_done,
    show_history,
)

READS, PREDICTIONS = "Reads", "Predictions of another system"
NOUNS = {READS: "reads", PREDICTIONS: "predictions"}
USUAL = "First of a case primary, others second"

user = require_permission(Permission.IMPORT_READS)
settings = current_settings()

st.title("Import")
what = str(
    st.segmented_control("What", list(NOUNS), default=READS, required=True, key="import_what", bind="query-params")
)
show_done(NOUNS[what])
uploads = upload_tables(
    "Table (CSV)",
    key=f"import_{what}",
    help="Wide (a row a case) or long (a row a read or class). Commas, semicolons or tabs; up to 50 MB.",
)
if not uploads:
    st.caption(
        f"You say what the columns of the table mean, and check every row before anything is written. {SUPERSEDE}"
    )
    show_history(settings, user=user)
    st.stop()

upload = uploads[0]
show_preview(upload, key=f"import_preview_{upload.sha256[:12]}")
schemes = {one.scheme.name: one.scheme for one in list_schemes(settings)}
with st.container(border=True):
    if what == READS:
        mapping = choose_mapping(upload, key="import", with_model=False, all_fields=True)
        columns = mapping.readers if mapping.layout is Layout.WIDE else (mapping.category,) if mapping.category else ()
        ordered = sorted(schemes, key=lambda one: (one != PLAIN, schemes[one].title))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = str(
                st.selectbox(
                    "Reading scheme",
                    ordered,
                    index=ordered.index(likely_scheme(upload, columns, {one: schemes[one] for one in ordered})),
                    format_func=lambda one: schemes[one].title,
                    key=f"import_scheme_{upload.sha256[:12]}",
                    width=300,
                    help="What the results may be. Codes, titles and usual other spellings are understood.",
                )
            )
            prefix = st.text_input(
                "Prefix of the cases (optional)",
                key="import_prefix",
                max_chars=40,
                width=230,
                help="Put before every case id: case 7 of one study is not case 7 of another.",
            )
            role = st.selectbox(
                "Role of the reads",
                [USUAL, *ReadRole],
                format_func=lambda one: ROLES.get(one, one),
                key="import_role",
                width=320,
                help="For rows whose role the table does not state.",
            )
            duplicates = st.selectbox(
                "Another read of the same reader and case",
                list(DUPLICATES),
                format_func=DUPLICATES.__getitem__,
                key="import_duplicates",
                width=300,
                help="Where the table has two that differ.",
            )
            add_cases = st.toggle(
                "Add cases that are not in the log", key="import_add_cases", help="Without it they are errors."
            )
        words = choose_words(upload, mapping, schemes[name])
        ready = (
            bool(mapping.readers) if mapping.layout is Layout.WIDE else None not in (mapping.reader, mapping.category)
        )
    else:
        predictions = choose_prediction_columns(upload)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            system = st.text_input("Name of the system", key="import_system", max_chars=80, width=240)
            version = st.text_input(
                "Its version",
                key="import_version",
                max_chars=40,
                width=160,
                help="Two versions of a system stay apart.",
            )
            add_cases = st.toggle(
                "Add cases that are not in the log", key="import_add_cases", help="Without it they are errors."
            )
        ready = predictions is not None and bool((system or "").strip()) and bool((version or "").strip())

if not ready:
    st.info("Choose the columns above" + (", and name the system and its version." if what == PREDICTIONS else "."))
elif what == READS:
    run = partial(
        import_read_table,
        settings,
        with_prefix(with_words(upload.table, columns, words), mapping.case, (prefix or "").strip()),
        mapping,
        scheme=None if name == PLAIN else schemes[name],
        role=None if role == USUAL else ReadRole(role),
        duplicates=Duplicates(duplicates),
        add_cases=add_cases,
        actor=user.actor,
    )
    check_and_import(
        lambda dry_run: run(dry_run=dry_run),
        content={"file": upload.sha256, "numbers": upload.decimal_comma, "encoding": upload.encoding}
        | {"mapping": mapping, "scheme": name, "role": role, "add": add_cases}
        | {"words": words, "prefix": prefix, "duplicates": duplicates},
        noun=NOUNS[what],
    )
elif predictions is not None:
    load = partial(
        import_prediction_table,
        settings,
        upload.table,
        predictions,
        system=system or "",
        version=version or "",
        add_cases=add_cases,
        actor=user.actor,
    )
    check_and_import(
        lambda dry_run: load(dry_run=dry_run),
        content={"file": upload.sha256, "numbers": upload.decimal_comma, "encoding": upload.encoding}
        | {"mapping": predictions, "system": system, "version": version, "add": add_cases},
        noun=NOUNS[what],
    )
    st.caption("On a case that nobody has read, and for who is asked to read it blind, predictions stay hidden.")
