"""The reader's part of the case screen: record a diagnosis, reveal the model, answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.domain import ReviewVerdict
from core.server.identity import User
from core.services.cases.drafts import DraftForm, DraftPlace
from core.services.cases.review import record_review, reveal_model
from core.services.consultations.signing import signatures
from core.settings import Settings
from core.store.records import DiagnosisRecord, ReadStage, ReviewRecord
from core.vocabulary import COUNTING_ROLES, ReadRole
from pages.parts.case.read_form import show_consensus_form, show_diagnosis_form
from pages.parts.case.read_signing import show_read_signing
from pages.parts.common.actions import attempt
from pages.parts.common.badges import CATEGORIES, VERDICTS, in_words, plain, time_in_words
from pages.parts.common.drafting import Drafting, keep, restore, show_draft

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
    own = latest_of(user.actor, [read for read in diagnoses if read.role is not ReadRole.CONSENSUS])
    if isinstance(own, DiagnosisRecord) and own.role not in COUNTING_ROLES:
        st.subheader("Your opinion")
        show_read(own)
        st.caption("Locked. It is compared with the first read and is never changed.")
        _show_signing(settings, own, user=user)
        return
    if not user.can_read_cases:
        st.subheader("Your diagnosis")
        st.caption("Your role does not record diagnoses.")
        return
    if settled and not isinstance(own, DiagnosisRecord):
        return
    if not isinstance(own, DiagnosisRecord):
        show_diagnosis_form(settings, case_id, user=user, own=None, title="Your diagnosis", primary=primary)
        return
    st.subheader("Your diagnosis")
    show_read(own)
    _show_signing(settings, own, user=user)
    if settled:
        return
    with st.expander("Correct my diagnosis", icon=":material/edit:"):
        st.caption("The entry above stays in the log; the new one supersedes it.")
        show_diagnosis_form(settings, case_id, user=user, own=own, primary=False)
    if len({read.reader for read in diagnoses}) > 1:
        show_consensus_form(settings, case_id, user=user)


def _show_signing(settings: Settings, own: DiagnosisRecord, *, user: User) -> None:
    signed = signatures(settings, own.case_id, actor=user.actor)
    show_read_signing(settings, own, signed=signed, user=user, place="own")


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


@st.fragment
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
    given = own if isinstance(own, ReviewRecord) else None
    drafting = _drafting_of_note(settings, case_id, own=given, user=user)
    restore(drafting)
    verdict, note = _review_form(case_id, drafting=drafting)
    if verdict is not None:
        _record_answer(settings, case_id, verdict=verdict, note=note, own=own, user=user)


def _drafting_of_note(settings: Settings, case_id: str, *, own: ReviewRecord | None, user: User) -> Drafting:
    key, known = f"note_{case_id}", own.note if own else ""

    def fields() -> dict[str, str | int | list[str] | None]:
        note = (st.session_state.get(key) or "").strip()
        return {} if note == known else {"note": note}

    def begin(said: Mapping[str, object]) -> None:
        st.session_state[key] = str(said.get("note") or "")

    place = DraftPlace(case_id, DraftForm.ANSWER, own.review_id if own else 0)
    return Drafting(settings, place, user, key=key, fields=fields, begin=begin, clear=lambda: begin({"note": known}))


def _review_form(case_id: str, *, drafting: Drafting) -> tuple[ReviewVerdict | None, str]:
    """Show the note and the answers; return the answer that was just given, if any, and the note."""
    given = None
    with st.container(border=True):
        note = st.text_area(
            "Do you agree with the model? Note (optional)",
            max_chars=4000,
            height=80,
            key=f"note_{case_id}",
            on_change=keep,
            args=(drafting,),
        )
        with st.container(horizontal=True, gap="xsmall"):
            for verdict, key in VERDICT_KEYS.items():
                look = VERDICTS[verdict]
                if st.button(look.label, icon=look.icon, shortcut=key, key=f"{verdict.value}_{case_id}"):
                    given = verdict
        show_draft(drafting)
    return given, (note or "").strip()


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
