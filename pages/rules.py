"""Rules: which rule set decides on flags, drafts tried on the cohort, and who activated what and why."""

from __future__ import annotations

import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.services.rules.flagging import cases_due
from core.services.rules.rules import (
    activate_rules,
    apply_rules,
    draft_rules,
    list_rules,
    preview_rules,
    rule_history,
    rules_text,
)
from pages.parts.common.actions import attempt, show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.rules.form import edit_rules
from pages.parts.rules.preview import show_preview
from pages.parts.rules.words import show_history, show_rules

AT_ONCE = 200

user = require_permission(Permission.MANAGE_RULES)
settings = current_settings()
show_notice()

st.title("Rules")
st.caption("A rule set decides which cases are flagged. Sets are versions: none is changed, a new one is activated.")
states = list_rules(settings)
active = next(state for state in states if state.active)
due = cases_due(settings)
if due:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(
            f"{len(due):,} cases were judged by other rules or wait for news", icon=":material/update:", color="orange"
        )
        if st.button(
            "Bring flags up to date",
            key="apply",
            icon=":material/sync:",
            help=f"At most {AT_ONCE} at once; the worker does the rest as it goes.",
        ):
            with st.spinner("Judging cases anew"):
                done = attempt(lambda: apply_rules(settings, limit=AT_ONCE, actor=user.actor), done="Flags brought up.")
            if done:
                st.rerun()

current, draft, sets, history = st.tabs(["In force", "Draft", "All sets", "History"], key="rules_tabs")
with current:
    show_rules(active)
with draft:
    text = edit_rules(states)
    with st.container(horizontal=True):
        tried = st.button(
            "Preview on the cohort",
            key="preview",
            icon=":material/visibility:",
            disabled=text is None,
            help="Says which cases change; keeps nothing.",
        )
        kept = st.button(
            "Keep as draft", key="draft", icon=":material/save:", disabled=text is None, help="Changes no flag yet."
        )
    if (
        kept
        and text is not None
        and attempt(lambda: draft_rules(settings, text, actor=user.actor), done="Kept. Activate it under All sets.")
    ):
        st.rerun()
    if tried and text is not None:
        st.session_state["rules_previewed"] = text
    if text is not None and st.session_state.get("rules_previewed") == text:
        try:
            with st.spinner("Trying the rules on the cohort"):
                preview = preview_rules(settings, text, actor=user.actor)
        except SecondReadError as err:
            st.warning(str(err), icon=":material/edit:")
        else:
            show_preview(preview)
with sets:
    for state in reversed(states):
        show_rules(state)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            version = state.rules.version
            st.download_button(
                "TOML",
                state.text or rules_text(state.rules),
                file_name=f"rules-{version}.toml",
                mime="application/toml",
                icon=":material/download:",
                on_click="ignore",
                key=f"toml_{version}",
            )
            if state.active:
                continue
            reason = st.text_input("Why should it count?", key=f"why_{version}", max_chars=300, width=420)
            # The key names what counts now: a click on a page that is behind reaches no button, and does nothing.
            if st.button(
                "Activate",
                key=f"activate_{version}_over_{active.rules.version}",
                icon=":material/play_arrow:",
                type="primary",
                help="From then on every evaluation carries this version. A capacity becomes a probability for good.",
            ) and attempt(
                lambda version=version, reason=reason: activate_rules(
                    settings, version, reason=reason, expected=active.rules.version, actor=user.actor
                ),
                done=f"{version} counts from now on.",
            ):
                st.rerun()
with history:
    show_history(rule_history(settings))
