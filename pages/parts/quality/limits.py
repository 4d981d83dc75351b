"""The limits that turn a measurement into a suggestion: what counts now, another set, and what it would change."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission, in_words, roles_with
from core.server.identity import User, short_name
from core.services.quality.limits import (
    LimitsPreview,
    LimitsState,
    QcLimits,
    activate_limits,
    draft_limits,
    limits_of,
    list_limits,
    preview_limits,
)
from core.settings import Settings
from core.vocabulary import QcDisposition
from pages.parts.common.actions import attempt
from pages.parts.common.badges import plain, time_in_words
from pages.parts.common.forms import form_id
from pages.parts.quality.words import DISPOSITIONS

FIELDS: Mapping[str, tuple[str, str]] = {
    "accept_usable": ("Accept from a usable share of", "Slides with at least this usable share are accepted."),
    "limitation_usable": (
        "Accept with limitation from",
        "Between this and the share above, the slide is read, but not where the artefacts are.",
    ),
    "exclude_usable": ("Exclude below", "With less usable tissue than this nothing is left to read."),
    "mention_share": (
        "Name an artefact from",
        "A class with at least this share of the tissue is a limitation by itself.",
    ),
    "restain_share": ("Restain from", "Share of pale or over-stained tissue from which a new stain is suggested."),
}
"""Field of `QcLimits` -> label and meaning."""
_NAME = "qc_limits"


def show_limits(settings: Settings, *, user: User) -> None:
    """Show every set of limits, and let whoever may draft, preview and activate one."""
    states = list_limits(settings)
    active = next(state for state in states if state.active)
    st.markdown(f"**{plain(active.limits.version)}** counts now. {_since(active)}")
    st.table(
        {label: f"{getattr(active.limits, name):.0%} of the tissue" for name, (label, _) in FIELDS.items()},
        border="horizontal",
        width="content",
        alt="Limits that count now",
    )
    if user.may(Permission.SET_QC_LIMITS):
        _show_editor(settings, active.limits, states, user=user)
    else:
        st.caption(f"Limits are changed by: {in_words(roles_with(Permission.SET_QC_LIMITS))}.")
    st.subheader("Versions")
    st.dataframe(
        limits_frame(states),
        hide_index=True,
        height="content",
        placeholder="-",
        column_config=_COLUMNS,
        alt="All sets of limits",
    )
    st.caption("Measurements and verdicts keep the version that they were made under.")


def _since(state: LimitsState) -> str:
    if state.activated_at is None:
        return "It is built in; nobody has changed it."
    who = plain(short_name(state.activated_by or "-"))
    return f"Activated by {who}, {time_in_words(state.activated_at)}: {plain(state.reason)}"


_COLUMNS = {
    **{
        label: st.column_config.NumberColumn(label, format="percent", help=meaning)
        for label, meaning in FIELDS.values()
    },
    "Drafted": st.column_config.DatetimeColumn("Drafted", format="YYYY-MM-DD HH:mm"),
    "Activated": st.column_config.DatetimeColumn("Activated", format="YYYY-MM-DD HH:mm"),
}


def limits_frame(states: tuple[LimitsState, ...]) -> pd.DataFrame:
    """Return one row a set of limits, the newest first."""
    return pd.DataFrame(
        [
            {
                "Version": state.limits.version,
                "Counts now": state.active,
                **{label: getattr(state.limits, name) for name, (label, _) in FIELDS.items()},
                "Drafted by": short_name(state.drafted_by) if state.drafted_by else "built in",
                "Drafted": state.drafted_at,
                "Activated by": short_name(state.activated_by) if state.activated_by else "-",
                "Activated": state.activated_at,
                "Reason": state.reason,
            }
            for state in reversed(states)
        ]
    )


@st.fragment
def _show_editor(settings: Settings, active: QcLimits, states: tuple[LimitsState, ...], *, user: User) -> None:
    st.subheader("Try other limits")
    st.caption("Nothing changes until you activate: first see which slides would change side.")
    key = form_id(_NAME)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        start = st.selectbox(
            "Start from",
            [state.limits.version for state in states],
            index=next(place for place, state in enumerate(states) if state.active),
            key=f"start_{key}",
            width=200,
        )
        version = st.text_input(
            "Name of the new version",
            value=_next_name(states),
            key=f"version_{key}",
            max_chars=60,
            width=220,
        )
    base = next(state.limits for state in states if state.limits.version == start)
    values: dict[str, object] = {"version": version or ""}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, (label, meaning) in FIELDS.items():
            percent = st.number_input(
                f"{label}, %",
                0.0,
                100.0,
                round(100 * float(getattr(base, name)), 1),
                step=1.0,
                format="%.1f",
                key=f"{name}_{start}_{key}",
                help=meaning,
                width=200,
            )
            values[name] = round(percent / 100, 4)
    try:
        wanted = limits_of(values)
        preview = preview_limits(settings, wanted, actor=user.actor)
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return
    _show_preview(preview)
    _show_activate(settings, wanted, active, user=user)


def _next_name(states: tuple[LimitsState, ...]) -> str:
    """Return a version name that no set bears yet."""
    known = {state.limits.version for state in states}
    number = next(i for i in range(len(states) + 1, 2 * len(states) + 2) if f"qc-limits-{i}" not in known)
    return f"qc-limits-{number}"


def _show_preview(preview: LimitsPreview) -> None:
    if not preview.slides:
        st.info("No slide is measured yet, so there is nothing to compare.", icon=":material/info:")
        return
    side = preview.change_side
    with st.container(horizontal=True):
        st.metric("Slides compared", preview.slides, width=150)
        st.metric("Suggestion changes", len(preview.changes), width=170)
        st.metric(
            "Change side",
            len(side),
            width=150,
            help="Accepted under one set, with a limitation or not, and not under the other",
        )
    if preview.without_report:
        st.caption(f"{preview.without_report} slides were measured before there were classes and keep what they have.")
    st.dataframe(
        pd.DataFrame(
            {
                "Suggestion": [DISPOSITIONS[one].label for one in QcDisposition],
                "Now": [preview.before.get(one, 0) for one in QcDisposition],
                "With these limits": [preview.after.get(one, 0) for one in QcDisposition],
            }
        ),
        hide_index=True,
        height="content",
        width=420,
        alt="How many slides get each suggestion, now and with these limits",
    )
    if preview.changes:
        st.dataframe(
            pd.DataFrame(
                {
                    "Slide": [one.slide_id for one in preview.changes],
                    "Now": [DISPOSITIONS[one.before].label for one in preview.changes],
                    "With these limits": [DISPOSITIONS[one.after].label for one in preview.changes],
                    "Changes side": [one.changes_side for one in preview.changes],
                }
            ),
            hide_index=True,
            width=560,
            alt="Slides whose suggestion would change",
        )


def _show_activate(settings: Settings, wanted: QcLimits, active: QcLimits, *, user: User) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reason = st.text_input(
            "Why these limits",
            key=f"why_{form_id(_NAME)}",
            max_chars=300,
            placeholder="The log keeps it with your name",
            width=420,
        )
        if st.button("Keep and activate", key="qc_limits_activate", type="primary", icon=":material/check:"):

            def activate() -> None:
                draft_limits(settings, wanted, actor=user.actor)
                activate_limits(
                    settings, wanted.version, reason=reason or "", expected=active.version, actor=user.actor
                )

            if attempt(activate, done=f"{wanted.version} counts now; suggestions follow it."):
                st.session_state.pop(f"form:{_NAME}", None)
                st.rerun()
