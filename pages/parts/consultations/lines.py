"""The lines of the page of second opinions: cards for what is to be done, tables for what waits, and their export."""

from __future__ import annotations

import io
from collections.abc import Sequence
from enum import StrEnum
from urllib.parse import parse_qsl

import pandas as pd
import streamlit as st

from core.domain import NOT_FOR_DIAGNOSIS
from core.server.identity import short_name
from core.services.consultations.inbox import Inbox, Line, Task
from core.vocabulary import Urgency
from pages.parts.common.badges import Look, plain, show_badges
from pages.parts.common.frame import PHANTOM_SENTENCE
from pages.parts.common.tables import harmless
from pages.parts.consultations.words import STATES, URGENCIES, due_in_words, waited_in_words

CARDS = 30
"""So many cards are shown; a longer list is narrowed by search or urgency."""


class View(StrEnum):
    """What the page lists."""

    TO_DO = "To do"
    TO_TAKE = "To take"
    ASKED = "I asked"
    LATE = "Overdue"
    DEPARTMENT = "All waiting"


TASKS = {
    Task.ANSWER: Look("Give your opinion", "blue", ":material/rate_review:"),
    Task.ADJUDICATE: Look("Decide as the third reader", "red", ":material/balance:"),
    Task.ACKNOWLEDGE: Look("Take it on", "orange", ":material/mail:"),
    Task.ASK_OTHER: Look("Declined: ask somebody else", "red", ":material/switch_account:"),
    Task.COMPARE: Look("Compare and decide", "blue", ":material/compare:"),
    Task.ASK_THIRD: Look("Ask a third reader", "red", ":material/balance:"),
    Task.RESOLVE: Look("Record the resolution", "violet", ":material/task_alt:"),
    Task.SIGN: Look("Sign", "green", ":material/draw:"),
    Task.TAKE: Look("Free to take", "orange", ":material/group:"),
    Task.WAIT: Look("Waits for somebody else", "gray", ":material/hourglass_top:"),
    Task.DONE: Look("Done", "green", ":material/check_circle:"),
}
_EMPTY = {
    View.TO_DO: (
        "Nothing waits for you",
        "Requests for your opinion will stand here, and cases of yours to compare, resolve or sign.",
    ),
    View.TO_TAKE: ("No request is free to take", "Requests to a group that you may answer for will stand here."),
    View.ASKED: (
        "You have asked for no opinion",
        "Open a case that was read and choose Ask for a second opinion; it will stand here until it is answered.",
    ),
    View.LATE: ("Nothing is overdue", "Requests whose time has passed without an opinion will stand here."),
    View.DEPARTMENT: ("No case waits", "Every case between a request and its signature will stand here."),
}


def lines_of(box: Inbox, view: View) -> tuple[Line, ...]:
    """Return the lines of a view."""
    return {
        View.TO_DO: box.to_do,
        View.TO_TAKE: box.to_take,
        View.ASKED: box.asked,
        View.LATE: box.late,
        View.DEPARTMENT: box.department,
    }[view]


def choose_view(box: Inbox) -> View:
    """Let the reader choose what is listed; every choice says how many lines it has."""
    chosen = st.segmented_control(
        "View",
        list(View),
        default=View.TO_DO,
        required=True,
        format_func=lambda view: f"{view.value} ({len(lines_of(box, view))})",
        key="opinions_view",
        label_visibility="collapsed",
    )
    return View(chosen)


def open_line(line: Line) -> None:
    """Open the case of a line at the place that the request points to."""
    st.switch_page("case.py", query_params=dict(parse_qsl(line.link.removeprefix("?"))))


def show_empty_view(view: View) -> None:
    """Say that a view is empty, and what will stand in it."""
    title, told = _EMPTY[view]
    st.info(told, title=title, icon=":material/inbox:")


def show_cards(lines: Sequence[Line], *, actor: str) -> None:
    """Show one card a line: what is to be done, on which case, until when; the button opens the case there."""
    for number, line in enumerate(lines[:CARDS]):
        with st.container(border=True):
            _card(line, number=number, actor=actor)
    if len(lines) > CARDS:
        st.caption(f"{CARDS} of {len(lines)}. Search or choose an urgency to see the others.")


