"""The reader's part of the case screen: record a diagnosis, reveal the model, answer it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain import ReviewVerdict
from core.server.identity import User
from core.services.answers import Answer
from core.services.review import record_read, record_review, reveal_model
from core.services.scheme_library import Scheme
from core.settings import Settings
from core.store.records import DiagnosisRecord, ReadStage, ReviewRecord
from core.vocabulary import COUNTING_ROLES
from pages.parts.actions import attempt
from pages.parts.answer_form import answer_fields, answer_of, choose_scheme, keep_scheme
from pages.parts.badges import CATEGORIES, VERDICTS, in_words, plain, time_in_words
from pages.parts.forms import send

VERDICT_KEYS = {ReviewVerdict.AGREE: "a", ReviewVerdict.DISAGREE: "d", ReviewVerdict.UNSURE: "u"}
"""The key of each answer, wherever on the page no text is being typed."""
_STAGES = {ReadStage.BEFORE_MODEL: "before seeing the model", ReadStage.AFTER_MODEL: "after seeing the model"}


def latest_of(reader: str, records: Sequence[DiagnosisRecord] | Sequence[ReviewRecord]) -> object | None:
    """Return a reader's latest entry: later ones supersede earlier ones."""
    own = [record for record in records if record.reader == reader]
    return max(own, key=lambda record: record.created_at) if own else None


def show_diagnosis(
    settings: Settings,
    case_id: str,
    *,
    user: User,
    diagnoses: Sequence[DiagnosisRecord],
    primary: bool = True,
    settled: bool = False,
) -> None:
    """Show the reader's own diagnosis with a way to correct it, or the form to record the first.

    Args:
        settings: Names the home folder.
        case_id: The case.
        user: Who reads.
        diagnoses: Reads of the case that this reader may see.
        primary: Whether recording a diagnosis is the reader's next step.
        settled: Whether the case takes no reads any more.
    """
    own = latest_of(user.actor, diagnoses)
    if isinstance(own, DiagnosisRecord) and own.role not in COUNTING_ROLES:
        st.subheader("Your opinion")
        show_read(own)
        st.caption("Locked. It is compared with the first read and is never changed.")
        return
    if not user.can_read_cases:
        st.subheader("Your diagnosis")
        st.caption("Your role does not record diagnoses.")
        return
    if settled and not isinstance(own, DiagnosisRecord):
        return
    if not isinstance(own, DiagnosisRecord):
        _diagnosis_form(settings, case_id, user=user, own=None, title="Your diagnosis", primary=primary)
        return
    st.subheader("Your diagnosis")
    show_read(own)
    if settled:
        return
    with st.expander("Correct my diagnosis", icon=":material/edit:"):
        st.caption("The entry above stays in the log; the new one supersedes it.")
        _diagnosis_form(settings, case_id, user=user, own=own, primary=False)


def show_read(read: DiagnosisRecord) -> None:
    """Show one diagnosis in a few lines."""
    grade = f", {plain(read.grade)}" if read.grade else ""
    confidence = f" Confidence {read.confidence} of 5." if read.confidence else ""
    st.markdown(f"**{CATEGORIES[read.category]}**{_by_scheme(read)}{grade}.{confidence}")
    if read.text:
        st.markdown(plain(read.text))
    st.caption(f"{plain(read.reader)}, {time_in_words(read.created_at)}, {_STAGES[read.stage]}")


def _by_scheme(read: DiagnosisRecord) -> str:
    """Return the code of a scheme, where it says more than the plain category does."""
    if read.scheme is None or read.code is None or read.code == read.category.value:
        return ""
    return f" ({plain(in_words(read.scheme))}: {plain(in_words(read.code))})"


