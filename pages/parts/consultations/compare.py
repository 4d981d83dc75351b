"""Two reads side by side, what their difference means, and the decision: agree, or have a third reader decide."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.domain import CaseStatus
from core.errors import SecondReadError
from core.server.identity import User
from core.services.consultations.pairs import Pair, pair
from core.services.consultations.resolution import adjudicate, agree, compare
from core.settings import Settings
from core.store.consult_records import NewComparison, OpinionRecord
from core.store.records import DiagnosisRecord
from core.vocabulary import AdditionalWork, Basis, Discordance, ErrorType, ManagementImpact
from pages.parts.case.reading import show_read
from pages.parts.common.actions import attempt
from pages.parts.common.forms import ask_reason, dialog_ends, form_id, send
from pages.parts.consultations.words import BASES, DISCORDANCES, ERRORS, IMPACTS, ROLES, WORK

_USUAL_IMPACT = {
    Discordance.AGREEMENT: ManagementImpact.NONE,
    Discordance.MINOR: ManagementImpact.NONE,
    Discordance.MAJOR: ManagementImpact.POTENTIAL,
}


def show_compare(settings: Settings, opinion_id: int, *, status: CaseStatus, user: User) -> None:
    """Open the dialog that compares an opinion with the read it was asked about."""
    show = st.dialog("Compare the reads", icon=":material/compare:", width="large")
    show(_compare)(settings, opinion_id, status, user)


def _compare(settings: Settings, opinion_id: int, status: CaseStatus, user: User) -> None:
    try:
        found = pair(settings, opinion_id, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    show_pair(found.first, found.opinion)
    name = f"compare_{opinion_id}"
    new = _fields(found, key=form_id(name))
    if dialog_ends("Record the comparison", icon=":material/compare:", name=name):
        send(
            name,
            lambda once: compare(settings, opinion_id, new, expected=status, key=once, actor=user.actor),
            done=f"Compared: {DISCORDANCES[new.discordance].label.lower()}.",
        )


def show_pair(first: DiagnosisRecord, opinion: OpinionRecord) -> None:
    """Show a read and the opinion on it beside each other."""
    left, right = st.columns(2, gap="small")
    with left, st.container(border=True, height="stretch"):
        st.caption(ROLES[first.role])
        show_read(first)
    with right, st.container(border=True, height="stretch"):
        st.caption(ROLES[opinion.read.role])
        show_read(opinion.read)
        work = [WORK[one] for one in opinion.additional_work if one is not AdditionalWork.NONE]
        if work:
            st.caption(f"Asks for: {', '.join(work).lower()}")


def _fields(found: Pair, *, key: str) -> NewComparison:
    look = DISCORDANCES[found.proposal.discordance]
    st.caption(f"Proposed from the two answers: **{look.label.lower()}**. You decide what the difference means.")
    discordance = st.segmented_control(
        "What the difference means",
        list(Discordance),
        default=found.proposal.discordance,
        required=True,
        format_func=lambda one: DISCORDANCES[one].label,
        key=f"discordance_{key}",
        persist_state="page",
    )
    meaning = Discordance(discordance)
    basis, impact, error = None, _USUAL_IMPACT.get(meaning, ManagementImpact.UNKNOWN), None
    if meaning is not Discordance.AGREEMENT:
        basis, impact, error = _difference(found, impact, key=f"{meaning.value}_{key}")
    note = st.text_area("Note (optional)", key=f"compare_note_{key}", height=70, max_chars=4000, persist_state="page")
    return NewComparison(
        discordance=meaning, basis=basis, management_impact=impact, error_type=error, note=(note or "").strip()
    )


def _difference(
    found: Pair, usual: ManagementImpact, *, key: str
) -> tuple[Basis | None, ManagementImpact, ErrorType | None]:
    """Ask what differs, whom it touches and where it came from."""
    bases, impacts = list(Basis), list(ManagementImpact)
    left, middle, right = st.columns(3, gap="small")
    basis = left.selectbox(
        "Differs in",
        bases,
        index=bases.index(found.proposal.basis) if found.proposal.basis else None,
        format_func=BASES.__getitem__,
        placeholder="Not said",
        key=f"basis_{key}",
        persist_state="page",
    )
    impact = middle.selectbox(
        "Change of management",
        impacts,
        index=impacts.index(usual),
        format_func=IMPACTS.__getitem__,
        key=f"impact_{key}",
        persist_state="page",
    )
    error = right.selectbox(
        "Where it came from",
        list(ErrorType),
        index=None,
        format_func=ERRORS.__getitem__,
        placeholder="Not said",
        key=f"error_{key}",
        persist_state="page",
    )
    return basis, ManagementImpact(impact), error


def record_agreement(settings: Settings, case_id: str, *, status: CaseStatus, user: User) -> None:
    """Record that the readers agree."""
    if attempt(
        partial(agree, settings, case_id, expected=status, actor=user.actor),
        done="Recorded that the readers agree. The resolution comes next.",
    ):
        st.rerun()


def show_adjudicate(settings: Settings, case_id: str, *, status: CaseStatus, user: User) -> None:
    """Open the dialog that hands the case to a third reader."""
    ask_reason(
        "Have a third reader decide",
        icon=":material/balance:",
        told="The readers differ, and somebody who has had no part in the case decides. You ask that person next.",
        label="Reason (optional)",
        button="Have a third reader decide",
        name=f"adjudicate_{case_id}",
        action=lambda why: adjudicate(settings, case_id, reason=why, expected=status, actor=user.actor),
        done="The case is in adjudication. Ask a third reader next.",
    )
