"""The cases that the board chooses, and the audit of the ones it does not."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.roles import Permission
from core.server.identity import User, short_name
from core.services.triage.audits import LARGEST_DRAW, SEED_LIMIT, AuditView, draw_audit
from core.services.triage.board import Board, OpenCase
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.common.badges import CASES, plain, time_in_words
from pages.parts.common.tables import csv_bytes, harmless
from pages.parts.triage.numbers import audit_sizes
from pages.parts.triage.setting import CHOICE

SHOWN = 200
"""Rows of the table; the worklist and the export hold all."""


def chosen_frame(cases: Sequence[OpenCase], *, calibrated: bool) -> pd.DataFrame:
    """Return one row a chosen case."""
    return pd.DataFrame(
        {
            "Place": range(1, len(cases) + 1),
            "Case": [one.case_id for one in cases],
            "Benefit": [one.benefit for one in cases],
            "Severity": [one.severity for one in cases],
            "Probability" if calibrated else "Uncalibrated": [one.probability for one in cases],
            "Quality": [one.quality for one in cases],
            "Flagged": ["yes" if one.flagged else "no" for one in cases],
            "Assigned to": [one.assigned_to or "-" for one in cases],
        }
    )


def show_chosen(found: Board) -> None:
    """Show the chosen cases, lead to them on the worklist, and export them."""
    if not found.waiting:
        st.info(
            "No case is read and waiting. Once cases are read, the ones most worth a second look stand here.",
            title="Nothing to choose from",
            icon=":material/inbox:",
        )
        return
    if not found.cases:
        st.info("This setting chooses no case. Move the slider up.", icon=":material/tune:")
        return
    frame = chosen_frame(found.cases, calibrated=found.calibration is not None)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Show these on the worklist",
            key="to_worklist",
            type="primary",
            icon=":material/format_list_bulleted:",
            help="The worklist with these cases only, to be assigned and opened.",
        ):
            st.switch_page("worklist.py", query_params={CHOICE: found.setting.text})
        st.download_button(
            "Export CSV",
            csv_bytes(
                frame.assign(**{name: [harmless(one) for one in frame[name]] for name in ("Case", "Assigned to")}),
                notes=(f"Triage board: {found.setting.words}.", found.caution),
            ),
            file_name="second-read-triage.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="triage_export",
        )
        st.caption(f"{min(len(frame), SHOWN)} of {len(frame)} shown. Benefit = severity x probability x quality.")
    event = st.dataframe(
        frame.head(SHOWN).assign(**{"Assigned to": [short_name(one) for one in frame["Assigned to"].head(SHOWN)]}),
        key="triage_table",
        column_config={
            name: st.column_config.NumberColumn(name, format="%.2f")
            for name in ("Benefit", "Probability", "Uncalibrated", "Quality")
        },
        hide_index=True,
        height="content" if len(frame) < 12 else 420,
        on_select="rerun",
        selection_mode="single-cell",
        alt="Cases chosen for a second look, the most worth it first",
    )
    if event.selection.cells:
        st.switch_page("case.py", query_params={"case": found.cases[event.selection.cells[0][0]].case_id})


def show_audit(settings: Settings, view: AuditView, found: Board, *, user: User) -> None:
    """Show every draw with its seed and what was found, and let who may draw anew."""
    audit = found.audit
    if audit.bound is None:
        st.info(
            "No drawn case has a compared second opinion yet, so nothing bounds what the rules miss. Draw unflagged "
            "cases at random and ask for blinded opinions on them. Without a miss among them, the miss rate is bounded "
            f"by {audit_sizes()}.",
            title="What is missed is unknown",
            icon=":material/casino:",
        )
    else:
        st.markdown(
            f"**{audit.missed} of {audit.audited}** drawn cases were missed discordances: at most "
            f"**{audit.bound:.1%}** of the unflagged cases (95 %, one-sided, Clopper-Pearson). Without a miss it is "
            f"bounded by {audit_sizes()}."
        )
    if user.may(Permission.MANAGE_RULES):
        _show_draw(settings, view, user=user)
    if view.draws:
        _show_draws(view)


def _show_draw(settings: Settings, view: AuditView, *, user: User) -> None:
    with st.form("draw_audit", width=720), st.container(horizontal=True, vertical_alignment="bottom"):
        size = st.number_input("Cases to draw", 1, LARGEST_DRAW, 20, key="draw_size")
        seed = st.number_input(
            "Seed",
            min_value=0,
            max_value=SEED_LIMIT - 1,
            value=None,
            placeholder="drawn for you",
            key="draw_seed",
            help="The log keeps it, so that the draw can be repeated. Leave it empty unless you agreed on one.",
        )
        sent = st.form_submit_button(
            f"Draw from {view.pool:,} unflagged cases",
            key="draw_send",
            icon=":material/casino:",
            disabled=not view.pool,
            help="Read cases without a flag that nobody looks at again and no draw holds yet.",
        )
    if sent and attempt(
        lambda: draw_audit(settings, size=int(size), seed=None if seed is None else int(seed), actor=user.actor),
        done="Drawn. The cases carry the flag Audit sample.",
    ):
        st.rerun()


def _show_draws(view: AuditView) -> None:
    results = {True: "discordance: missed", False: "agreement", None: "no second opinion compared yet"}
    for draw in reversed(view.draws):
        own = [one for one in view.cases if one.draw == draw.number]
        done = sum(one.missed is not None for one in own)
        label = f"Draw {draw.number}: {len(draw.cases)} of {draw.pool} unflagged cases, {done} with a result"
        with st.expander(label, icon=":material/casino:"):
            st.caption(
                f"Seed {draw.seed}, rules {plain(draw.rule_version)}, by {plain(short_name(draw.drawn_by))}, "
                f"{time_in_words(draw.drawn_at)}."
            )
            st.table(
                {
                    "Case": [f"[{plain(one.case_id)}](case?case={one.case_id})" for one in own],
                    "State": [CASES[one.status].label for one in own],
                    "Second opinion": [results[one.missed] for one in own],
                },
                border="horizontal",
                hide_index=True,
                alt=f"Cases of draw {draw.number} and what the second opinion found",
            )
    if view.hidden:
        st.caption(f"{view.hidden} drawn cases are left out: your blinded opinion on them is awaited.")
