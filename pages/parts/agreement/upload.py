"""Agreement of tables that somebody uploads: what their columns mean, how to read them, several beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from core.errors import InputError
from core.server.identity import User
from core.services.agreement.of_file import FileAgreement, agreement_of_table
from core.services.agreement.read_tables import AgreementRequest, Duplicates
from core.services.agreement.view import Estimate
from core.services.imports.uploads import Upload
from core.services.rules.scheme_library import list_schemes
from core.settings import Settings
from pages.parts.agreement.shown import Shown
from pages.parts.common.reads_mapping import choose_mapping
from pages.parts.common.table_upload import show_preview, upload_tables

_BY_VALUE = "By the values in the table"
_DUPLICATES = {
    Duplicates.REFUSE: "Say so",
    Duplicates.FIRST: "The first counts",
    Duplicates.LAST: "The last counts",
}


def from_tables(settings: Settings, *, user: User) -> Shown | None:
    """Let somebody upload tables and say what their columns mean, and return the agreement of one of them."""
    del user  # whoever may see this page may compute with a file of theirs: nothing of it is kept
    uploads = upload_tables(
        "Tables of reads (CSV)",
        key="agreement_files",
        help="One table, or several with the same columns to compare, such as reads without and with assistance.",
        several=True,
    )
    if not uploads:
        st.caption("Nothing of a table is kept. To have reads in the log, import them.")
        return None
    first = _which(uploads)
    show_preview(first, key=f"preview_{first.sha256[:12]}")
    with st.container(border=True):
        mapping = choose_mapping(first, key="agree", with_model=True, all_fields=False)
        request = _request(settings, AgreementRequest(mapping=mapping))
    found = {one.table.name: _of_file(one, request) for one in uploads}
    shown = found.get(first.table.name)
    if shown is None:
        return None
    others = [(name, one.overall) for name, one in found.items() if one is not None and name != first.table.name]
    return _shown_file(shown, others=tuple(others))


def _which(uploads: tuple[Upload, ...]) -> Upload:
    if len(uploads) == 1:
        return uploads[0]
    by_name = {one.table.name: one for one in uploads}
    chosen = st.segmented_control(
        "Table in full", list(by_name), default=uploads[0].table.name, required=True, key="agreement_which"
    )
    return by_name.get(str(chosen), uploads[0])


def _request(settings: Settings, plain: AgreementRequest) -> AgreementRequest:
    schemes = {one.scheme.name: one.scheme for one in list_schemes(settings)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Reading scheme",
            [_BY_VALUE, *schemes],
            format_func=lambda one: schemes[one].title if one in schemes else one,
            key="agreement_file_scheme",
            width=300,
            help="Without one, whole numbers are categories in order, words have no order, other numbers stay numbers.",
        )
        bins = st.text_input(
            "Bins (optional)",
            key="agreement_bins",
            placeholder="10, 40",
            width=140,
            help="Edges that turn numbers into categories: below 10, from 10 to below 40, from 40 on.",
        )
        positive = st.text_input(
            "Positive from (optional)",
            key="agreement_positive",
            width=170,
            help="First category that counts as positive, for positive and negative agreement.",
        )
        duplicates = st.selectbox(
            "Read twice",
            list(_DUPLICATES),
            format_func=_DUPLICATES.__getitem__,
            key="agreement_duplicates",
            width=170,
            help="Where a reader read a case twice with different results.",
        )
    try:
        edges = tuple(float(word) for word in (bins or "").replace(";", ",").split(",") if word.strip())
    except ValueError:
        st.warning("Bins are numbers with commas between, such as 10, 40.", icon=":material/edit:")
        edges = ()
    return replace(
        plain,
        scheme=schemes.get(str(name)),
        bins=edges,
        positive_from=(positive or "").strip() or None,
        duplicates=Duplicates(duplicates),
    )


def _of_file(upload: Upload, request: AgreementRequest) -> FileAgreement | None:
    try:
        return _agreement(upload.sha256, repr(request), upload.table.name, _upload=upload, _request=request)
    except InputError as err:
        st.error(str(err).replace("--duplicates first or last", "Read twice"), icon=":material/error:")
        return None


@st.cache_resource(max_entries=12, show_spinner="Computing agreement and its intervals...")
def _agreement(digest: str, request: str, name: str, *, _upload: Upload, _request: AgreementRequest) -> FileAgreement:
    """Return the agreement in a table; the digest of the file and the words of the request are the key."""
    del digest, request, name
    return agreement_of_table(_upload.table, _request)


def _shown_file(found: FileAgreement, *, others: tuple[tuple[str, Mapping[str, Estimate]], ...]) -> Shown:
    table = found.categories.table if found.categories else found.numbers
    assert table is not None  # noqa: S101 - a file holds categories or numbers
    return Shown(
        title=found.file,
        overall=found.overall,
        report=found.categories,
        influence=found.influence,
        pairs=0,
        pairs_with_reference=0,
        cases=len(table.cases),
        readers=len(table.readers),
        missing=table.n_missing,
        content=found.to_dict(),
        facts={"file": found.file},
        others=others,
    )
