"""The verdict on one slide: what was suggested, what is decided and why, second reads, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.server.identity import User, short_name
from core.services.quality.verdicts import (
    NewQcVerdict,
    QcVerdictRecord,
    SlideVerdicts,
    judge,
    reveal_verdicts,
    usual_origin,
    withdraw_verdict,
)
from core.settings import Settings
from core.vocabulary import QcDisposition, QcOrigin, QcReason, QcRole
from pages.parts.common.actions import attempt
from pages.parts.common.badges import plain, time_in_words
from pages.parts.common.forms import form_id, send
from pages.parts.quality.words import DISPOSITIONS, ORIGINS, REASONS

_ROLES = {QcRole.FIRST: "First read", QcRole.SECOND: "Second read"}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the measurement suggests; a person decides."""

    disposition: QcDisposition | None
    reason: QcReason | None
    origin: QcOrigin | None


def note_key(slide_id: str) -> str:
    """Return the key of the note's field, which the viewer's key N jumps to."""
    return f"qc_note_{form_id(_form(slide_id))}"


def _form(slide_id: str) -> str:
    return f"qc_{slide_id}"


@st.fragment
def show_verdict_form(
    settings: Settings, verdicts: SlideVerdicts, suggested: Suggestion, *, after: str | None, user: User
) -> None:
    """Let whoever may judge the slide, or change a verdict of one's own; switches in it redraw nothing else.

    Args:
        settings: Names the home folder.
        verdicts: As the person may see them.
        suggested: What the measurement suggests.
        after: The slide that comes next in the table.
        user: Who looks.
    """
    if not verdicts.may_judge:
        st.caption("Quality control and leads give verdicts on slides; you see what they decided under History.")
        return
    key = form_id(_form(verdicts.slide_id))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.segmented_control(
            "Your verdict" if verdicts.own is None else "Your verdict anew",
            list(QcDisposition),
            format_func=lambda one: DISPOSITIONS[one].label,
            key=f"qc_disposition_{key}",
            help="Nothing is chosen for you. The suggestion stands above and is only a suggestion.",
        )
        if suggested.disposition is not None:
            st.button(
                "Take over",
                key=f"qc_take_{key}",
                icon=":material/content_paste_go:",
                on_click=_take_over,
                args=(key, suggested),
                help="Fills in the suggested verdict and reason. Nothing is recorded until you record it.",
            )
    reason, origin = None, None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if chosen is not None and chosen is not QcDisposition.ACCEPT:
            reason, origin = _fault(key)
        note = st.text_input(
            "Note" if reason is not QcReason.OTHER else "Note (needed: say what it is)",
            key=note_key(verdicts.slide_id),
            max_chars=1000,
            placeholder="What the next person needs to know (N)",
        )
        alone = st.button("Record", key=f"qc_record_{key}", icon=":material/gavel:")
        onward = st.button(
            "Record and next",
            key=f"qc_onward_{key}",
            type="primary",
            icon=":material/arrow_forward:",
            disabled=after is None,
            help=f"Goes on to slide {after}" if after else "This is the last slide of the table",
        )
    if alone or onward:
        new = None if chosen is None else NewQcVerdict(disposition=chosen, reason=reason, origin=origin, note=note)
        _record(settings, verdicts, new, after=after if onward else None, user=user)


def _fault(key: str) -> tuple[QcReason | None, QcOrigin | None]:
    reason = st.selectbox(
        "Main fault",
        list(QcReason),
        index=None,
        format_func=REASONS.__getitem__,
        placeholder="Choose what is wrong",
        key=f"qc_reason_{key}",
        width=230,
    )
    # Another fault has another usual origin: the field starts anew, with that of this fault.
    origin_key = f"qc_origin_{key}_{reason}"
    st.session_state.setdefault(origin_key, None if reason is None else usual_origin(reason))
    origin = st.selectbox(
        "Came into being in",
        list(QcOrigin),
        index=None,
        format_func=lambda one: one.value.capitalize(),
        placeholder="Choose",
        key=origin_key,
        width=160,
        help=". ".join(ORIGINS.values()) + ". A rescan mends only what the scan did.",
    )
    return reason, origin


def _take_over(key: str, suggested: Suggestion) -> None:
    st.session_state[f"qc_disposition_{key}"] = suggested.disposition
    if suggested.disposition is not QcDisposition.ACCEPT:
        st.session_state[f"qc_reason_{key}"] = suggested.reason
        st.session_state[f"qc_origin_{key}_{suggested.reason}"] = suggested.origin