def form_head(settings: Settings, case_id: str, *, title: str, own: DiagnosisRecord | None) -> Scheme | None:
    """Show the title of a form with the choice of the reading scheme beside it, and return the scheme."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        if title:
            st.subheader(title, width="content")
        with st.container(width=270):
            return choose_scheme(settings, case_id, own=own)


def _said(read: DiagnosisRecord | Answer) -> tuple[object, ...]:
    """Return what a read says, to tell a second click from a correction."""
    category = read.code or read.category
    return read.scheme, category, read.grade, read.text, read.confidence


def _diagnosis_form(
    settings: Settings, case_id: str, *, user: User, own: DiagnosisRecord | None, title: str = "", primary: bool
) -> None:
    scheme = form_head(settings, case_id, title=title, own=own)
    with st.form(f"diagnosis_{case_id}", border=own is None, enter_to_submit=False):
        answer_fields(case_id, scheme, own=own)
        submitted = st.form_submit_button(
            "Record correction" if own else "Record diagnosis",
            type="primary" if primary else "secondary",
            icon=":material/lock:",
            key=f"record_{case_id}",
        )
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


def show_reveal(settings: Settings, case_id: str, *, user: User) -> None:
    """Say that the model's result is hidden, and offer to reveal it after a second thought."""
    st.info(
        "Record your diagnosis first; then the model's result is shown.",
        title="Model result hidden",
        icon=":material/visibility_off:",
    )
    with st.popover("Reveal without a diagnosis", icon=":material/visibility:"):
        st.markdown(
            "The reveal is written into the log with your name. A diagnosis that you record afterwards is marked as "
            "made after seeing the model."
        )
        if st.button("Reveal, and log it", key=f"reveal_{case_id}", type="primary") and attempt(
            lambda: reveal_model(settings, case_id, actor=user.actor), done="Revealed; the log says so."
        ):
            st.rerun()


def show_no_result() -> None:
    """Say that there is nothing to compare with."""
    st.info(
        "No slide of this case has a model result, so there is nothing to compare your diagnosis with.",
        title="No model result",
        icon=":material/block:",
    )


def show_review(settings: Settings, case_id: str, *, user: User, reviews: Sequence[ReviewRecord]) -> None:
    """Show the reader's answer to the model, and a button and a key for each answer, which record it at once."""
    st.subheader("Your answer to the model")
    if not user.can_read_cases:
        st.caption("Your role does not record answers.")
        return
    own = latest_of(user.actor, reviews)
    if isinstance(own, ReviewRecord):
        look = VERDICTS[own.verdict]
        st.badge(look.label, icon=look.icon, color=look.colour)
        if own.note:
            st.markdown(plain(own.note))
        st.caption(f"{time_in_words(own.created_at)}. Another answer supersedes it; both stay in the log.")
    verdict, note = _review_form(case_id, own=own if isinstance(own, ReviewRecord) else None)
    if verdict is not None:
        _record_answer(settings, case_id, verdict=verdict, note=note, own=own, user=user)


def _review_form(case_id: str, *, own: ReviewRecord | None) -> tuple[ReviewVerdict | None, str]:
    """Show the form; return the answer that was just given, if any, and the note."""
    given = None
    with st.form(f"review_{case_id}", enter_to_submit=False):
        note = st.text_area(
            "Do you agree with the model? Note (optional)",
            value=own.note if own else "",
            max_chars=4000,
            height=80,
            key=f"note_{case_id}",
        )
        with st.container(horizontal=True, gap="xsmall"):
            for verdict, key in VERDICT_KEYS.items():
                look = VERDICTS[verdict]
                if st.form_submit_button(look.label, icon=look.icon, shortcut=key, key=f"{verdict.value}_{case_id}"):
                    given = verdict
    return given, note.strip()


def _record_answer(
    settings: Settings, case_id: str, *, verdict: ReviewVerdict, note: str, own: object, user: User
) -> None:
    if isinstance(own, ReviewRecord) and (own.verdict, own.note) == (verdict, note):
        return  # a key that was held down
    words = VERDICTS[verdict].label.lower()
    keys = ", ".join(key.upper() for other, key in VERDICT_KEYS.items() if other is not verdict)
    if attempt(
        lambda: record_review(settings, case_id, verdict=verdict, note=note, actor=user.actor),
        done=f"Recorded for case {plain(case_id)}: {words}. Not meant? Another answer ({keys}) supersedes it.",
    ):
        st.rerun()