def _card(line: Line, *, number: int, actor: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(gap="xsmall"):
            looks = [TASKS[line.task]]
            looks += [URGENCIES[line.urgency]] if line.urgency is not Urgency.ROUTINE else []
            looks += [Look("Overdue", "red", ":material/alarm:")] if line.is_overdue else []
            show_badges(looks)
            question = f": {plain(line.question)}" if line.question else ""
            st.markdown(f"**Case {plain(line.case_id)}**{question}")
            st.caption(_facts(line, actor=actor))
        if st.button("Open", key=f"open_{number}_{line.task.value}_{line.case_id}", icon=":material/open_in_new:"):
            open_line(line)


def _facts(line: Line, *, actor: str) -> str:
    who = plain(short_name(line.asked_by)) if line.asked_by else "A colleague"
    who = "You" if line.asked_by == actor else who
    asked = f"{who} asked" + (f" {plain(line.asked_of)}" if line.task is Task.TAKE else "")
    due = [due_in_words(line.due_at, overdue=line.is_overdue)] if line.due_at else []
    return ", ".join([asked, f"waiting {waited_in_words(line.since)}", *due])


def lines_frame(lines: Sequence[Line]) -> pd.DataFrame:
    """Return one row a line."""
    return pd.DataFrame(
        {
            "Case": [line.case_id for line in lines],
            "Next": [[TASKS[line.task].label] for line in lines],
            "Question": [line.question or "-" for line in lines],
            "Urgency": [[URGENCIES[line.urgency].label] for line in lines],
            "Asked by": [line.asked_by or "hidden" for line in lines],
            "Asked of": [line.asked_of or "-" for line in lines],
            "State": [[STATES[line.state].label] if line.state else [] for line in lines],
            "Due": pd.to_datetime([line.due_at for line in lines], utc=True),
            "Since": pd.to_datetime([line.since for line in lines], utc=True),
        }
    )


_COLUMNS = {
    View.ASKED: ["Case", "State", "Question", "Asked of", "Urgency", "Due", "Since"],
    View.LATE: ["Case", "State", "Question", "Asked by", "Asked of", "Urgency", "Due"],
    View.DEPARTMENT: ["Case", "Next", "Asked by", "Since"],
}


def show_table(lines: Sequence[Line], *, view: View) -> None:
    """Show the lines as a table; a click opens the case."""
    frame = lines_frame(lines)
    names = {name: [short_name(value) for value in frame[name]] for name in ("Asked by", "Asked of")}
    event = st.dataframe(
        frame.assign(**names),
        key=f"opinions_{view.name.lower()}",
        hide_index=True,
        height="content",
        column_order=_COLUMNS[view],
        column_config={
            "Case": st.column_config.TextColumn("Case", width=100, pinned=True),
            "Next": _badges("Next", list(TASKS.values()), width=190),
            "Question": st.column_config.TextColumn("Question", width=330),
            "Urgency": _badges("Urgency", list(URGENCIES.values()), width=90),
            "State": _badges("State", list(STATES.values()), width=120),
            "Due": st.column_config.DatetimeColumn("Due (UTC)", format="YYYY-MM-DD HH:mm", width=125),
            "Since": st.column_config.DatetimeColumn("Since (UTC)", format="YYYY-MM-DD HH:mm", width=125),
        },
        placeholder="-",
        on_select="rerun",
        selection_mode="single-cell",
        alt="Requests for second opinions with their state",
    )
    st.caption("Click a row to open the case.")
    if event.selection.cells:
        open_line(lines[event.selection.cells[0][0]])


def _badges(label: str, looks: Sequence[Look], *, width: int) -> object:
    labels = {look.label: look.colour for look in looks}
    return st.column_config.MultiselectColumn(label, options=list(labels), color=list(labels.values()), width=width)


def lines_csv(lines: Sequence[Line]) -> bytes:
    """Return the lines as CSV (UTF-8 with a mark for spreadsheets), under the two sentences."""
    table = lines_frame(lines)
    for column in ("Next", "Urgency", "State"):
        table[column] = ["; ".join(labels) for labels in table[column]]
    for column in table.select_dtypes(exclude=["datetime", "datetimetz"]):
        table[column] = [harmless(value) for value in table[column]]
    text = io.StringIO()
    text.write(f"# {NOT_FOR_DIAGNOSIS} {PHANTOM_SENTENCE}\n")
    table.to_csv(text, index=False)
    return text.getvalue().encode("utf-8-sig")
