"""Taking in what other systems say about slides: HistoQC's table and GrandQC's masks, checked before they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.errors import SecondReadError
from core.server.identity import User
from core.services.imports.report import ImportReport
from core.services.quality.grandqc import import_grandqc
from core.services.quality.histoqc import import_histoqc
from core.settings import Settings
from pages.parts.common.actions import notify

_HISTOQC, _GRANDQC = "HistoQC results.tsv", "GrandQC masks"
_SHOWN_ERRORS = 200


def show_import_button(settings: Settings, *, user: User) -> None:
    """Offer to take in results of another system."""
    if st.button(
        "Import",
        key="qc_import",
        icon=":material/upload:",
        help="Results of HistoQC or masks of GrandQC, beside our own figures; they replace nothing.",
    ):
        st.dialog("Import quality results", icon=":material/upload:", width="large")(_import)(settings, user)


def _import(settings: Settings, user: User) -> None:
    system = st.segmented_control("From", [_HISTOQC, _GRANDQC], default=_HISTOQC, required=True, key="qc_import_system")
    is_table = system == _HISTOQC
    given = st.file_uploader(
        "results.tsv" if is_table else "Masks, such as case.svs_mask.png",
        type=["tsv", "txt", "csv"] if is_table else ["png"],
        accept_multiple_files=not is_table,
        key=f"qc_import_files_{is_table}",
        help="Slides are found by the names of their files. All rows or masks are taken, or none.",
    )
    uploads = given if isinstance(given, list) else [given] if given is not None else []
    version = "" if is_table else st.text_input("Version of GrandQC, if known", key="qc_import_version", max_chars=40)
    if not uploads:
        return
    try:
        report = _run(settings, uploads, is_table=is_table, version=version or "", dry_run=True, user=user)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    show_import_report(report)
    if st.button(
        f"Import {report.added}",
        key="qc_import_go",
        type="primary",
        icon=":material/check:",
        disabled=bool(report.errors) or not report.added,
    ):
        try:
            done = _run(settings, uploads, is_table=is_table, version=version or "", dry_run=False, user=user)
        except SecondReadError as err:
            st.error(str(err), icon=":material/error:")
            return
        notify(f"{done.added} results are kept beside ours.")
        st.rerun()


def _run(
    settings: Settings, uploads: Sequence[UploadedFile], *, is_table: bool, version: str, dry_run: bool, user: User
) -> ImportReport:
    """Lay the uploads on the disk under their own names for as long as the import needs them."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / Path(upload.name).name for upload in uploads]
        for path, upload in zip(paths, uploads, strict=True):
            path.write_bytes(upload.getvalue())
        if is_table:
            return import_histoqc(settings, paths[0], dry_run=dry_run, actor=user.actor)
        return import_grandqc(settings, paths, version=version, dry_run=dry_run, actor=user.actor)


def show_import_report(report: ImportReport) -> None:
    """Say what an import would do, and name every row or file that cannot be taken."""
    st.markdown(f"{report.found} found, **{report.added} new**, {report.known} known already.")
    if not report.errors:
        return
    st.error(
        f"{len(report.errors)} cannot be taken, so nothing is: mend or take them out and try again.",
        icon=":material/error:",
    )
    shown = report.errors[:_SHOWN_ERRORS]
    st.dataframe(
        pd.DataFrame(
            {
                "Row": [error.row for error in shown],
                "Column": [error.column for error in shown],
                "Why": [error.message for error in shown],
            }
        ),
        hide_index=True,
        height="content",
        alt="What cannot be taken, with the reason",
    )
