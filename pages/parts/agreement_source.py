"""Where the agreement on the page comes from: reads in the log, or tables that somebody uploads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from core.errors import InputError
from core.server.identity import User
from core.services.agreement import FileAgreement, agreement_of_table
from core.services.agreement_view import (
    HERE,
    PLAIN,
    AgreementChoices,
    AgreementInput,
    AgreementReport,
    AgreementView,
    Estimate,
    Reads,
    agreement_choices,
    agreement_input,
    view_of,
)
from core.services.read_tables import AgreementRequest, Duplicates
from core.services.scheme_library import list_schemes
from core.services.uploads import Upload
from core.settings import Settings
from pages.parts.reads_mapping import choose_mapping
from pages.parts.table_upload import show_preview, upload_tables

_READS = {
    Reads.STANDING: "As they stand",
    Reads.BEFORE: "Before the model",
    Reads.AFTER: "After the model",
}
_THIS_MODEL = "The model of this program"
_BY_VALUE = "By the values in the table"
_DUPLICATES = {
    Duplicates.REFUSE: "Say so",
    Duplicates.FIRST: "The first counts",
    Duplicates.LAST: "The last counts",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """What the page shows."""

    title: str
    overall: Mapping[str, Estimate]
    report: AgreementReport | None
    """None where the reads are numbers."""
    influence: Mapping[str, Estimate] | None
    pairs: int
    """Reads before and after the model's result."""
    pairs_with_reference: int
    cases: int
    readers: int
    missing: int
    """Cells of the table of cases and readers without a read."""
    content: Mapping[str, object]
    """For the JSON export."""
    facts: Mapping[str, object]
    """Where it comes from, for exports."""
    in_log: bool = False
    """Whether the cases are those of the log."""
    others: tuple[tuple[str, Mapping[str, Estimate]], ...] = ()
    """Further tables beside it: title and statistics."""


def from_log(settings: Settings, *, user: User) -> Shown | None:
    """Let somebody choose scheme, reads and model, and return the agreement; None where the page says why not."""
    choices = agreement_choices(settings, actor=user.actor)
    if choices.hidden:
        st.caption(
            f":material/visibility_off: {choices.hidden} cases are left out: a blinded opinion on them is awaited."
        )
    if not choices.schemes:
        _show_empty(user)
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scheme, reads, sources, system = _choose(choices)
    try:
        gathered = agreement_input(
            settings, scheme=scheme, system=system, reads=reads, sources=sources, actor=user.actor
        )
    except InputError as err:
        st.info(
            f"{err} Choose another scheme or other reads, or import reads of others.",
            title="Nothing to compare",
            icon=":material/group:",
        )
        return None
    found = _of_log(gathered.digest, gathered)
    if found.anonymous:
        st.caption("Other readers are shown under numbers; a lead sees the names.")
    return _shown(found, title=found.scheme.title, sources=sources, reads=reads)


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


def _choose(choices: AgreementChoices) -> tuple[str, Reads, tuple[str, ...], str | None]:
    by_name = {one.scheme.name: one for one in choices.schemes}
    scheme = st.selectbox(
        "Reading scheme",
        list(by_name),
        format_func=lambda name: by_name[name].scheme.title,
        key="agreement_scheme",
        bind="query-params",
        width=300,
        help="Reads are compared in one scheme. In the plain one every read counts that says benign or malignant.",
    )
    reads = st.segmented_control(
        "Which reads",
        list(_READS),
        default=Reads.STANDING,
        required=True,
        format_func=_READS.__getitem__,
        key="agreement_reads",
        help="The last read of each reader and case; or the last one before, or after, the model's result was shown.",
    )
    sources: list[str] = []
    if len(choices.sources) > 1:
        counts = dict(choices.sources)
        sources = st.multiselect(
            "Read where",
            list(counts),
            format_func=lambda name: f"{name if name == HERE else f'file {name}'} ({counts[name]})",
            key="agreement_sources",
            placeholder="Everywhere",
            width=300,
            help="Reads that were recorded here, or imported from a file.",
        )
    system = None
    if choices.systems:
        chosen = st.selectbox(
            "Model",
            [_THIS_MODEL, *choices.systems],
            key="agreement_system",
            width=220,
            help="The one more reader: this program's model, or another system whose predictions were imported.",
        )
        system = None if chosen == _THIS_MODEL else chosen
    return scheme or PLAIN, Reads(reads), tuple(sources), system


def _show_empty(user: User) -> None:
    st.info(
        "Agreement needs reads of two people on the same cases. Record diagnoses on the case screen, ask for second "
        "opinions, or import reads that were made elsewhere.",
        title="No reads yet",
        icon=":material/group:",
    )
    if user.can_read_cases:
        st.page_link("worklist.py", label="To the worklist", icon=":material/format_list_bulleted:")


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


@st.cache_resource(max_entries=12, show_spinner="Computing agreement and its intervals...")
def _of_log(digest: str, _gathered: AgreementInput) -> AgreementView:
    """Return the agreement of what was gathered; its digest, in which the shown names are, is the key."""
    del digest
    return view_of(_gathered)


def _shown(found: AgreementView, *, title: str, sources: tuple[str, ...], reads: Reads) -> Shown:
    table = found.report.table
    facts: dict[str, object] = {
        "scheme": found.scheme.name,
        "scheme_version": found.scheme.version,
        "reads": reads.value,
        "sources": ", ".join(sources) or "all",
        "cases_left_out": found.hidden,
        "pairs_before_and_after": found.pairs,
    }
    return Shown(
        title=title,
        overall=found.report.overall,
        report=found.report,
        influence=found.influence,
        pairs=found.pairs,
        pairs_with_reference=found.pairs_with_reference,
        cases=len(table.cases),
        readers=len(table.readers),
        missing=table.n_missing,
        content=found.report.to_dict()
        | {"influence_of_model": {name: value.to_dict() for name, value in found.influence.items()}},
        facts=facts,
        in_log=True,
    )


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
