"""Which slides the quality screens show: the filters, kept in the address, and the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.domain import Stain
from core.qc.classes import ARTEFACTS
from core.services.quality.table import DISPUTED, UNJUDGED, UNMEASURED, QualityQuery
from core.vocabulary import QcDisposition
from pages.parts.common.badges import STAINS
from pages.parts.quality.words import DISPOSITIONS, NO_VERDICT

NOT_STATED = "not stated"
"""Stands for "" in choices of scanners and sites."""
ORDERS: Mapping[str, tuple[str, bool]] = {
    "Lowest score first": ("score", False),
    "Least usable share first": ("usable_fraction", False),
    "Least usable mm² first": ("usable_mm2", False),
    "Least tissue first": ("tissue_mm2", False),
    **{f"Most {kind.about.title.lower()} first": (f"fraction_{kind.value}", True) for kind in ARTEFACTS},
    **{f"Most {kind.about.title.lower()} in mm² first": (f"mm2_{kind.value}", True) for kind in ARTEFACTS},
    "First dye strongest first": ("stain_first", True),
    "Second dye strongest first": ("stain_second", True),
    "Stain vectors nearest first": ("stain_angle", False),
    "Most sections first": ("sections", True),
    "Suggestion": ("disposition", True),
    "Verdict": ("verdict", True),
    "Scanner": ("scanner", False),
    "Site": ("site", False),
    "Stain": ("stain", False),
    "Added last first": ("date", True),
    "Measured last first": ("measured", True),
    "Slide id": ("slide", False),
    "Case id": ("case", False),
}
"""What the table can be ordered by: the part, and whether the highest comes first."""
_MORE = ("q_scanner", "q_site", "q_stain", "q_from", "q_to", "q_artefact")
"""Keys of the filters that are not always in sight."""
_LINKED = ("scanner", "site", "stain", "from", "to")
_SUGGESTED = {**{one.value: DISPOSITIONS[one].label for one in QcDisposition}, UNMEASURED: "Not measured"}
_DECIDED = {
    UNJUDGED: NO_VERDICT.label,
    DISPUTED: "Verdicts differ",
    **{one.value: DISPOSITIONS[one].label for one in QcDisposition},
}


def read_query(facets: Mapping[str, Mapping[str, int]]) -> tuple[QualityQuery, DeltaGenerator]:
    """Show the filters and return what is wanted, and the row that they end in; the screens of quality share them.

    Args:
        facets: Of all slides: which scanners, sites and stains there are.
    """
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        text = st.text_input(
            "Search",
            key="q_search",
            placeholder="Slide or case id",
            icon=":material/search:",
            width=175,
            live=True,
            bind="query-params",
        )
        dispositions = _choice("Suggested", "q_suggested", list(_SUGGESTED), labels=_SUGGESTED, width=185)
        verdicts = _choice("Verdict", "q_verdict", list(_DECIDED), labels=_DECIDED, width=185)
        used = sum(bool(st.session_state.get(key)) for key in _MORE)
        with st.popover(f"More filters ({used})" if used else "More filters", icon=":material/filter_alt:"):
            scanners = _choice("Scanner", "q_scanner", [name or NOT_STATED for name in facets["scanner"]], width=280)
            sites = _choice("Site", "q_site", [name or NOT_STATED for name in facets["site"]], width=280)
            stains = _choice("Stain", "q_stain", list(facets["stain"]), labels=STAINS, width=280)
            with st.container(horizontal=True):
                since = _day("Added from", "q_from")
                until = _day("Added up to", "q_to")
            artefact = _artefact()
    query = QualityQuery(
        text=text or "",
        scanners=tuple(_stated(scanners)),
        sites=tuple(_stated(sites)),
        stains=tuple(map(Stain, stains)),
        dispositions=tuple(dispositions),
        verdicts=tuple(verdicts),
        start=None if since is None else _midnight(since),
        end=None if until is None else _midnight(until + timedelta(days=1)),
        artefact=artefact,
    )
    return query, row


def choose_order(query: QualityQuery) -> QualityQuery:
    """Let the reader choose what the table is ordered by."""
    order = st.selectbox("Order", list(ORDERS), key="q_order", width=235, bind="query-params")
    sort, descending = ORDERS[order]
    return replace(query, sort=sort, descending=descending)


def follow_link() -> None:
    """Set the filters that an address asks for as `show_<filter>`. Call it before the filters are shown.

    Other pages cannot set the filters' own parameters, which belong to their widgets.
    """
    for name in _LINKED:
        value = st.query_params.get(f"show_{name}")
        if value is None:
            continue
        del st.query_params[f"show_{name}"]
        with suppress(ValueError):  # a day that is none: the filter stays as it is
            st.session_state[f"q_{name}"] = date.fromisoformat(value) if name in ("from", "to") else [value]


def is_filtered(query: QualityQuery) -> bool:
    """Say whether a query leaves slides out."""
    parts = (query.text, query.scanners, query.sites, query.stains, query.dispositions, query.verdicts)
    return any(parts) or any(one is not None for one in (query.start, query.end, query.artefact))


def _choice(
    label: str, key: str, options: Sequence[str], *, labels: Mapping[str, str] | None = None, width: int
) -> list[str]:
    """Let several be chosen; none is no filter. The address keeps the labels."""
    named = {(labels or {}).get(option, option): option for option in options}
    chosen = st.multiselect(label, list(named), key=key, placeholder="All", width=width, bind="query-params")
    return [named[one] for one in chosen]


def _artefact() -> str | None:
    named = {kind.about.title: kind.value for kind in ARTEFACTS}
    chosen = st.selectbox(
        "With at least 1 % of tissue",
        list(named),
        index=None,
        placeholder="Any artefact or none",
        key="q_artefact",
        width=280,
        bind="query-params",
    )
    return None if chosen is None else named[chosen]


def _day(label: str, key: str) -> date | None:
    return st.date_input(label, value=None, key=key, format="YYYY-MM-DD", width=132, bind="query-params")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _stated(names: Sequence[str]) -> list[str]:
    return ["" if name == NOT_STATED else name for name in names]
