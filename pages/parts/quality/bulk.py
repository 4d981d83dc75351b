"""Actions on many slides of the table at once: accept them, undo that, ask for second reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from core.domain import JobKind
from core.errors import SecondReadError
from core.roles import Permission
from core.server.identity import User, short_name
from core.services.people.people import people_who_may
from core.services.quality.bulk import BulkResult, bulk_accept, undo_bulk
from core.services.quality.second_reads import AskResult, ask_second_reads, draw_second_reads
from core.services.queue.jobs import enqueue_task
from core.settings import Settings
from pages.parts.common.actions import attempt, notify
from pages.parts.common.badges import plain
from pages.parts.common.forms import dialog_ends, form_id

_LAST = "qc_last_bulk"
_ROUND = "qc_choice_round"
_SHOWN = 12
"""Slides named in a sentence; more are counted."""


def show_bulk_actions(settings: Settings, chosen: Sequence[str], *, user: User) -> None:
    """Offer what can be done with the chosen slides."""
    disabled = not chosen
    hint = "Choose slides by the boxes at the left of the table." if disabled else named(chosen)
    if st.button(
        f"Accept {len(chosen)}" if chosen else "Accept",
        key="qc_bulk_accept",
        icon=":material/done_all:",
        disabled=disabled,
        help=hint,
    ):
        st.dialog("Accept slides", icon=":material/done_all:")(_accept)(settings, tuple(chosen), user)
    if st.button(
        "Ask for a second read", key="qc_bulk_second", icon=":material/group_add:", disabled=disabled, help=hint
    ):
        st.dialog("Ask for a second read", icon=":material/group_add:")(_second)(settings, tuple(chosen), user)
    if user.can_operate:
        show_measure(settings, chosen, user=user)


def choice_round() -> int:
    """Return how often a choice of slides was used up: part of the table's key, so that the next starts empty."""
    return st.session_state.setdefault(_ROUND, 0)


def end_choice() -> None:
    """Forget which slides are chosen."""
    st.session_state[_ROUND] = choice_round() + 1


def show_measure(settings: Settings, slide_ids: Sequence[str], *, user: User) -> None:
    """Offer to measure the quality of slides anew; the worker does it."""
    if st.button(
        "Measure",
        key="qc_measure",
        icon=":material/speed:",
        type="tertiary",
        disabled=not slide_ids,
        help="Queues the measurement of quality alone; its progress is under Add slides and jobs.",
    ):

        def queue() -> None:
            for slide_id in slide_ids:
                enqueue_task(settings, slide_id, kind=JobKind.QC, payload={}, actor=user.actor)

        if attempt(queue, done=f"Queued: {named(slide_ids)}."):
            st.rerun()


def named(slide_ids: Sequence[str]) -> str:
    """Return slides as a list in words; a long list is cut, and says so."""
    shown = ", ".join(plain(slide_id) for slide_id in slide_ids[:_SHOWN])
    more = len(slide_ids) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _accept(settings: Settings, slide_ids: Sequence[str], user: User) -> None:
    name = f"qc_bulk_{'_'.join(slide_ids)}"
    st.markdown(f"**{len(slide_ids)}** slides are accepted as they are, each with an entry of its own in the log:")
    st.caption(named(slide_ids))
    st.caption("Slides that have a verdict, have not been measured, or are yours to read blinded are left alone.")
    note = st.text_area("Note", key=f"note_{form_id(name)}", height=80, max_chars=1000, persist_state="page")
    if dialog_ends("Accept", icon=":material/done_all:", name="qc_bulk"):
        try:
            result = bulk_accept(settings, slide_ids, note=note or "", key=form_id(name), actor=user.actor)
        except SecondReadError as err:
            st.error(str(err), icon=":material/error:")
            return
        st.session_state.pop(f"form:{name}", None)
        st.session_state[_LAST] = result
        end_choice()
        notify(f"{len(result.judged)} accepted, {len(result.skipped)} left alone.")
        st.rerun()