def _record(
    settings: Settings, verdicts: SlideVerdicts, new: NewQcVerdict | None, *, after: str | None, user: User
) -> None:
    if new is None:
        st.error("Choose a verdict first.", icon=":material/error:")
        return

    def act(once: str) -> None:
        judge(settings, verdicts.slide_id, new, seen=verdicts.seen, key=once, actor=user.actor)
        if after is not None:
            st.query_params["slide"] = after

    told = DISPOSITIONS[new.disposition].label.lower()
    send(_form(verdicts.slide_id), act, done=f"Recorded for {verdicts.slide_id}: {told}.")


def show_standing(settings: Settings, verdicts: SlideVerdicts, *, user: User) -> None:
    """Show the verdicts that count now; where they are hidden, say so and offer to reveal them."""
    if verdicts.hidden:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.info(plain(verdicts.because), icon=":material/visibility_off:")
            if st.button(
                "Reveal the verdict",
                key="qc_reveal",
                icon=":material/visibility:",
                help="The log keeps that you saw it; your own verdict then no longer counts as blinded.",
            ) and attempt(
                lambda: reveal_verdicts(settings, verdicts.slide_id, actor=user.actor), done="The verdict is shown."
            ):
                st.rerun()
    elif verdicts.asks:
        st.info("A second quality read of this slide is asked for; you may give it.", icon=":material/group:")
    for verdict in verdicts.standing:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            show_verdict(verdict)
            if verdicts.own is not None and verdict.verdict_id == verdicts.own.verdict_id:
                st.space("stretch")
                _show_withdraw(settings, verdict, user=user)


def show_verdict(verdict: QcVerdictRecord) -> None:
    """Show one verdict in a line: what, why, by whom, when."""
    if verdict.disposition is None:
        st.badge("Taken back", color="gray", icon=":material/undo:")
    else:
        look = DISPOSITIONS[verdict.disposition]
        st.badge(look.label, icon=look.icon, color=look.colour, help=look.meaning)
    told = [_ROLES[verdict.role], plain(short_name(verdict.reader)), time_in_words(verdict.created_at)]
    told += [f"{REASONS[verdict.reason]}, from {verdict.origin or '-'}"] if verdict.reason else []
    told += ["blinded"] if verdict.blinded_to_first else []
    told += ["together with others"] if verdict.batch else []
    st.caption(" · ".join(told), width="content")
    if verdict.note:
        st.markdown(plain(verdict.note), width="content")


def _show_withdraw(settings: Settings, verdict: QcVerdictRecord, *, user: User) -> None:
    if st.button(
        "Take back",
        key=f"qc_withdraw_{verdict.verdict_id}",
        icon=":material/undo:",
        type="tertiary",
        help="The log keeps both the verdict and that you took it back.",
    ) and attempt(
        lambda: withdraw_verdict(settings, verdict.slide_id, actor=user.actor), done="Your verdict is taken back."
    ):
        st.rerun()


def show_verdict_history(verdicts: SlideVerdicts) -> None:
    """Show every verdict that the person may see, superseded and withdrawn ones too, newest first."""
    if not verdicts.history:
        st.caption(
            "No verdict that you may see yet." if verdicts.hidden else "Nobody has given a verdict on this slide yet."
        )
        return
    counting = {verdict.verdict_id for verdict in verdicts.standing}
    rows = [
        {
            "Time (UTC)": verdict.created_at,
            "Who": short_name(verdict.reader),
            "Read": _ROLES[verdict.role],
            "Verdict": DISPOSITIONS[verdict.disposition].label if verdict.disposition else "Taken back",
            "Fault": REASONS[verdict.reason] if verdict.reason else "-",
            "Suggested then": DISPOSITIONS[verdict.suggested].label if verdict.suggested else "-",
            "Score then": verdict.score,
            "Limits": verdict.limits_version or "-",
            "Blinded": "-" if verdict.blinded_to_first is None else "yes" if verdict.blinded_to_first else "no",
            "Counts": "yes" if verdict.verdict_id in counting else "no",
            "Note": verdict.note,
        }
        for verdict in reversed(verdicts.history)
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        column_config={
            "Time (UTC)": st.column_config.DatetimeColumn("Time (UTC)", format="YYYY-MM-DD HH:mm"),
            "Score then": st.column_config.NumberColumn("Score then", format="%.2f"),
        },
        alt="All quality verdicts on this slide, newest first",
    )
    st.caption("Verdicts are never changed: a new one takes the place of the reader's earlier one, and both stay.")
