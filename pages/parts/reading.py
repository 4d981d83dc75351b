"""The reader's part of the case screen: record a diagnosis, reveal the model, answer it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain import ReadCategory, ReviewVerdict
from core.server.identity import User
from core.services.review import record_diagnosis, record_review, reveal_model
from core.settings import Settings
from core.store.records import DiagnosisRecord, ReadStage, ReviewRecord
from pages.parts.actions import attempt
from pages.parts.badges import CATEGORIES, VERDICTS, plain, time_in_words

VERDICT_KEYS = {ReviewVerdict.AGREE: "a", ReviewVerdict.DISAGREE: "d", ReviewVerdict.UNSURE: "u"}
"""The key of each answer, wherever on the page no text is being typed."""
CONFIDENCE = {1: "1 guess", 2: "2", 3: "3", 4: "4", 5: "5 certain"}
_STAGES = {ReadStage.BEFORE_MODEL: "before seeing the model", ReadStage.AFTER_MODEL: "after seeing the model"}


def latest_of(reader: str, records: Sequence[DiagnosisRecord] | Sequence[ReviewRecord]) -> object | None:
    """Return a reader's latest entry: later ones supersede earlier ones."""
    own = [record for record in records if record.reader == reader]
    return max(own, key=lambda record: record.created_at) if own else None


def show_diagnosis(settings: Settings, case_id: str, *, user: User, diagnoses: Sequence[DiagnosisRecord]) -> None:
    """Show the reader's own diagnosis with a way to correct it, or the form to record the first."""
    own = latest_of(user.actor, diagnoses)
    st.subheader("Your diagnosis")
    if not user.can_read_cases:
        st.caption("Your role does not record diagnoses.")
        return
    if not isinstance(own, DiagnosisRecord):
        _diagnosis_form(settings, case_id, user=user, own=None)
        return
    show_read(own)
    with st.expander("Correct my diagnosis", icon=":material/edit:"):
        st.caption("The entry above stays in the log; the new one supersedes it.")
        _diagnosis_form(settings, case_id, user=user, own=own)


def show_read(read: DiagnosisRecord) -> None:
    """Show one diagnosis in a few lines."""
    grade = f", {plain(read.grade)}" if read.grade else ""
    confidence = f" Confidence {read.confidence} of 5." if read.confidence else ""
    st.markdown(f"**{CATEGORIES[read.category]}**{grade}.{confidence}")
    if read.text:
        st.markdown(plain(read.text))
    st.caption(f"{plain(read.reader)}, {time_in_words(read.created_at)}, {_STAGES[read.stage]}")


def _diagnosis_form(settings: Settings, case_id: str, *, user: User, own: DiagnosisRecord | None) -> None:
    with st.form(f"diagnosis_{case_id}", border=own is None, enter_to_submit=False):
        category = st.segmented_control(
            "Category",
            list(ReadCategory),
            format_func=CATEGORIES.__getitem__,
            default=own.category if own else None,
            key=f"category_{case_id}",
        )
        grade = st.text_input(
            "Grade or type (optional)",
            value=own.grade or "" if own else "",
            max_chars=120,
            placeholder="For example Nottingham grade 2",
            key=f"grade_{case_id}",
        )
        confidence = st.segmented_control(
            "Confidence",
            list(CONFIDENCE),
            format_func=CONFIDENCE.__getitem__,
            default=own.confidence if own else None,
            key=f"confidence_{case_id}",
        )
        text = st.text_area(
            "Note (optional)", value=own.text if own else "", max_chars=4000, height=80, key=f"text_{case_id}"
        )
        label = "Record correction" if own else "Record diagnosis"
        submitted = st.form_submit_button(label, type="primary", icon=":material/lock:", key=f"record_{case_id}")
    if not submitted:
        return
    if category is None:
        st.warning("Choose a category first.", icon=":material/edit:")
        return
    if attempt(
        lambda: record_diagnosis(
            settings,
            case_id,
            category=category,
            grade=grade.strip() or None,
            text=text.strip(),
            confidence=confidence,
            actor=user.actor,
        ),
        done="Diagnosis recorded and locked.",
    ):
        st.rerun()


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
