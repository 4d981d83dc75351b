"""The sections of the evaluation page: each shows figures with the confusion matrix and the numbers beside them."""

from __future__ import annotations

import math

import streamlit as st

from core.evaluation.classes import ClassTable
from core.services.evaluation.text import number, size_words, with_interval
from core.services.evaluation.values import EvaluationResult, Unit
from core.services.evaluation.view import tradeoff, view_at
from pages.parts.evaluation.charts import (
    CONFIG,
    Curve,
    Spot,
    calibration_figure,
    cost_figure,
    precision_recall_figure,
    roc_figure,
)
from pages.parts.evaluation.words import (
    auc_words,
    baseline_frame,
    class_frame,
    estimates_frame,
    matrix_frame,
    readers_frame,
    rules_frame,
    subgroup_frame,
)

FIGURE_COLUMNS = {
    name: st.column_config.NumberColumn(name, format="%.3f")
    for name in ("Accuracy", "Balanced accuracy", "Precision", "Recall", "F1", "Specificity", "NPV")
}


def show_matrix(table: ClassTable, *, caption: str) -> None:
    """Show a confusion matrix and what it was counted on."""
    st.table(matrix_frame(table), border="horizontal", alt="Confusion matrix: reference down, calls across")
    st.caption(caption)


@st.fragment
def show_threshold(result: EvaluationResult) -> None:
    """Show the curves with a threshold that can be moved, and what it does: only this part runs again."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        threshold = st.slider(
            "Threshold: called from this score on",
            0.0,
            1.0,
            float(round(min(result.threshold, 1.0), 4)),
            0.0005,
            format="%.4f",
            key=f"ev_threshold_{result.data_sha256[:12]}",
            width=420,
            help="The model card's threshold at first. Moving it here changes nothing but this page.",
        )
        cost = st.number_input(
            "One missed target is worth so many false alarms",
            min_value=0.0,
            max_value=10_000.0,
            value=10.0,
            step=1.0,
            key="ev_cost",
            width=260,
            bind="query-params",
            help="The cost of a false negative, c. A high c asks for a low threshold.",
        )
    view = view_at(result, threshold)
    found = tradeoff(result.operating, threshold, false_negative_cost=cost)
    (passed, alarms), (missed, hits) = view.table.matrix
    specificity = passed / (passed + alarms) if passed + alarms else math.nan
    sensitivity = hits / (hits + missed) if hits + missed else math.nan
    with st.container(horizontal=True):
        st.metric(
            "Called", f"{found.called:,} ({found.flag_rate:.0%})", width=150, help="Share that has to be looked at."
        )
        st.metric("Missed", f"{found.missed:,}", width=110)
        st.metric("False alarms", f"{found.false_alarms:,}", width=130)
        st.metric("Looks per hit", number(found.looks_per_hit, 1), width=130, help="Looked at for one with the target.")
        st.metric("Cost", f"{found.cost:,.0f}", width=120, help="Misses times c, plus false alarms.")
        st.metric(
            "Cheapest threshold",
            number(found.cheapest_threshold),
            delta=f"cost {found.cheapest_cost:,.0f}, {found.cheapest_called:,} called",
            delta_color="off",
            delta_arrow="off",
            width=210,
            help="Of the lowest cost on these very units, so it flatters; choose thresholds on other patients.",
        )
    left, right = st.columns(2)
    curves = [Curve(result.request.model, result.operating)]
    with left:
        st.markdown(f"**ROC**, AUC {auc_words(result.auc)}")
        spot = None if math.isnan(specificity + sensitivity) else Spot(1 - specificity, sensitivity, "this threshold")
        st.plotly_chart(
            roc_figure(curves, spot=spot, readers=result.readers),
            config=CONFIG,
            key="ev_roc",
            alt=f"ROC curve, area {number(result.auc.estimate.value)}",
        )
    with right:
        st.markdown(f"**Precision and recall**, average precision {with_interval(result.average_precision)}")
        called = hits + alarms
        point = Spot(sensitivity, hits / called, "this threshold") if called and not math.isnan(sensitivity) else None
        st.plotly_chart(
            precision_recall_figure(curves, spot=point),
            config=CONFIG,
            key="ev_pr",
            alt=f"Precision-recall curve, average precision {number(result.average_precision.value)}",
        )
    left, right = st.columns(2)
    with left:
        show_matrix(view.table, caption=size_words(result))
        st.dataframe(
            estimates_frame(view.estimates),
            hide_index=True,
            height="content",
            key="ev_figures",
            alt="Figures at the threshold",
        )
        st.caption("Intervals: patients drawn with replacement, 2,000 times. AUC: " + result.auc.method + ".")
    with right:
        st.plotly_chart(
            cost_figure(result.operating, cost=cost, threshold=threshold),
            config=CONFIG,
            key="ev_cost_figure",
            alt="Cost and share called over the threshold",
        )
        _show_readers(result)


def show_classes(result: EvaluationResult) -> None:
    """Show every class, the baselines and the other rules, at the card's threshold."""
    st.caption(f"At the threshold {result.threshold:.3f}. {result.threshold_note}")
    left, right = st.columns([3, 2])
    with left:
        st.dataframe(
            class_frame(result.at.table),
            hide_index=True,
            height="content",
            column_config=FIGURE_COLUMNS,
            key="ev_classes",
            alt="Every class against the rest",
        )
        st.caption(
            f"Balanced accuracy {number(result.at.table.balanced_accuracy)}, "
            f"macro F1 {number(result.at.table.macro_f1)}."
        )
    with right:
        show_matrix(result.at.table, caption=size_words(result))
    st.subheader("Beside what asks for no understanding")
    st.dataframe(
        baseline_frame(result),
        hide_index=True,
        height="content",
        column_config=FIGURE_COLUMNS,
        key="ev_baselines",
        alt="The model beside the baselines",
    )
    for one in result.baselines:
        st.caption(f"{one.name.capitalize()}: {one.meaning}")
    if result.rules:
        st.subheader("Other ways of rolling up the same tiles")
        st.dataframe(
            rules_frame(result.rules), hide_index=True, height="content", key="ev_rules", alt="AUC of every rule"
        )


