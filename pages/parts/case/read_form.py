"""The forms of a read on the case screen: one's diagnosis, its correction, and a consensus; drafts of all are kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from core.server.identity import User
from core.services.cases.drafts import DraftForm, DraftPlace
from core.services.cases.review import record_read
from core.services.consultations.answers import Answer
from core.services.rules.scheme_library import Scheme
from core.settings import Settings
from core.store.records import DiagnosisRecord
from core.vocabulary import ReadRole
from pages.parts.case.answer_form import (
    answer_fields,
    answer_of,
    begin_fields,
    begin_with_read,
    choose_scheme,
    fields_of,
    keep_scheme,
    on_page,
)
from pages.parts.common.drafting import Drafting, keep, restore, show_draft
from pages.parts.common.forms import send


def form_head(
    settings: Settings, case_id: str, *, title: str, own: DiagnosisRecord | None, on_change: Callable[[], None]
) -> Scheme | None:
    """Show the title of a form with the choice of the reading scheme beside it, and return the scheme."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        if title:
            st.subheader(title, width="content")
        with st.container(width=270):
            return choose_scheme(settings, case_id, own=own, on_change=on_change)


# A fragment: filling the fields in neither redraws the viewer nor waits for it.
@st.fragment
def show_diagnosis_form(
    settings: Settings, case_id: str, *, user: User, own: DiagnosisRecord | None, title: str = "", primary: bool
) -> None:
    """Show the form of a first read, or with `own` of its correction."""
    place = DraftPlace(case_id, DraftForm.READ, own.diagnosis_id if own else 0)
    drafting = _drafting_of_read(settings, place, case_id, own=own, user=user)
    restore(drafting)
    changed = partial(keep, drafting)
    scheme = form_head(settings, case_id, title=title, own=own, on_change=changed)
    with st.container(border=own is None):
        answer_fields(case_id, scheme, on_change=changed)
        submitted = st.button(
            "Record correction" if own else "Record diagnosis",
            type="primary" if primary else "secondary",
            icon=":material/lock:",
            key=f"record_{case_id}",
        )
        show_draft(drafting)
    if not submitted:
        return
    answer = answer_of(case_id, scheme)
    if answer is None:
        st.warning("Choose a category first.", icon=":material/edit:")
        return
    if own is not None and _said(own) == _said(answer):
        st.info("This is what you recorded already; nothing was added.", icon=":material/info:")
        return
    keep_scheme(scheme)
    send(
        f"read_{case_id}",
        lambda key: record_read(settings, case_id, answer, key=key, actor=user.actor),
        done="Diagnosis recorded and locked.",
    )


def show_consensus_form(settings: Settings, case_id: str, *, user: User) -> None:
    """Offer to record what readers agreed on after talking; it becomes the diagnosis of the case, their reads stay."""
    with st.expander("Record a consensus", icon=":material/groups:"):
        st.caption("What the readers of this case agree on after talking it over. Their own reads stay as they are.")
        _consensus_form(settings, case_id, user=user)


@st.fragment
def _consensus_form(settings: Settings, case_id: str, *, user: User) -> None:
    fields = f"consensus {case_id}"
    drafting = _drafting_of_read(settings, DraftPlace(case_id, DraftForm.CONSENSUS), fields, own=None, user=user)
    restore(drafting)
    changed = partial(keep, drafting)
    scheme = form_head(settings, fields, title="", own=None, on_change=changed)
    answer_fields(fields, scheme, on_change=changed)
    submitted = st.button("Record the consensus", icon=":material/lock:", key=f"record_{fields}")
    show_draft(drafting)
    if not submitted:
        return
    answer = answer_of(fields, scheme)
    if answer is None:
        st.warning("Choose a category first.", icon=":material/edit:")
        return
    send(
        f"consensus_{case_id}",
        lambda key: record_read(settings, case_id, answer, role=ReadRole.CONSENSUS, key=key, actor=user.actor),
        done="Consensus recorded and locked.",
    )


def _drafting_of_read(
    settings: Settings, place: DraftPlace, fields: str, *, own: DiagnosisRecord | None, user: User
) -> Drafting:
    """Return how the fields of a read are kept while they are filled in; `fields` is part of their keys."""
    return Drafting(
        settings,
        place,
        user,
        key=on_page(fields),
        fields=partial(fields_of, fields, own),
        begin=partial(begin_fields, fields),
        clear=partial(begin_with_read, fields, own),
    )


def _said(read: DiagnosisRecord | Answer) -> tuple[object, ...]:
    """Return what a read says, to tell a second click from a correction."""
    category = read.code or read.category
    return read.scheme, category, read.grade, read.text, read.confidence
