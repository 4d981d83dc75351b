"""The board's slider, and what the worklist shows of the cases that were chosen with it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.errors import InputError
from core.roles import Permission
from core.server.identity import User
from core.services.triage.board import board
from core.services.triage.setting import Setting, SettingKind, parse_setting
from core.settings import Settings

CHOICE = "board"
"""Query parameter of the worklist: the setting of the board whose cases are listed."""

KINDS = {
    SettingKind.CASES: "Cases a day",
    SettingKind.SHARE: "Flag rate",
    SettingKind.COST: "Cost of a missed case",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Cases chosen on the triage board."""

    setting: Setting
    names: tuple[str, ...]


def choose_setting() -> Setting:
    """Let the reader say how much is looked at again; the address keeps it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Choose by",
            list(KINDS),
            default=SettingKind.CASES,
            required=True,
            format_func=KINDS.__getitem__,
            key="by",
            bind="query-params",
        )
        if kind is SettingKind.SHARE:
            percent = st.slider(
                "Flag rate",
                min_value=0,
                max_value=100,
                value=10,
                format="%d %%",
                key="share",
                width=420,
                bind="query-params",
                help="Share of the waiting cases that is looked at again.",
            )
            return Setting(SettingKind.SHARE, percent / 100)
        if kind is SettingKind.COST:
            cost = st.number_input(
                "A missed case is as bad as this many reviews that changed nothing",
                min_value=0.1,
                max_value=10_000.0,
                value=10.0,
                step=1.0,
                key="cost",
                width=420,
                bind="query-params",
                help="A case is worth a review from the probability 1 / (1 + c). Without a calibration, the value that "
                "was cheapest on resolved cases decides.",
            )
            return Setting(SettingKind.COST, cost)
        cases = st.slider(
            "Cases a day that can be looked at again",
            min_value=0,
            max_value=100,
            value=5,
            key="cases",
            width=420,
            bind="query-params",
            help="Of the cases that are read and that nobody looks at again yet, the ones most worth it.",
        )
        return Setting(SettingKind.CASES, cases)


def chosen_on_board(settings: Settings, *, user: User) -> Choice | None:
    """Return the cases that the address asks for by a setting of the board; None if it asks for none."""
    wanted = st.query_params.get(CHOICE)
    if not wanted or not user.may(Permission.SEE_REPORTS):
        return None
    try:
        setting = parse_setting(wanted)
        found = board(settings, setting, actor=user.actor)
    except InputError as err:
        st.warning(str(err), icon=":material/tune:")
        return None
    return Choice(setting, tuple(one.case_id for one in found.cases))


def show_choice(choice: Choice) -> None:
    """Say that the list holds the board's choice only, and offer the whole list."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(
            f"Chosen on the triage board: {len(choice.names)} cases ({choice.setting.words})",
            icon=":material/tune:",
            color="blue",
        )
        if st.button("Show all cases", key="leave_board", type="tertiary", icon=":material/close:"):
            del st.query_params[CHOICE]
            st.rerun()
