"""Triage board: what to look at again with the time there is, and what that buys."""

from __future__ import annotations

import streamlit as st

from core.errors import InputError
from core.roles import Permission
from core.services.triage.audits import audit_view
from core.services.triage.board import board
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.triage.cases import show_audit, show_chosen
from pages.parts.triage.numbers import (
    show_basis,
    show_curve,
    show_numbers,
    show_order,
    show_plan,
)
from pages.parts.triage.published import show_literature
from pages.parts.triage.setting import choose_setting

user = require_permission(Permission.SEE_REPORTS)
settings = current_settings()
show_notice()

st.title("Triage board")
st.caption("Which cases are worth a second look with the time there is, and what that finds and leaves.")
setting = choose_setting()
try:
    found = board(settings, setting, actor=user.actor)
except InputError as err:
    st.info(str(err), icon=":material/hourglass_top:")
    st.stop()
show_numbers(found)
show_basis(found)
show_order(found)
chosen, buys, audit, plan, published = st.tabs(
    [f"Chosen cases ({len(found.cases)})", "Curve", "Audit sample", "Plan", "Published figures"], key="triage_tabs"
)
with chosen:
    show_chosen(found)
with buys:
    show_curve(found)
with audit:
    show_audit(settings, audit_view(settings, actor=user.actor), found, user=user)
with plan:
    show_plan()
with published:
    show_literature(found)
