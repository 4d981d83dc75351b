"""The line below a case's name: where its second opinion stands, and the next step as the one primary button."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from core.domain import CaseStatus
from core.roles import Permission
from core.server.identity import User, short_name
from core.services.cases.worklist import CaseDetail
from core.services.consultations.lists import CaseConsult
from core.services.consultations.next_step import NextStep, Turn
from core.services.consultations.request_rows import RequestRow
from core.settings import Settings
from core.states import Step, in_words
from core.vocabulary import ConsultationRole, Discordance, Urgency
from pages.parts.common.badges import Look, plain, show_badges
from pages.parts.consultations.ask import show_ask, show_ask_other, show_withdraw
from pages.parts.consultations.compare import record_agreement, show_adjudicate, show_compare
from pages.parts.consultations.opinion import hidden_words, show_decline, take_on
from pages.parts.consultations.resolving import show_reopen, show_resolve, show_sign
from pages.parts.consultations.words import BLINDINGS, DISCORDANCES, STATES, URGENCIES, due_in_words

_SHOWN_LAST = "case_shown_last"
KEY = "w"
"""Key of the next step, wherever on the page no text is being typed."""


@dataclass(frozen=True, slots=True)
class CaseScene:
    """What the page knows of a case while it draws."""

    settings: Settings
    detail: CaseDetail
    consult: CaseConsult
    step: NextStep
    user: User

    @property
    def case_id(self) -> str:
        """The case."""
        return self.detail.case.case_id

    @property
    def status(self) -> CaseStatus:
        """Where the case stands as this page shows it."""
        return self.consult.status


def show_ask_button(scene: CaseScene) -> None:
    """Offer to ask for a second opinion, where the case was read and nobody is asked yet."""
    if scene.step.turn is not Turn.ASK:
        return
    own = any(read.reader == scene.user.actor for read in scene.detail.diagnoses)
    primary = own and scene.status is CaseStatus.FLAGGED
    asked = st.button(
        "Ask for a second opinion",
        key="ask_opinion",
        icon=":material/forward_to_inbox:",
        type="primary" if primary else "secondary",
        shortcut=KEY,
    )
    if asked:
        _ask(scene, ConsultationRole.SECOND)


def note_moved_on(scene: CaseScene, *, own: bool) -> None:
    """Say that a case moved on since this page last showed it.

    Args:
        scene: As it is now.
        own: Whether this reader did something just now, so that it moved by that.
    """
    asked = None if scene.step.request is None else scene.step.request.state
    now = (scene.case_id, scene.status, scene.step.turn, asked)
    before = st.session_state.get(_SHOWN_LAST)
    st.session_state[_SHOWN_LAST] = now
    if own or before is None or before[0] != scene.case_id or before == now:
        return
    st.toast(
        f"Case {plain(scene.case_id)} moved on since you opened it: it is {in_words(scene.status)}.",
        icon=":material/update:",
        duration="long",
    )


def show_turn(scene: CaseScene) -> None:
    """Show where the second opinion of a case stands and what comes next; nothing where none was asked for."""
    show = _SHOWN.get(scene.step.turn)
    if show is not None:
        with st.container(border=True, key="turn"):
            show(scene)
    elif scene.status is CaseStatus.SIGNED and not scene.consult.visibility.is_blinded:
        with st.container(border=True, key="turn"):
            _signed(scene)


def _line(looks: list[Look], told: str, buttons: Callable[[], None], *, below: str = "") -> None:
    """Show one line: states and a sentence on the left, what may be done on the right."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="stretch", gap="xsmall"):
            if looks:
                show_badges(looks)
            st.markdown(told)
            if below:
                st.caption(below)
        with st.container(horizontal=True, horizontal_alignment="right", width="content", gap="xsmall"):
            buttons()


def _primary(scene: CaseScene, label: str, icon: str) -> bool:
    # A key of its own for every step: a click on a page that is behind must not take the step that came after.
    return st.button(label, key=f"next_{scene.step.turn.value}", icon=icon, type="primary", shortcut=KEY)


def _choice(label: str, icon: str, *, key: str, primary: bool) -> bool:
    """Show one of two ways on; the usual one is the primary button."""
    kind = "primary" if primary else "tertiary"
    return st.button(label, key=key, icon=icon, type=kind, shortcut=KEY if primary else None)


def _request_looks(asked: RequestRow) -> list[Look]:
    looks = [STATES[asked.state], BLINDINGS[asked.blinding]]
    if asked.urgency is not Urgency.ROUTINE:
        looks.append(URGENCIES[asked.urgency])
    if asked.is_overdue:
        looks.append(Look("Overdue", "red", ":material/alarm:"))
    return looks


def _asked_of_me(scene: CaseScene) -> None:
    asked = _request(scene)
    pooled = asked.consultant is None
    taken = scene.step.turn is Turn.GIVE
    if taken:
        told = "**Your opinion is awaited.**"
    else:
        told = (
            f"**{plain(asked.pool or '')} is asked for an opinion.**" if pooled else "**You are asked for an opinion.**"
        )
    who = "" if asked.requester == "hidden" else f"{plain(short_name(asked.requester))} asks: "
    due = f" ({due_in_words(asked.due_at, overdue=asked.is_overdue)})" if asked.due_at else ""

    def buttons() -> None:
        if not pooled and st.button("Decline", key="decline", icon=":material/block:", type="tertiary"):
            show_decline(scene.settings, asked, user=scene.user)
        if not taken and _primary(scene, "Take it on", ":material/drafts:"):
            take_on(scene.settings, asked, user=scene.user)

    below = (
        f":material/visibility_off: {hidden_words(scene.consult.visibility)}"
        if scene.consult.visibility.is_blinded
        else ""
    )
    _line(_request_looks(asked), f"{told} {who}{plain(asked.question)}{due}", buttons, below=below)


