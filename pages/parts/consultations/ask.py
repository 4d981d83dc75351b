"""Dialogs of whoever asks for an opinion: ask, ask somebody else, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from core.domain import CaseStatus
from core.errors import SecondReadError
from core.server.identity import User, short_name
from core.services.consultations.consult import reassign, request, withdraw
from core.services.consultations.eligibility import eligible_people
from core.services.consultations.look_at import places
from core.services.consultations.request_rows import RequestRow
from core.settings import Settings
from core.store.records import SlideRecord
from core.vocabulary import Blinding, ConsultationRole, ConsultationType, Urgency
from pages.parts.common.badges import plain
from pages.parts.common.forms import ask_reason, dialog_ends, form_id, send
from pages.parts.consultations.words import BLINDINGS, TYPES, URGENCIES

_PERSON, _GROUP = "One person", "Whoever is free"
_TITLES = {
    ConsultationRole.SECOND: "Ask for a second opinion",
    ConsultationRole.ADJUDICATOR: "Ask a third reader",
}


def show_ask(
    settings: Settings,
    case_id: str,
    *,
    role: ConsultationRole,
    slides: Sequence[SlideRecord],
    status: CaseStatus,
    user: User,
) -> None:
    """Open the dialog that asks for an opinion.

    Args:
        settings: Names the home folder.
        case_id: The case.
        role: A second opinion, or the third reader's.
        slides: Of the case, for where to look.
        status: Of the case as the page shows it; the service refuses if it moved on meanwhile.
        user: Who asks.
    """
    show = st.dialog(_TITLES[role], icon=":material/forward_to_inbox:", width="large")
    show(_ask)(settings, case_id, role, slides, status, user)


def _ask(
    settings: Settings,
    case_id: str,
    role: ConsultationRole,
    slides: Sequence[SlideRecord],
    status: CaseStatus,
    user: User,
) -> None:
    name = f"ask_{role.value}_{case_id}"
    key = form_id(name)
    question = st.text_area(
        "Question",
        key=f"question_{key}",
        height=80,
        max_chars=4000,
        persist_state="page",
        placeholder="What you want to know. The consultant reads this, so it should not say what you think.",
    )
    first, second = st.columns(2, gap="medium")
    with second:
        blinding = _blinding(key)
        urgency = _urgency(key)
        due_at = _due(key)
    with first:
        consultant, pool = _whom(settings, case_id, key, role=role, blinding=blinding, user=user)
        kind = _type(key, status)
        place = _place(settings, key, slides, user=user)
    if dialog_ends("Ask", icon=":material/send:", name=name):
        send(
            name,
            lambda once: request(
                settings,
                case_id,
                consultant=consultant,
                pool=pool,
                role=role,
                type=kind,
                question=question or "",
                urgency=urgency,
                due_at=due_at,
                blinding=blinding,
                view=place,
                expected=status,
                key=once,
                actor=user.actor,
            ),
            done="The request is in the inbox of whoever is asked.",
        )


def show_ask_other(settings: Settings, asked: RequestRow, *, user: User) -> None:
    """Open the dialog that asks somebody else instead."""
    show = st.dialog("Ask somebody else", icon=":material/switch_account:", width="medium")
    show(_ask_other)(settings, asked, user)


def _ask_other(settings: Settings, asked: RequestRow, user: User) -> None:
    name = f"other_{asked.consultation_id}"
    key = form_id(name)
    st.caption("Question, urgency and blinding stay as they are.")
    role = asked.role or ConsultationRole.SECOND
    consultant, pool = _whom(settings, asked.case_id, key, role=role, blinding=asked.blinding, user=user)
    reason = st.text_area("Reason", key=f"reason_{key}", height=80, max_chars=4000, persist_state="page")
    if dialog_ends("Ask", icon=":material/send:", name=name):
        change = partial(reassign, settings, asked.consultation_id, consultant=consultant, pool=pool)
        send(name, lambda _once: change(reason=reason or "", actor=user.actor), done="Somebody else is asked now.")


def show_withdraw(settings: Settings, asked: RequestRow, *, user: User) -> None:
    """Open the dialog that withdraws a request."""
    ask_reason(
        "Withdraw the request",
        icon=":material/undo:",
        told="Nobody owes this opinion any more. The request and your reason stay in the log.",
        label="Reason",
        button="Withdraw",
        name=f"withdraw_{asked.consultation_id}",
        action=lambda reason: withdraw(settings, asked.consultation_id, reason=reason, actor=user.actor),
        done="The request is withdrawn.",
    )


def _whom(
    settings: Settings, case_id: str, key: str, *, role: ConsultationRole, blinding: Blinding, user: User
) -> tuple[str | None, str | None]:
    """Return whom to ask: a person's name in the log or None, a group or None."""
    whom = st.segmented_control(
        "Whom", [_PERSON, _GROUP], default=_PERSON, required=True, key=f"whom_{key}", persist_state="page"
    )
    if whom == _GROUP:
        pool = st.text_input("Group", value="Department", key=f"pool_{key}", max_chars=80, persist_state="page")
        return None, (pool or "").strip() or None
    try:
        people = eligible_people(settings, case_id, role=role, blinding=blinding, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return None, None
    person = st.selectbox(
        "Person",
        [one.log_name for one in people],
        index=None,
        format_func=lambda one: plain(short_name(one)),
        placeholder="Type or choose a name" if people else "Nobody can be asked like this",
        key=f"person_{key}",
        persist_state="page",
        disabled=not people,
        help="Everybody who may, has had no part in the case, and can still be blinded as you choose.",
    )
    if not people:
        st.caption("Everybody who may give it has had a part in the case or seen the result. Ask openly instead.")
    return person, None


def _blinding(key: str) -> Blinding:
    chosen = st.selectbox(
        "Blinding",
        list(Blinding),
        format_func=lambda one: BLINDINGS[one].label,
        key=f"blinding_{key}",
        persist_state="page",
    )
    st.caption(BLINDINGS[Blinding(chosen)].meaning)
    return Blinding(chosen)


def _urgency(key: str) -> Urgency:
    chosen = st.segmented_control(
        "Urgency",
        list(Urgency),
        default=Urgency.ROUTINE,
        required=True,
        format_func=lambda one: URGENCIES[one].label,
        key=f"urgency_{key}",
        persist_state="page",
    )
    return Urgency(chosen)


def _due(key: str) -> datetime | None:
    due = st.datetime_input(
        "Needed by, in UTC (optional)",
        value=None,
        key=f"due_{key}",
        format="YYYY-MM-DD",
        persist_state="page",
    )
    return None if due is None else due.replace(tzinfo=UTC)


def _type(key: str, status: CaseStatus) -> ConsultationType:
    usual = ConsultationType.MODEL_DISCORDANCE if status is CaseStatus.FLAGGED else ConsultationType.INTRADEPARTMENTAL
    options = list(ConsultationType)
    chosen = st.selectbox(
        "Why",
        options,
        index=options.index(usual),
        format_func=TYPES.__getitem__,
        key=f"type_{key}",
        persist_state="page",
        help="Hidden from a blinded consultant.",
    )
    return ConsultationType(chosen)


def _place(settings: Settings, key: str, slides: Sequence[SlideRecord], *, user: User) -> dict[str, object]:
    found = places(settings, slides, actor=user.actor)
    chosen = st.selectbox(
        "Where to look",
        range(len(found)),
        format_func=lambda number: plain(found[number].label),
        key=f"place_{key}",
        persist_state="page",
        help="The request opens there. Marks that you have drawn on the slides are offered too.",
    )
    return dict(found[chosen or 0].view)