def show_calibration(result: EvaluationResult) -> None:
    """Show how far scores can be read as probabilities."""
    found = result.calibration
    with st.container(horizontal=True):
        st.metric(
            "Expected calibration error", number(found.ece), width=220, help="10 equally wide bins (Naeini 2015)."
        )
        st.metric(
            "Brier score",
            number(found.brier),
            width=150,
            help="Mean squared distance; always saying the share gives p(1-p).",
        )
    left, right = st.columns(2)
    with left:
        st.plotly_chart(
            calibration_figure(found),
            config=CONFIG,
            key="ev_calibration",
            alt=f"Calibration plot, expected calibration error {number(found.ece)}",
        )
        st.caption("Numbers at the points: how many in the bin. Bars: Wilson intervals, as if units were independent.")
    with right:
        show_matrix(result.at.table, caption=size_words(result))
        if result.tiles is not None:
            tiles = result.tiles
            st.markdown(
                f"**Tiles** ({tiles.n_tiles:,} of {tiles.n_slides} slides): expected calibration error "
                f"{number(tiles.calibration.ece)}"
            )
            st.plotly_chart(
                calibration_figure(tiles.calibration),
                config=CONFIG,
                key="ev_calibration_tiles",
                alt="Calibration of tiles",
            )


def show_subgroups(result: EvaluationResult) -> None:
    """Show the same figures by site, scanner, stain and quality."""
    st.caption(f"At the threshold {result.threshold:.3f}; {size_words(result)}.")
    st.dataframe(
        subgroup_frame(result.at.subgroups),
        hide_index=True,
        height="content",
        key="ev_subgroups",
        alt="Figures by subgroup",
    )
    st.caption(
        "Read intervals, not ranks: a group of a dozen patients says little. Sites, scanners and quality overlap; a "
        "difference between groups need not come from what the group is called after."
    )


def _show_readers(result: EvaluationResult) -> None:
    if result.unit is Unit.SLIDE:
        st.caption("Readers read cases: choose Cases above to see them as points on the ROC.")
    elif result.readers:
        st.dataframe(
            readers_frame(result.readers),
            hide_index=True,
            height="content",
            key="ev_readers",
            alt="Readers against the reference",
        )
        st.caption("Readers before the model was shown, on the cases that both have; another set for every reader.")
