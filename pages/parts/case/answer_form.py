"""The fields of a read: the reading scheme, its category or indeterminate, grade, confidence and a note.

The fields take what they begin with from the session, never as a default of the widget: so a draft can be given back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import streamlit as st

from core.domain import ReadCategory
from core.services.consultations.answers import Answer
from core.services.rules.scheme_library import Scheme, list_schemes
from core.settings import Settings
from core.store.records import DiagnosisRecord
from pages.parts.common.badges import CATEGORIES

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


def choose_scheme(
    settings: Settings, case_id: str, *, own: DiagnosisRecord | None, on_change: Callable[[], None]
) -> Scheme | None:
    """Let the reader choose a reading scheme; None is the three plain categories.

    The first offer is what this reader used last, never what another reader used on the case: a scheme of grades tells
    that somebody saw cancer.
    """
    offered = {state.scheme.name: state.scheme for state in list_schemes(settings) if state.offered}
    wanted = (own.scheme or PLAIN) if own is not None else st.session_state.get(_LAST_SCHEME, PLAIN)
    names = sorted(offered, key=lambda name: (name != PLAIN, offered[name].title))
    key = f"scheme_{case_id}"
    if st.session_state.get(key) not in offered:
        st.session_state[key] = wanted if wanted in offered else names[0]
    name: str = st.session_state[key]
    if len(offered) > 1:
        name = st.selectbox(
            "Reading scheme",
            names,
            format_func=lambda one: offered[one].title,
            key=key,
            label_visibility="collapsed",
            help="What the categories are, and what a difference between two of them means.",
            on_change=on_change,
        )
    return None if name == PLAIN else offered[name]


def answer_fields(case_id: str, scheme: Scheme | None, *, on_change: Callable[[], None]) -> None:
    """Show the fields; `answer_of` returns what they hold.

    Args:
        case_id: The case; part of the fields' keys.
        scheme: Chosen before.
        on_change: Called after every change of a field.
    """
    if scheme is None:
        st.segmented_control(
            "Category",
            list(ReadCategory),
            format_func=CATEGORIES.__getitem__,
            key=f"category_{case_id}",
            on_change=on_change,
        )
    else:
        _show_codes(case_id, scheme, on_change=on_change)
    st.text_input(
        "Grade or type (optional)",
        max_chars=120,
        placeholder="For example Nottingham grade 2",
        key=f"grade_{case_id}",
        on_change=on_change,
    )
    st.segmented_control(
        "Confidence",
        list(CONFIDENCE),
        format_func=CONFIDENCE.__getitem__,
        key=f"confidence_{case_id}",
        on_change=on_change,
    )
    st.text_area("Note (optional)", max_chars=4000, height=80, key=f"text_{case_id}", on_change=on_change)


def on_page(case_id: str) -> str:
    """Return the key of a field that tells whether the fields of a case are on the page."""
    return f"text_{case_id}"


def fields_of(case_id: str, own: DiagnosisRecord | None = None) -> dict[str, str | int | list[str] | None]:
    """Return what the fields hold as plain values, for a draft; nothing where they say what `own` says."""
    kept = st.session_state
    scheme = kept.get(f"scheme_{case_id}") or PLAIN
    category = kept.get(f"category_{case_id}") if scheme == PLAIN else kept.get(f"code_{case_id}_{scheme}")
    held = {
        "category": None if category is None else str(category),
        "grade": (kept.get(f"grade_{case_id}") or "").strip(),
        "confidence": kept.get(f"confidence_{case_id}"),
        "text": (kept.get(f"text_{case_id}") or "").strip(),
    }
    filled = {name: value for name, value in held.items() if value not in (None, "")}
    return {} if not filled or filled == _said(own) else filled | {"scheme": scheme}


def begin_fields(case_id: str, said: Mapping[str, object]) -> None:
    """Have the fields begin with plain values, as `fields_of` returns them; what they cannot hold is left out."""
    kept, category = st.session_state, said.get("category")
    if "scheme" in said:
        kept[f"scheme_{case_id}"] = said["scheme"]
    scheme = kept.get(f"scheme_{case_id}") or PLAIN
    if scheme == PLAIN:
        kept[f"category_{case_id}"] = ReadCategory(category) if category in set(ReadCategory) else None
    else:
        kept[f"code_{case_id}_{scheme}"] = category
    kept[f"grade_{case_id}"] = str(said.get("grade") or "")
    confidence = said.get("confidence")
    kept[f"confidence_{case_id}"] = confidence if confidence in CONFIDENCE else None
    kept[f"text_{case_id}"] = str(said.get("text") or "")


def begin_with_read(case_id: str, own: DiagnosisRecord | None) -> None:
    """Have the fields begin with a read, or empty."""
    begin_fields(case_id, _said(own) | ({} if own is None else {"scheme": own.scheme or PLAIN}))


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


def _said(read: DiagnosisRecord | None) -> dict[str, str | int | list[str] | None]:
    """Return what a read says as the fields hold it."""
    if read is None:
        return {}
    said = {
        "category": read.code if read.scheme is not None and read.code is not None else read.category.value,
        "grade": read.grade,
        "confidence": read.confidence,
        "text": read.text,
    }
    return {name: value for name, value in said.items() if value not in (None, "")}


def _show_codes(case_id: str, scheme: Scheme, *, on_change: Callable[[], None]) -> None:
    titles = {category.code: category.title for category in scheme.categories} | {UNDECIDED: "Indeterminate"}
    key = f"code_{case_id}_{scheme.name}"
    if st.session_state.get(key) not in titles:
        st.session_state[key] = None
    st.pills(
        scheme.title,
        list(titles),
        format_func=titles.__getitem__,
        key=key,
        help=scheme.source,
        on_change=on_change,
    )


def _opened_at(case_id: str) -> datetime | None:
    known: tuple[str, datetime] | None = st.session_state.get(_CLOCK)
    return known[1] if known is not None and known[0] == case_id else None
