"""Forms that outlive their browser: every change of a field is kept as its writer's draft until the form is sent.

A draft is given back where none of the form's fields is on the page yet: after the browser was closed, on another
machine, or when another page was opened in between. Only its writer gets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from core.errors import SecondReadError
from core.server.identity import User
from core.services.cases.drafts import Draft, DraftPlace, discard_draft, draft_of, keep_draft
from core.settings import Settings
from pages.parts.common.badges import time_in_words

Fields = Mapping[str, str | int | list[str] | None]


@dataclass(frozen=True, slots=True)
class Drafting:
    """How the fields of one form and its draft become each other."""

    settings: Settings
    place: DraftPlace
    user: User
    key: str
    """Of a field that every form of this kind draws; it tells whether the form is on the page."""
    fields: Callable[[], Fields]
    """Returns what the fields hold now, also inside a callback."""
    begin: Callable[[Mapping[str, object]], None]
    """Puts a draft's content where the fields will find it."""
    clear: Callable[[], None]
    """Puts back what the fields hold without a draft."""


def restore(form: Drafting) -> None:
    """Give a draft back before the fields are drawn; nothing if they are on the page already."""
    if form.key in st.session_state:
        return
    form.clear()
    found = draft_of(form.settings, form.place, actor=form.user.actor)
    _note(form, found)
    if found is not None:
        form.begin(found.content)


def keep(form: Drafting) -> None:
    """Keep what the fields hold: the callback of every field."""
    try:
        _note(form, keep_draft(form.settings, form.place, form.fields(), actor=form.user.actor))
    except SecondReadError as err:
        st.toast(f"The draft was not kept. {err}", icon=":material/error:")


def show_draft(form: Drafting) -> None:
    """Say below a form that a draft of it is kept, and offer to discard it."""
    saved = st.session_state.get(_marker(form))
    if saved is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.caption(
            f":material/save: Draft kept for you alone, {time_in_words(saved)}. It goes when you send it.",
            width="stretch",
        )
        st.button(
            "Discard draft",
            key=f"discard_{form.key}",
            type="tertiary",
            icon=":material/delete:",
            on_click=_discard,
            args=(form,),
        )


def _discard(form: Drafting) -> None:
    try:
        discard_draft(form.settings, form.place, actor=form.user.actor)
    except SecondReadError as err:
        st.toast(str(err), icon=":material/error:")
        return
    _note(form, None)
    form.clear()


def _marker(form: Drafting) -> str:
    return f"draft:{form.place.case_id}:{form.place.form.value}:{form.place.about}"


def _note(form: Drafting, draft: Draft | None) -> None:
    """Remember when the draft was saved; the draft itself stays in the log's file."""
    if draft is None:
        st.session_state.pop(_marker(form), None)
    else:
        st.session_state[_marker(form)] = draft.saved_at
