"""The end of a second opinion: the resolution, its signature, and opening the case again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from core.domain import CaseStatus
from core.errors import SecondReadError
from core.server.identity import User, short_name
from core.services.consultations.resolution import reopen, resolve
from core.services.consultations.signable import Signable, resolution_to_sign
from core.services.consultations.signing import printed_name_of, sign_resolution
from core.settings import Settings
from core.store.consult_records import NewResolution, ResolutionRecord
from core.store.records import DiagnosisRecord
from core.vocabulary import COUNTING_ROLES, ReadRole, ReportAction, ResolutionMethod, SignatureMeaning
from pages.parts.common.badges import CATEGORIES, plain, time_in_words
from pages.parts.common.forms import ask_reason, dialog_ends, form_id, send
from pages.parts.consultations.words import MEANINGS, METHODS, REPORT_ACTIONS, ROLES

_STANDS: dict[ResolutionMethod, frozenset[ReadRole]] = {
    ResolutionMethod.FIRST_UPHELD: COUNTING_ROLES,
    ResolutionMethod.SECOND_ADOPTED: frozenset({ReadRole.SECOND}),
    ResolutionMethod.THIRD_READER: frozenset({ReadRole.ADJUDICATOR}),
}
"""Whose read stands by a method; any, where a method is not in it."""


def read_in_words(read: DiagnosisRecord) -> str:
    """Return a read in one line."""
    grade = f", {read.grade}" if read.grade else ""
    return f"{CATEGORIES[read.category]}{grade} ({ROLES[read.role].lower()}, {short_name(read.reader)})"


def show_resolve(
    settings: Settings, case_id: str, *, reads: Sequence[DiagnosisRecord], status: CaseStatus, user: User
) -> None:
    """Open the dialog that records how the case was settled."""
    show = st.dialog("Record the resolution", icon=":material/task_alt:", width="large")
    show(_resolve)(settings, case_id, reads, status, user)


def _resolve(
    settings: Settings, case_id: str, reads: Sequence[DiagnosisRecord], status: CaseStatus, user: User
) -> None:
    name = f"resolve_{case_id}"
    new = _fields(reads, status, key=form_id(name))
    if dialog_ends("Record the resolution", icon=":material/task_alt:", name=name):
        send(
            name,
            lambda once: resolve(settings, case_id, new, expected=status, key=once, actor=user.actor),
            done="The resolution is recorded. It is signed next.",
        )


def _fields(reads: Sequence[DiagnosisRecord], status: CaseStatus, *, key: str) -> NewResolution:
    left, right = st.columns(2, gap="medium")
    with left:
        method, stands = _settled(reads, status, key=key)
        action = st.segmented_control(
            "What became of the report",
            list(ReportAction),
            default=ReportAction.NONE,
            required=True,
            format_func=REPORT_ACTIONS.__getitem__,
            key=f"action_{key}",
            persist_state="page",
        )
    with right:
        told = st.text_input(
            "Communicated to (optional)",
            key=f"told_{key}",
            max_chars=200,
            placeholder="For example the treating surgeon",
            persist_state="page",
        )
        told_at = st.datetime_input(
            "Communicated at, in UTC (optional)",
            value=None,
            key=f"told_at_{key}",
            format="YYYY-MM-DD",
            persist_state="page",
        )
    note = st.text_area(
        "Learning note (optional)",
        key=f"learning_{key}",
        height=80,
        max_chars=4000,
        placeholder="What others can learn from this case",
        persist_state="page",
    )
    return NewResolution(
        method=method,
        diagnosis_id=stands,
        report_action=ReportAction(action),
        communicated_to=(told or "").strip(),
        communicated_at=None if told_at is None else told_at.replace(tzinfo=UTC),
        learning_note=(note or "").strip(),
    )


def _settled(reads: Sequence[DiagnosisRecord], status: CaseStatus, *, key: str) -> tuple[ResolutionMethod, int | None]:
    """Ask how the case was settled and which read stands."""
    third = any(read.role is ReadRole.ADJUDICATOR for read in reads)
    methods = list(ResolutionMethod)
    usual = ResolutionMethod.THIRD_READER if third and status is CaseStatus.ADJUDICATION else ResolutionMethod.CONSENSUS
    chosen = st.selectbox(
        "How it was settled",
        methods,
        index=methods.index(usual),
        format_func=METHODS.__getitem__,
        key=f"method_{key}",
        persist_state="page",
    )
    method = ResolutionMethod(chosen)
    if method is ResolutionMethod.UNRESOLVED:
        st.caption("No read stands while a case stays unresolved.")
        return method, None
    superseded = {read.supersedes for read in reads}
    allowed = _STANDS.get(method, frozenset(ReadRole))
    fitting = {
        read.diagnosis_id: read for read in reads if read.role in allowed and read.diagnosis_id not in superseded
    }
    stands = st.selectbox(
        "The read that stands",
        list(fitting),
        index=len(fitting) - 1 if fitting else None,
        format_func=lambda number: read_in_words(fitting[number]),
        placeholder="There is none that fits",
        key=f"stands_{method.value}_{key}",
        persist_state="page",
    )
    return method, stands


def resolution_rows(made: ResolutionRecord, reads: Sequence[DiagnosisRecord]) -> dict[str, str]:
    """Return a resolution as the rows of a small table."""
    stands = next((read for read in reads if read.diagnosis_id == made.diagnosis_id), None)
    told = plain(made.communicated_to) or "nobody"
    if made.communicated_at is not None:
        told += f", {time_in_words(made.communicated_at)}"
    rows = {
        "Settled by": METHODS[made.method],
        "The read that stands": plain(read_in_words(stands)) if stands else "none",
        "Report": REPORT_ACTIONS[made.report_action],
        "Communicated to": told,
        "Recorded by": f"{plain(short_name(made.author))}, {time_in_words(made.created_at)}",
    }
    return rows | ({"Learning note": plain(made.learning_note)} if made.learning_note else {})


def show_sign(
    settings: Settings, case_id: str, *, reads: Sequence[DiagnosisRecord], status: CaseStatus, user: User
) -> None:
    """Open the dialog that signs the resolution."""
    show = st.dialog("Sign the resolution", icon=":material/draw:", width="medium")
    show(_sign)(settings, case_id, reads, status, user)


def _sign(settings: Settings, case_id: str, reads: Sequence[DiagnosisRecord], status: CaseStatus, user: User) -> None:
    try:
        found = resolution_to_sign(settings, case_id, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    st.table(resolution_rows(found.resolution, reads), border="horizontal", alt="What is signed")
    st.caption(f"SHA-256 of this record, which the signature keeps:  \n`{found.sha256}`")
    name = f"sign_{case_id}"
    key = form_id(name)
    meaning = _meaning(found, key=key)
    typed = ask_printed_name(user, key=key)
    if dialog_ends("Sign", icon=":material/draw:", name=name):
        send(
            name,
            lambda once: sign_resolution(
                settings,
                case_id,
                meaning=meaning,
                printed_name=typed,
                expected=status,
                key=once,
                actor=user.actor,
            ),
            done="Signed.",
        )


def _meaning(found: Signable, *, key: str) -> SignatureMeaning:
    chosen = st.segmented_control(
        "Meaning of the signature",
        list(found.meanings),
        default=found.meanings[0],
        required=True,
        format_func=MEANINGS.__getitem__,
        key=f"meaning_{key}",
        persist_state="page",
    )
    return SignatureMeaning(chosen)


def show_reopen(settings: Settings, case_id: str, *, status: CaseStatus, user: User) -> None:
    """Open the dialog that opens the case again."""
    ask_reason(
        "Open the case again",
        icon=":material/lock_open:",
        told="What was said, resolved and signed stays in the log. A new round begins from the reads.",
        label="Reason",
        button="Open again",
        name=f"reopen_{case_id}",
        action=lambda why: reopen(settings, case_id, reason=why, expected=status, actor=user.actor),
        done="The case is open again.",
    )


def ask_printed_name(user: User, *, key: str) -> str:
    """Ask whoever signs for the printed name, and say what the signature carries."""
    typed = st.text_input(
        "Type your name to sign",
        key=f"name_{key}",
        max_chars=80,
        placeholder=printed_name_of(user.actor),
        persist_state="page",
    )
    st.caption(f"The signature carries your name, this meaning and the time, {datetime.now(UTC):%Y-%m-%d} in UTC.")
    return typed or ""
