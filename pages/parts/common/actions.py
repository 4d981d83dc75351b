"""Sending an action to a service, and saying what came of it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.errors import SecondReadError

_NOTICE = "notice"


def attempt(action: Callable[[], object], *, done: str) -> bool:
    """Run an action; a refusal is shown as the sentence it carries.

    Args:
        action: Calls one service.
        done: What to say when it worked, shown after the next run.

    Returns:
        Whether it worked; the caller then reruns the page, so that it shows the log as it is now.
    """
    try:
        action()
    except SecondReadError as err:
        st.error(str(err), icon=":material/error:")
        return False
    st.session_state[_NOTICE] = done
    return True


def attempt_aside(action: Callable[[], object], *, done: str) -> bool:
    """Do as `attempt`, with a refusal shown at the side until it is closed: for parts that redraw themselves."""
    try:
        action()
    except SecondReadError as err:
        st.toast(str(err), icon=":material/error:", duration="infinite")
        return False
    st.session_state[_NOTICE] = done
    return True


def notify(done: str) -> None:
    """Have the next `show_notice` say what was done."""
    st.session_state[_NOTICE] = done


def has_notice() -> bool:
    """Whether the action before this run has something to say."""
    return _NOTICE in st.session_state


def show_notice() -> None:
    """Show what the action before this run did."""
    notice = st.session_state.pop(_NOTICE, None)
    if notice:
        st.toast(notice, icon=":material/check:")