def show_last_bulk(settings: Settings, *, user: User) -> None:
    """Say what the last action on many slides did, with the way to undo it."""
    result: BulkResult | None = st.session_state.get(_LAST)
    if result is None:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="qc_last_bulk_box"):
        done = f"{len(result.judged)} slides accepted." if len(result.judged) != 1 else "1 slide accepted."
        st.markdown(f":material/done_all: **{done}**", width="content")
        if result.skipped:
            with st.popover(f"{len(result.skipped)} left alone", icon=":material/info:"):
                for slide_id, why in result.skipped:
                    st.markdown(f"{plain(slide_id)}: {plain(why)}")
        st.space("stretch")
        batch = result.batch
        wants_undo = batch is not None and st.button("Undo", key="qc_undo_bulk", icon=":material/undo:")
        if wants_undo and attempt(
            lambda: undo_bulk(settings, str(batch), actor=user.actor), done="Taken back; the log keeps both."
        ):
            st.session_state.pop(_LAST)
            st.rerun()
        if st.button("Close", key="qc_close_bulk", icon=":material/close:", type="tertiary"):
            st.session_state.pop(_LAST)
            st.rerun()


def _second(settings: Settings, slide_ids: Sequence[str], user: User) -> None:
    name = f"qc_second_{'_'.join(slide_ids)}"
    st.markdown(f"A second, blinded read of **{len(slide_ids)}** slides:")
    st.caption(named(slide_ids))
    reader = _reader(settings, name, user=user)
    reason = st.text_input("Why (optional)", key=f"why_{form_id(name)}", max_chars=300, persist_state="page")
    if dialog_ends("Ask", icon=":material/send:", name="qc_second"):
        _ask(
            name,
            lambda: ask_second_reads(settings, slide_ids, reader=reader, reason=reason or "", actor=user.actor),
        )


def show_draw(settings: Settings, *, user: User) -> None:
    """Open the dialog that draws slides for a second read at random."""
    st.dialog("Draw slides for a second read", icon=":material/casino:")(_draw)(settings, user)


def _draw(settings: Settings, user: User) -> None:
    name = "qc_draw"
    key = form_id(name)
    st.caption("Drawn among the slides that have one verdict. The seed is kept, so that the draw can be repeated.")
    with st.container(horizontal=True):
        share = st.number_input("Share to draw, %", 1, 100, 20, key=f"share_{key}", persist_state="page")
        seed = st.number_input("Seed", 0, 2**31 - 1, 1, key=f"seed_{key}", persist_state="page")
    reader = _reader(settings, name, user=user)
    if dialog_ends("Draw", icon=":material/casino:", name=name):
        _ask(
            name,
            lambda: draw_second_reads(settings, share=share / 100, seed=int(seed), reader=reader, actor=user.actor),
        )


def _reader(settings: Settings, name: str, *, user: User) -> str | None:
    """Let somebody be named; None is anybody who may judge quality."""
    people = [one.log_name for one in people_who_may(settings, Permission.JUDGE_QUALITY)]
    return st.selectbox(
        "Asked of",
        [one for one in people if one != user.actor],
        index=None,
        format_func=lambda one: plain(short_name(one)),
        placeholder="Anybody who judges quality and has not judged the slide",
        key=f"reader_{form_id(name)}",
        persist_state="page",
        help="Until the second verdict is given, the first is hidden from whoever may give it.",
    )


def _ask(name: str, action: Callable[[], AskResult]) -> None:
    """Ask, and say of how many slides; a refusal stays in the dialog."""
    try:
        result = action()
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    left = f" Left alone: {named([slide_id for slide_id, _ in result.skipped])}." if result.skipped else ""
    slides = "1 slide" if len(result.asked) == 1 else f"{len(result.asked)} slides"
    notify(f"A second read of {slides} is asked for.{left}")
    end_choice()
    st.session_state.pop(f"form:{name}", None)
    st.rerun()
