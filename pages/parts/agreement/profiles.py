"""Views of the agreement page: each reader, what the model changes, and the literature beside ours."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.server.identity import short_name
from core.services.agreement.literature import PUBLISHED_FIGURES, PUBLISHED_TABLES
from core.services.agreement.view import ReaderProfile
from pages.parts.agreement.charts import CONFIG, Dot, confidence_plot, interval_plot
from pages.parts.agreement.shown import Shown
from pages.parts.agreement.tables import NUMBERS, with_interval
from pages.parts.agreement.words import INFLUENCE


def show_readers(shown: Shown) -> None:
    """Show who reads more severely, how often each agrees with the others, and whether confidence tells of it."""
    report = shown.report
    if report is None:
        st.info(NUMBERS, icon=":material/grid_on:")
        return
    profiles = [*report.profiles, *([report.model.profile] if report.model else [])]
    left, right = st.columns([5, 6], gap="large")
    with left:
        if report.table.ordinal:
            st.markdown("**Severity drift**: mean steps to the other readers of the same case")
            dots = [
                Dot(short_name(one.reader), one.drift, report.model is not None and one is profiles[-1])
                for one in profiles
            ]
            st.plotly_chart(
                interval_plot(dots, title="Less severe | steps | more severe", zero=True),
                config=CONFIG,
                key="drift_plot",
                alt="Severity drift of each reader with its interval",
            )
        else:
            st.caption("The categories have no order, so no read is more severe than another.")
    with right:
        st.dataframe(
            _profile_frame(profiles),
            hide_index=True,
            height="content",
            placeholder="-",
            key="profile_table",
            alt="Profile of each reader",
        )
    _show_confidence(profiles)


def show_influence(shown: Shown) -> None:
    """Show what seeing the model's result did to reads, beside the literature on automation bias."""
    found = shown.influence
    if found is None or all(value.value is None for value in found.values()):
        st.info(
            "No reader recorded a read both before and after the model's result on a case for which the model has a "
            "call. A diagnosis that is corrected after the reveal counts here.",
            title="Nothing to compare yet",
            icon=":material/psychology:",
        )
    else:
        noun = "pair" if shown.pairs == 1 else "pairs"
        told = f"{shown.pairs} {noun} of reads, before and after the model's result" if shown.in_log else ""
        told += f", {shown.pairs_with_reference} of them on resolved cases, by which right is judged" if told else ""
        st.caption(
            f"{told}. Shares with 95 % intervals over cases." if told else "Shares with 95 % intervals over cases."
        )
        rows = [
            {
                "Share": INFLUENCE[name][0],
                "Value": None if value.value is None else f"{value.value:.1%}",
                "95 % interval": "-"
                if value.low is None or value.high is None
                else f"{value.low:.1%} to {value.high:.1%}",
                "Meaning": value.reason or INFLUENCE[name][1],
            }
            for name, value in found.items()
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="influence", alt="Effect of the model")
    bias = next(one for one in PUBLISHED_FIGURES if one.compare_with == "automation_bias")
    st.caption(f"Literature: {bias.title.lower()}, {bias.figure} ({bias.source}).")


def show_literature(shown: Shown) -> None:
    """Show agreement in published tables with ours as the first line, and figures as their authors state them."""
    own = [] if shown.report is None else [_own_line(shown)]
    published = [
        {
            "Reads": one.title,
            "Readers": one.readers,
            "Cases": one.cases,
            "Fleiss' kappa": one.fleiss_kappa,
            "AC1": one.ac1,
            "Quadratic kappa": one.mean_kappa_quadratic,
            "Source": one.source,
        }
        for one in PUBLISHED_TABLES
    ]
    st.markdown("**Ours beside published tables of reads**, put through the same statistics")
    st.dataframe(
        pd.DataFrame([*own, *published]),
        hide_index=True,
        height="content",
        key="published_tables",
        placeholder="-",
        alt="Agreement here and in published tables",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f") for name in ("Fleiss' kappa", "AC1", "Quadratic kappa")
        },
    )
    st.caption("Other cases, other readers, other categories: these say what is usual, not what is good.")
    st.markdown("**Figures as their authors state them**")
    st.dataframe(
        pd.DataFrame(
            {
                "What": [one.title for one in PUBLISHED_FIGURES],
                "Literature": [one.figure for one in PUBLISHED_FIGURES],
                "Ours": [_ours(shown, one.compare_with) for one in PUBLISHED_FIGURES],
                "Source": [one.source for one in PUBLISHED_FIGURES],
            }
        ),
        hide_index=True,
        height="content",
        key="published_figures",
        alt="Figures of the literature beside ours",
    )


def _own_line(shown: Shown) -> dict[str, object]:
    return {
        "Reads": f"Here: {shown.title}",
        "Readers": shown.readers,
        "Cases": shown.cases,
        "Fleiss' kappa": shown.overall["fleiss_kappa"].value,
        "AC1": shown.overall["ac1"].value,
        "Quadratic kappa": shown.overall["mean_kappa_quadratic"].value,
        "Source": "this page",
    }


def _ours(shown: Shown, name: str) -> str:
    value = (shown.influence or {}).get(name) or shown.overall.get(name)
    if value is None or value.value is None:
        return "-"
    return f"{value.value:.1%}" if name in INFLUENCE else f"{value.value:.2f}"


def _profile_frame(profiles: list[ReaderProfile]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Reader": [short_name(one.reader) for one in profiles],
            "Reads": [one.reads for one in profiles],
            "Agrees with most others": [
                "-"
                if one.consensus.value is None
                else f"{one.consensus.value:.0%} ({one.consensus.low:.0%} to {one.consensus.high:.0%})"
                for one in profiles
            ],
            "n": [one.consensus.of for one in profiles],
            "Higher": [one.higher for one in profiles],
            "Lower": [one.lower for one in profiles],
            "Drift": [with_interval(one.drift) for one in profiles],
            "Confidence tells (AUC)": [one.confidence_auc for one in profiles],
        }
    )


def _show_confidence(profiles: list[ReaderProfile]) -> None:
    stated = {one.reader: one for one in profiles if one.confidence}
    if not stated:
        st.caption("No reader stated a confidence, so it cannot be held against agreement.")
        return
    st.markdown("**Confidence against agreement with the others**")
    chosen = st.selectbox(
        "Reader",
        list(stated),
        format_func=short_name,
        key="confidence_reader",
        width=300,
        help="Readers who stated how sure they were.",
    )
    st.plotly_chart(
        confidence_plot(stated[str(chosen)].confidence),
        config=CONFIG,
        key="confidence_plot",
        alt="How often reads of each stated confidence agree with the others",
    )
    st.caption("Agreement with the others is not truth: a reader alone may be right.")