def _wait(scene: CaseScene) -> None:
    asked = _request(scene)
    whom = plain(short_name(asked.consultant)) if asked.consultant else plain(asked.pool or "")
    told = f"**Waiting for the opinion of {whom}**, {due_in_words(asked.due_at, overdue=asked.is_overdue)}."
    _line(_request_looks(asked), told, lambda: _requester_buttons(scene, asked, primary=False))


def _declined(scene: CaseScene) -> None:
    asked = _request(scene)
    whom = plain(short_name(asked.consultant or ""))
    told = f"**{whom} has declined:** {plain(asked.declined_reason or '')}"
    _line(_request_looks(asked), told, lambda: _requester_buttons(scene, asked, primary=True))


def _requester_buttons(scene: CaseScene, asked: RequestRow, *, primary: bool) -> None:
    """Offer what only who asked, or who manages requests, may do."""
    if asked.requester != scene.user.actor and not scene.user.may(Permission.MANAGE_REQUESTS):
        return
    if st.button("Withdraw", key="withdraw", icon=":material/undo:", type="tertiary"):
        show_withdraw(scene.settings, asked, user=scene.user)
    other = st.button(
        "Ask somebody else",
        key="ask_other",
        icon=":material/switch_account:",
        type="primary" if primary else "tertiary",
        shortcut=KEY if primary else None,
    )
    if other:
        show_ask_other(scene.settings, asked, user=scene.user)


def _compare(scene: CaseScene) -> None:
    def buttons() -> None:
        if _primary(scene, "Compare the reads", ":material/compare:"):
            opinion = scene.step.opinion_id or 0
            show_compare(scene.settings, opinion, status=scene.status, user=scene.user)

    _line([], "**The opinion is locked and everything is revealed.** Compare it with the first read.", buttons)


def _decide(scene: CaseScene) -> None:
    found = scene.consult.comparisons[-1].discordance
    differ = found in (Discordance.MAJOR, Discordance.DEFERRED)

    def third() -> None:
        if _choice("Have a third reader decide", ":material/balance:", key="adjudicate", primary=differ):
            show_adjudicate(scene.settings, scene.case_id, status=scene.status, user=scene.user)

    def same() -> None:
        if _choice("The readers agree", ":material/handshake:", key="agree", primary=not differ):
            record_agreement(scene.settings, scene.case_id, status=scene.status, user=scene.user)

    def buttons() -> None:
        for show in (same, third) if differ else (third, same):
            show()

    _line([DISCORDANCES[found]], "**Compared.** Agree, after talking it over, or have a third reader decide.", buttons)


def _third(scene: CaseScene) -> None:
    def buttons() -> None:
        if _primary(scene, "Ask a third reader", ":material/balance:"):
            _ask(scene, ConsultationRole.ADJUDICATOR)

    _line([], "**The readers differ.** Somebody who has had no part in the case decides.", buttons)


def _resolve(scene: CaseScene) -> None:
    def buttons() -> None:
        if _primary(scene, "Record the resolution", ":material/task_alt:"):
            reads = scene.detail.diagnoses
            show_resolve(scene.settings, scene.case_id, reads=reads, status=scene.status, user=scene.user)

    agreed = scene.status is CaseStatus.AGREED
    told = "**The readers agree.**" if agreed else "**The third reader has decided.**"
    _line([], f"{told} Record what stands and what became of the report.", buttons)


def _sign(scene: CaseScene) -> None:
    def buttons() -> None:
        _reopen_button(scene)
        if _primary(scene, "Sign", ":material/draw:"):
            _open_sign(scene)

    _line([], "**Resolved.** The resolution takes effect with a signature.", buttons)


def _signed(scene: CaseScene) -> None:
    def buttons() -> None:
        _reopen_button(scene)
        if scene.user.may(Permission.SIGN) and st.button(
            "Sign as well", key="sign_as_well", icon=":material/draw:", type="tertiary"
        ):
            _open_sign(scene)

    _line([], ":material/verified: **Resolved and signed.** The whole way is under Second opinion.", buttons)


def _reopen_button(scene: CaseScene) -> None:
    may = Step.REOPEN in scene.consult.steps and scene.user.may(Permission.RESOLVE)
    if may and st.button("Open again", key="reopen", icon=":material/lock_open:", type="tertiary"):
        show_reopen(scene.settings, scene.case_id, status=scene.status, user=scene.user)


def _open_sign(scene: CaseScene) -> None:
    show_sign(scene.settings, scene.case_id, reads=scene.detail.diagnoses, status=scene.status, user=scene.user)


def _ask(scene: CaseScene, role: ConsultationRole) -> None:
    slides = scene.detail.slides
    show_ask(scene.settings, scene.case_id, role=role, slides=slides, status=scene.status, user=scene.user)


def _request(scene: CaseScene) -> RequestRow:
    """Return the request that the step is about; such steps have one."""
    assert scene.step.request is not None  # noqa: S101 - `next_step` gives these turns with a request
    return scene.step.request


_SHOWN: dict[Turn, Callable[[CaseScene], None]] = {
    Turn.TAKE_ON: _asked_of_me,
    Turn.GIVE: _asked_of_me,
    Turn.WAIT: _wait,
    Turn.ASK_OTHER: _declined,
    Turn.COMPARE: _compare,
    Turn.DECIDE: _decide,
    Turn.ASK_THIRD: _third,
    Turn.RESOLVE: _resolve,
    Turn.SIGN: _sign,
}
