"""Agreement of the reads in the log: which scheme, which reads, which model, kept by their content."""

from __future__ import annotations

import streamlit as st

from core.errors import InputError
from core.server.identity import User
from core.services.agreement.view import (
    HERE,
    PLAIN,
    AgreementChoices,
    AgreementInput,
    AgreementView,
    Reads,
    agreement_choices,
    agreement_input,
    view_of,
)
from core.settings import Settings
from pages.parts.agreement.shown import Shown

_READS = {
    Reads.STANDING: "As they stand",
    Reads.BEFORE: "Before the model",
    Reads.AFTER: "After the model",
}
_THIS_MODEL = "The model of this program"


def from_log(settings: Settings, *, user: User) -> Shown | None:
    """Let somebody choose scheme, reads and model, and return the agreement; None where the page says why not."""
    choices = agreement_choices(settings, actor=user.actor)
    if choices.hidden:
        st.caption(
            f":material/visibility_off: Cases left out: {choices.hidden}, on which a blinded opinion is awaited."
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
