"""The views of the agreement page: statistics, readers by readers, cases, each reader, the model, the literature."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from core.server.identity import short_name
from core.services.agreement_literature import PUBLISHED_FIGURES, PUBLISHED_TABLES
from core.services.agreement_view import AgreementReport, Estimate, ReaderProfile
from pages.parts.agreement_charts import CONFIG, Dot, confidence_plot, heat_table, interval_plot, spread_plot
from pages.parts.agreement_source import Shown
from pages.parts.agreement_words import INFLUENCE, KAPPAS, STATISTICS

_WORST = 30
"""Cases in the picture of the spread; the table has all."""
_NUMBERS = "The reads are numbers, so there are no categories to compare. Give bins above to make some."


def show_overall(shown: Shown) -> None:
    """Show every statistic with its interval, kappa and AC1 side by side, as a picture and as a table."""
    left, right = st.columns([2, 3], gap="large")
    known = {name: value for name, value in shown.overall.items() if name in STATISTICS}
    accents = ("fleiss_kappa", "ac1")
    with left:
        dots = [Dot(STATISTICS[name][0], value, name in accents) for name, value in known.items()]
        st.plotly_chart(
            interval_plot(dots, title="Value with 95 % interval"),
            config=CONFIG,
            key="overall_plot",
            alt="Statistics of agreement with their intervals; kappa and AC1 in orange",
        )
        st.caption("Kappa and AC1 belong together: where one category is rare, kappa falls and AC1 does not.")
    with right:
        st.dataframe(
            overall_frame(shown),
            hide_index=True,
            height="content",
            key="overall_table",
            placeholder="-",
            alt="Statistics of agreement with intervals",
            column_config={
                "Meaning": st.column_config.TextColumn(width="large"),
                "Value": st.column_config.NumberColumn(format="%.3f", width="small"),
            },
        )
    if shown.report is not None:
        _show_categories(shown.report)


def overall_frame(shown: Shown) -> pd.DataFrame:
    """Return the statistics as a table; further tables beside the first."""
    rows = []
    for name, (title, meaning) in STATISTICS.items():
        value = shown.overall.get(name)
        if value is None:
            continue
        row: dict[str, object] = {"Statistic": title, "Value": value.value, "95 % interval": interval_words(value)}
        for other, found in shown.others:
            row[f"{other}"] = _with_interval(found.get(name))
        row["Meaning"] = value.reason or meaning
        rows.append(row)
    return pd.DataFrame(rows)


def interval_words(value: Estimate) -> str:
    """Return an interval, or a dash."""
    return "-" if value.low is None or value.high is None else f"{value.low:.3f} to {value.high:.3f}"


def show_pairs(shown: Shown) -> None:
    """Show readers by readers, the model as one more of them: kappa and AC1 together."""
    report = shown.report
    if report is None:
        st.info(_NUMBERS, icon=":material/grid_on:")
        return
    names = list(KAPPAS) if report.table.ordinal else ["kappa"]
    kappa = st.segmented_control(
        "Cohen's kappa",
        names,
        default=names[-1],
        required=True,
        format_func=KAPPAS.__getitem__,
        key="agreement_kappa",
        bind="query-params",
        help="Plain: any two different categories differ alike. Quadratic: far differences weigh most.",
    )
    model = report.model
    readers = [*report.table.readers, *([model.name] if model else [])]
    pairs = [*report.pairs, *(model.with_readers if model else ())]
    reads = {profile.reader: profile.reads for profile in report.profiles}
    reads |= {model.name: model.profile.reads} if model else {}
    st.plotly_chart(
        heat_table(readers, pairs, reads, kappa=str(kappa)),
        config=CONFIG,
        key="pairs_plot",
        width="content",
        alt="Readers by readers: kappa below the diagonal, AC1 above it",
    )
    st.caption("Below the diagonal kappa, above it AC1, on it how many cases each read. Point at a cell for intervals.")
    if model is not None:
        _show_model(shown.report, model.name)


def show_cases(shown: Shown) -> None:
    """Show how far the reads of each case lie apart, the widest first; a click opens a case of the log."""
    report = shown.report
    if report is None:
        st.info(_NUMBERS, icon=":material/grid_on:")
        return
    read_twice = [one for one in report.cases if one.reads > 1]
    ordered = sorted(read_twice, key=lambda one: (one.agreement or 0.0, -(one.steps or 0), one.case))
    full = sum(one.agreement == 1 for one in ordered)
    st.caption(
        f"{len(ordered)} of {len(report.cases)} cases were read by two or more; on {full} of them all agree."
        + (" Click a row to open the case." if shown.in_log else "")
    )
    left, right = st.columns([5, 6], gap="large")
    with left:
        st.plotly_chart(
            spread_plot(ordered[:_WORST], report.table.categories),
            config=CONFIG,
            key="spread_plot",
            alt="The cases with the least agreement, and how many readers gave each category",
        )
    with right:
        frame = pd.DataFrame(
            {
                "Case": [one.case for one in ordered],
                "Reads": [one.reads for one in ordered],
                "Pairs that agree": [one.agreement for one in ordered],
                "Steps apart": [one.steps for one in ordered],
                "Most said": [one.consensus or "tie" for one in ordered],
            }
        )
        event = st.dataframe(
            frame,
            hide_index=True,
            height=560,
            key="spread_table",
            placeholder="-",
            on_select="rerun" if shown.in_log else "ignore",
            selection_mode="single-row",
            column_config={
                "Pairs that agree": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
            },
            alt="Every case with the spread of its reads",
        )
        rows = event.selection.rows if shown.in_log else []
        if rows:
            st.switch_page("case.py", query_params={"case": ordered[rows[0]].case})


def show_readers(shown: Shown) -> None:
    """Show who reads more severely, how often each agrees with the others, and whether confidence tells of it."""
    report = shown.report
    if report is None:
        st.info(_NUMBERS, icon=":material/grid_on:")
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


def _show_categories(report: AgreementReport) -> None:
    with st.expander("Agreement on each category", icon=":material/category:"):
        st.caption("Given that one reader chose a category, the probability that another one did.")
        counts = report.table.counts().sum(axis=0)
        st.dataframe(
            pd.DataFrame(
                {
                    "Category": list(report.by_category),
                    "Reads": [int(count) for count in counts],
                    "Value": [value.value for value in report.by_category.values()],
                    "95 % interval": [interval_words(value) for value in report.by_category.values()],
                    "Remark": [value.reason for value in report.by_category.values()],
                }
            ),
            hide_index=True,
            height="content",
            key="category_table",
            placeholder="-",
            column_config={"Value": st.column_config.NumberColumn(format="%.3f")},
            alt="Agreement on each category",
        )


def _show_model(report: AgreementReport, name: str) -> None:
    model = report.model
    assert model is not None  # noqa: S101 - asked before
    st.markdown(f"**The {name} as one more reader**")
    among = report.overall
    rows = [
        {
            "Mean kappa": STATISTICS[key][0].removesuffix(", mean of pairs"),
            "Among the readers": _with_interval(among.get(key)),
            "Model with the readers": _with_interval(value),
        }
        for key, value in model.mean.items()
    ]
    consensus: Mapping[str, Estimate] = model.with_consensus.statistics
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, height="content", key="model_means", alt="Mean kappas of the model"
    )
    st.caption(
        f"With the category that most readers gave (n {model.with_consensus.cases}, ties left out): "
        f"Po {_with_interval(consensus['po'])}, kappa {_with_interval(consensus['kappa'])}, "
        f"AC1 {_with_interval(consensus['ac1'])}."
    )


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
            "Drift": [_with_interval(one.drift) for one in profiles],
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


def _with_interval(value: Estimate | None) -> str:
    if value is None or value.value is None:
        return "-"
    interval = "" if value.low is None or value.high is None else f" ({value.low:.2f} to {value.high:.2f})"
    return f"{value.value:.2f}{interval}"
