"""Forms that a service takes in once, and that keep what was typed until it is taken in."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import streamlit as st

from core.errors import SecondReadError
from pages.parts.common.actions import attempt, has_notice, notify

_REFUSED = "refused"


def form_id(name: str) -> str:
    """Return the id of a form that is being filled in: part of its fields' keys, and known to the service when sent.

    It stays until the form is taken in, so that a refusal, a closed dialog or a second click change nothing.
    """
    return st.session_state.setdefault(f"form:{name}", secrets.token_hex(8))


def send(name: str, action: Callable[[str], object], *, done: str) -> None:
    """Send a form and draw the page anew; a refusal is shown where the form stands, and keeps it.

    Args:
        name: Of the form.
        action: Calls one service with the form's id.
        done: What to say when it worked.
    """
    if attempt(lambda: action(form_id(name)), done=done):
        st.session_state.pop(f"form:{name}", None)
        st.rerun()


def take_in(name: str, action: Callable[[str], object], *, done: str, typed: str) -> None:
    """Send a form from a callback; a refusal waits for `show_refusal`, with what was typed.

    Args:
        name: Of the form.
        action: Calls one service with the form's id.
        done: What to say when it worked.
        typed: Text that would be lost if the page has no place for the form any more.
    """
    try:
        action(form_id(name))
    except SecondReadError as err:
        refuse(str(err), typed=typed)
        return
    st.session_state.pop(f"form:{name}", None)
    notify(done)


def refuse(sentence: str, *, typed: str = "") -> None:
    """Have the next `show_refusal` say why something was not done."""
    st.session_state[_REFUSED] = (sentence, typed)


def has_come_back() -> bool:
    """Whether what a callback sent has an answer that the page does not show yet: it then draws itself anew."""
    return _REFUSED in st.session_state or has_notice()


def show_refusal() -> None:
    """Say why what was sent from a callback was refused, once, and give back what was typed."""
    refused: tuple[str, str] | None = st.session_state.pop(_REFUSED, None)
    if refused is None:
        return
    sentence, typed = refused
    st.error(sentence, icon=":material/error:")
    if typed:
        st.caption("What you typed, to copy from:")
        st.code(typed, language=None, wrap_lines=True)


def dialog_ends(label: str, *, icon: str, name: str, disabled: bool = False) -> bool:
    """Offer the two ends of a dialog; return whether the action was chosen. Cancelling keeps what was typed."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key=f"cancel_{name}"):
            st.rerun()
        return st.button(label, key=f"send_{name}", type="primary", icon=icon, disabled=disabled)


def ask_reason(
    title: str,
    *,
    icon: str,
    told: str,
    label: str,
    button: str,
    name: str,
    action: Callable[[str], object],
    done: str,
) -> None:
    """Open a dialog that asks for a reason and then acts.

    Args:
        title: Of the dialog.
        icon: Of the dialog and its button.
        told: What will happen, in a sentence.
        label: Of the field.
        button: Label of the button that acts.
        name: Of the form.
        action: Calls one service with the reason.
        done: What to say when it worked.
    """

    def content() -> None:
        st.markdown(told)
        reason = st.text_area(label, key=f"reason_{form_id(name)}", height=90, max_chars=4000, persist_state="page")
        if dialog_ends(button, icon=icon, name=name):
            send(name, lambda _key: action(reason or ""), done=done)

    st.dialog(title, icon=icon)(content)()
