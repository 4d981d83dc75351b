"""Published figures of second review, and ours beside them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.services.triage.board import Board
from pages.parts.triage.numbers import FEWEST_RESOLVED

_YIELD = "Yield at prevalence 2 %, sensitivity 80 %, flag rate 10 %"
_REVIEWS = "Reviews per true discordance, same"
_RESIDUAL = "Residual among the unflagged, same"
_LITERATURE = (
    ("Major discordance on second review", "2.3 %", "5,629", "Manion 2008"),
    ("Major discordance on second review", "2.2 %", "8,191", "Moffitt"),
    ("Major discordance on second review", "0.6 %", "71,811", "Mayo"),
    ("Minor discordance on second review", "9.0 %", "5,629", "Manion 2008"),
    ("Minor discordance on second review", "12.0 %", "8,191", "Moffitt"),
    ("Discordance on blinded retrospective review", "4.0 %", "", "retrospective reviews"),
    ("Rule-out triage at 100 % sensitivity", "65 to 75 % of slides", "", "Campanella 2019"),
    (_YIELD, "16 %", "", "arithmetic"),
    (_REVIEWS, "6.3", "", "arithmetic"),
    (_RESIDUAL, "0.44 %", "", "arithmetic"),
)


def show_literature(found: Board) -> None:
    """Show published figures beside ours."""
    ours = _ours(found)
    table = pd.DataFrame(_LITERATURE, columns=["Figure", "Published", "n", "Source"])
    table["Here"] = [ours.get(name, "") for name in table["Figure"]]
    st.table(table, border="horizontal", hide_index=True, alt="Published figures of second review beside ours")
    st.caption(
        "Resolved cases here were chosen for doubt; the published figures are of consecutive or mandatory reviews. Of "
        "revised diagnoses re-biopsied at Mayo, 15.1 % were not confirmed: the second opinion is not the truth."
    )


def _ours(found: Board) -> dict[str, str]:
    """Return what there is of our own beside a published figure."""
    if not found.resolved:
        return {}
    minor = found.discordant - found.major
    ours = {
        "Major discordance on second review": f"{found.major / found.resolved:.1%} of {found.resolved} resolved",
        "Minor discordance on second review": f"{minor / found.resolved:.1%} of {found.resolved} resolved",
    }
    point = found.measured
    if point is None or found.resolved < FEWEST_RESOLVED:
        return ours
    if point.yield_.value is not None:
        ours[_YIELD] = f"{point.yield_.value:.0%} at this setting"
    if point.reviews_per_discordance is not None:
        ours[_REVIEWS] = f"{point.reviews_per_discordance:.1f} at this setting"
    if point.residual.value is not None:
        ours[_RESIDUAL] = f"{point.residual.value:.1%} at this setting"
    return ours
