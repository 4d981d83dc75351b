"""The consultant's part of the case screen: what is hidden and why, take the request on, give the opinion, lock it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import cast

import streamlit as st

from core.server.identity import User
from core.services.cases.drafts import DraftForm, DraftPlace
from core.services.cases.visibility import Visibility
from core.services.consultations.opinion import acknowledge, decline, submit_opinion
from core.services.consultations.request_rows import RequestRow
from core.services.rules.scheme_library import Scheme
from core.settings import Settings
from core.vocabulary import AdditionalWork
from pages.parts.case.answer_form import answer_fields, answer_of, begin_fields, fields_of, keep_scheme, on_page
from pages.parts.case.read_form import form_head
from pages.parts.common.actions import attempt
from pages.parts.common.drafting import Drafting, keep, restore, show_draft
from pages.parts.common.forms import ask_reason, has_come_back, refuse, take_in
from pages.parts.consultations.words import WORK


def hidden_words(seen: Visibility) -> str:
    """Return what a request hides and why, in a sentence or two; empty where nothing is hidden."""
    hidden = [
        words
        for words, shown in (
            ("the model's result", seen.model),
            ("the first read", seen.first_read),
            ("other opinions", seen.other_opinions),
            ("who gave them", seen.authors),
        )
        if not shown
    ]
    if not seen.is_blinded or not hidden:
        return ""
    listed = ", ".join(hidden[:-1]) + f" and {hidden[-1]}" if len(hidden) > 1 else hidden[0]
    return f"Not shown: {listed}. {seen.because}"


def take_on(settings: Settings, asked: RequestRow, *, user: User) -> None:
    """Take a request on and show the form."""
    if attempt(
        lambda: acknowledge(settings, asked.consultation_id, actor=user.actor),
        done="The request is yours. Read the slides and lock your opinion.",
    ):
        st.rerun()


def show_decline(settings: Settings, asked: RequestRow, *, user: User) -> None:
    """Open the dialog that declines a request."""
    ask_reason(
        "Decline the request",
        icon=":material/block:",
        told="Whoever asked is told your reason and can ask somebody else.",
        label="Reason",
        button="Decline",
        name=f"decline_{asked.consultation_id}",
        action=lambda reason: decline(settings, asked.consultation_id, reason=reason, actor=user.actor),
        done="Declined. Whoever asked sees your reason.",
    )


def show_not_taken(seen: Visibility) -> None:
    """Say in the form's place that the request is to be taken on first."""
    st.subheader("Your opinion")
    st.caption("Take the request on, and the form opens here." if seen.is_blinded else "Take the request on first.")


@st.fragment
def show_opinion_form(settings: Settings, asked: RequestRow, *, user: User) -> None:
    """Show the form of an opinion; sending it locks the opinion for good. Until then it is kept as a draft."""
    drafting = _drafting(settings, asked, user=user)
    restore(drafting)
    changed = partial(keep, drafting)
    scheme = form_head(settings, asked.case_id, title="Your opinion", own=None, on_change=changed)
    with st.container(border=True):
        answer_fields(asked.case_id, scheme, on_change=changed)
        st.pills(
            "Additional work (optional)",
            [one for one in AdditionalWork if one is not AdditionalWork.NONE],
            selection_mode="multi",
            format_func=WORK.__getitem__,
            key=_work_key(asked),
            on_change=changed,
        )
        sent = st.button(
            "Lock my opinion",
            type="primary",
            icon=":material/lock:",
            key=f"lock_{asked.consultation_id}",
            on_click=_lock,
            args=(settings, asked, scheme, user),
        )
        st.caption("Locked for good. Then everything is revealed, and the reads are compared.")
        show_draft(drafting)
    if sent and has_come_back():
        st.rerun()  # the whole page: what the opinion was blind to lies outside this form


def _work_key(asked: RequestRow) -> str:
    return f"work_{asked.consultation_id}"


def _drafting(settings: Settings, asked: RequestRow, *, user: User) -> Drafting:
    case_id, key = asked.case_id, _work_key(asked)

    def fields() -> dict[str, str | int | list[str] | None]:
        work = [str(one) for one in st.session_state.get(key) or ()]
        return fields_of(case_id) | ({"work": work} if work else {})

    def begin(said: Mapping[str, object]) -> None:
        begin_fields(case_id, said)
        named = cast("list[str]", said.get("work") or [])
        st.session_state[key] = [one for one in AdditionalWork if one.value in named]

    place = DraftPlace(case_id, DraftForm.OPINION, asked.consultation_id)
    return Drafting(settings, place, user, key=on_page(case_id), fields=fields, begin=begin, clear=lambda: begin({}))


def _lock(settings: Settings, asked: RequestRow, scheme: Scheme | None, user: User) -> None:
    """Lock the opinion: a callback, since the page that is drawn next may have no place for this form any more."""
    answer = answer_of(asked.case_id, scheme)
    if answer is None:
        refuse("Choose a category first.")
        return
    keep_scheme(scheme)
    work = st.session_state.get(_work_key(asked)) or ()
    take_in(
        f"opinion_{asked.consultation_id}",
        lambda key: submit_opinion(
            settings, asked.consultation_id, answer, additional_work=work, key=key, actor=user.actor
        ),
        done="Your opinion is locked. Everything is shown now.",
        typed=answer.text,
    )
