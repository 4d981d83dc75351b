"""The fields of a read: the reading scheme, its category or indeterminate, grade, confidence and a note."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from core.domain import ReadCategory
from core.services.answers import Answer
from core.services.scheme_library import Scheme, list_schemes
from core.settings import Settings
from core.store.records import DiagnosisRecord
from pages.parts.badges import CATEGORIES

CONFIDENCE = {1: "1 guess", 2: "2", 3: "3", 4: "4", 5: "5 certain"}
PLAIN = "plain"
"""Scheme whose answers are the three categories that every case has."""
UNDECIDED = "indeterminate"
"""The answer that every scheme takes beside its own."""
_CLOCK, _LAST_SCHEME = "on_case", "last_scheme"


def note_opening(case_id: str) -> None:
    """Remember since when the reader has this case open; another case begins anew."""
    known: tuple[str, datetime] | None = st.session_state.get(_CLOCK)
    if known is None or known[0] != case_id:
        st.session_state[_CLOCK] = (case_id, datetime.now(UTC))


def choose_scheme(settings: Settings, case_id: str, *, own: DiagnosisRecord | None) -> Scheme | None:
    """Let the reader choose a reading scheme; None is the three plain categories.

    The first offer is what this reader used last, never what another reader used on the case: a scheme of grades tells
    that somebody saw cancer.
    """
    offered = {state.scheme.name: state.scheme for state in list_schemes(settings) if state.offered}
    wanted = (own.scheme or PLAIN) if own is not None else st.session_state.get(_LAST_SCHEME, PLAIN)
    if len(offered) == 1:
        (name,) = offered
    else:
        names = sorted(offered, key=lambda name: (name != PLAIN, offered[name].title))
        name = st.selectbox(
            "Reading scheme",
            names,
            index=names.index(wanted) if wanted in offered else 0,
            format_func=lambda one: offered[one].title,
            key=f"scheme_{case_id}",
            label_visibility="collapsed",
            help="What the categories are, and what a difference between two of them means.",
        )
    return None if name == PLAIN else offered[name]


def answer_fields(case_id: str, scheme: Scheme | None, *, own: DiagnosisRecord | None) -> None:
    """Show the fields inside a form; `answer_of` returns what they hold.

    Args:
        case_id: The case; part of the fields' keys.
        scheme: Chosen before the form.
        own: What the reader said before, to begin with.
    """
    if scheme is None:
        _show_categories(case_id, own)
    else:
        _show_codes(case_id, scheme, own)
    st.text_input(
        "Grade or type (optional)",
        value=own.grade or "" if own else "",
        max_chars=120,
        placeholder="For example Nottingham grade 2",
        key=f"grade_{case_id}",
    )
    st.segmented_control(
        "Confidence",
        list(CONFIDENCE),
        format_func=CONFIDENCE.__getitem__,
        default=own.confidence if own else None,
        key=f"confidence_{case_id}",
    )
    st.text_area("Note (optional)", value=own.text if own else "", max_chars=4000, height=80, key=f"text_{case_id}")


def answer_of(case_id: str, scheme: Scheme | None) -> Answer | None:
    """Return what the fields of a case hold, also inside a callback; None while no category is chosen."""
    kept = st.session_state
    category = kept.get(f"category_{case_id}") if scheme is None else None
    code = None if scheme is None else kept.get(f"code_{case_id}_{scheme.name}")
    if category is None and code is None:
        return None
    opened, now = _opened_at(case_id), datetime.now(UTC)
    return Answer(
        category=category,
        scheme=None if scheme is None else scheme.name,
        code=code,
        grade=(kept.get(f"grade_{case_id}") or "").strip() or None,
        text=(kept.get(f"text_{case_id}") or "").strip(),
        confidence=kept.get(f"confidence_{case_id}"),
        opened_at=opened,
        seconds_on_case=None if opened is None else (now - opened).total_seconds(),
    )


def keep_scheme(scheme: Scheme | None) -> None:
    """Offer this scheme first from now on."""
    st.session_state[_LAST_SCHEME] = PLAIN if scheme is None else scheme.name


def _show_categories(case_id: str, own: DiagnosisRecord | None) -> None:
    st.segmented_control(
        "Category",
        list(ReadCategory),
        format_func=CATEGORIES.__getitem__,
        default=own.category if own else None,
        key=f"category_{case_id}",
    )


def _show_codes(case_id: str, scheme: Scheme, own: DiagnosisRecord | None) -> None:
    titles = {category.code: category.title for category in scheme.categories} | {UNDECIDED: "Indeterminate"}
    known = own.code if own is not None and own.scheme == scheme.name and own.code in titles else None
    st.pills(
        scheme.title,
        list(titles),
        format_func=titles.__getitem__,
        default=known,
        key=f"code_{case_id}_{scheme.name}",
        help=scheme.source,
    )


def _opened_at(case_id: str) -> datetime | None:
    known: tuple[str, datetime] | None = st.session_state.get(_CLOCK)
    return known[1] if known is not None and known[0] == case_id else None
