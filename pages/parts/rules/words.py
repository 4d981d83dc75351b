"""Rule sets in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.domain import FlagKind
from core.server.identity import short_name
from core.services.rules.rules import ANY, RuleChange, RuleSet, RuleSetState, Threshold
from pages.parts.common.badges import FLAGS, plain, time_in_words

BY_COST, BY_CAPACITY, BY_PROBABILITY = "Cost of a miss", "Capacity", "Probability"


def show_rules(state: RuleSetState) -> None:
    """Show what one rule set says, and what became of it."""
    rules = state.rules
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            title = f": {plain(rules.title)}" if rules.title else ""
            st.markdown(f"**{plain(rules.version)}**{title}", width="content")
            if state.active:
                st.badge("Counts now", icon=":material/check_circle:", color="green")
            elif state.activated_at is None:
                st.badge("Draft", icon=":material/edit_note:", color="gray")
            else:
                st.badge("Counted before", icon=":material/history:", color="gray")
        st.caption(_became(state))
        off = [FLAGS[kind].label for kind in FlagKind if kind not in rules.on]
        st.table(
            {
                "What": ["Rules that are off", "No call near the threshold", "Artefact limit", "Audit sample"],
                "Set to": [
                    ", ".join(off) or "none",
                    f"within {rules.abstain_band:g} of the model's threshold",
                    f"{rules.qc_limit:.0%} of the tissue that carries the call",
                    f"{rules.audit_share:.1%} of the unflagged cases, seed {rules.audit_seed}"
                    if rules.audit_share
                    else "none by share; draws are made on the triage board",
                ],
            },
            border="horizontal",
            hide_index=True,
            alt=f"Settings of the rule set {rules.version}",
        )
        _show_thresholds(rules)


def _show_thresholds(rules: RuleSet) -> None:
    if not rules.thresholds:
        st.caption(
            "No threshold of its own: a read is flagged where the model is clear, outside the band around its "
            "card's threshold."
        )
        return
    st.table(
        {
            "Model": [_any(one.model, "every model") for one in rules.thresholds],
            "Scheme": [_any(one.scheme, "every scheme") for one in rules.thresholds],
            "Flagged from a probability of a difference of": [_probability(one) for one in rules.thresholds],
            "Because": [one.words for one in rules.thresholds],
        },
        border="horizontal",
        hide_index=True,
        alt=f"Thresholds of the rule set {rules.version}",
    )


def show_history(changes: Sequence[RuleChange]) -> None:
    """Show every draft and activation."""
    if not changes:
        st.info("Only the built-in rules have counted so far.", icon=":material/history:")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "When (UTC)": pd.to_datetime([one.at for one in changes], utc=True),
                "What": ["Activated" if one.activated else "Drafted" for one in changes],
                "Rule set": [one.version for one in changes],
                "Instead of": [one.before or "-" for one in changes],
                "By": [short_name(one.by) for one in changes],
                "Reason": [one.reason or "-" for one in changes],
            }
        ),
        column_config={"When (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
        hide_index=True,
        height="content",
        alt="Drafts and activations of rule sets, the latest first",
    )


def way_of(threshold: Threshold) -> str:
    """Return by what a threshold is given, for the editor."""
    if threshold.cost is not None:
        return BY_COST
    return BY_CAPACITY if threshold.by_capacity else BY_PROBABILITY


def _became(state: RuleSetState) -> str:
    told = "Built in." if state.drafted_at is None else f"Drafted by {_who(state.drafted_by)}, "
    told += "" if state.drafted_at is None else f"{time_in_words(state.drafted_at)}."
    if state.activated_at is None:
        return told
    because = f" Reason: {plain(state.reason)}" if state.reason else ""
    return f"{told} Activated by {_who(state.activated_by)}, {time_in_words(state.activated_at)}.{because}"


def _who(name: str | None) -> str:
    return plain(short_name(name)) if name else "nobody"


def _any(value: str, words: str) -> str:
    return words if value == ANY else plain(value)


def _probability(one: Threshold) -> str:
    return "settled when activated" if one.probability is None else f"{one.probability:.3f}"
