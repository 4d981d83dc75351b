"""Views of the agreement page: every statistic, readers by readers, and the spread of cases."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from core.services.agreement.view import AgreementReport, Estimate
from pages.parts.agreement.charts import CONFIG, Dot, heat_table, interval_plot, spread_plot
from pages.parts.agreement.shown import Shown
from pages.parts.agreement.words import KAPPAS, STATISTICS

_WORST = 30
"""Cases in the picture of the spread; the table has all."""
NUMBERS = "The reads are numbers, so there are no categories to compare. Give bins above to make some."


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
            row[f"{other}"] = with_interval(found.get(name))
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
        st.info(NUMBERS, icon=":material/grid_on:")
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
        _show_model(report, model.name)


def show_cases(shown: Shown) -> None:
    """Show how far the reads of each case lie apart, the widest first; a click opens a case of the log."""
    report = shown.report
    if report is None:
        st.info(NUMBERS, icon=":material/grid_on:")
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
            "Among the readers": with_interval(among.get(key)),
            "Model with the readers": with_interval(value),
        }
        for key, value in model.mean.items()
    ]
    consensus: Mapping[str, Estimate] = model.with_consensus.statistics
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, height="content", key="model_means", alt="Mean kappas of the model"
    )
    st.caption(
        f"With the category that most readers gave (n {model.with_consensus.cases}, ties left out): "
        f"Po {with_interval(consensus['po'])}, kappa {with_interval(consensus['kappa'])}, "
        f"AC1 {with_interval(consensus['ac1'])}."
    )


def with_interval(value: Estimate | None) -> str:
    """Return a value with its interval, or a dash."""
    if value is None or value.value is None:
        return "-"
    interval = "" if value.low is None or value.high is None else f" ({value.low:.2f} to {value.high:.2f})"
    return f"{value.value:.2f}{interval}"
