"""The sections of the evaluation page: each shows figures with the confusion matrix and the numbers beside them."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from core.evaluation.classes import ClassTable
from core.services.evaluation_compare import ModelComparison
from core.services.evaluation_text import UNITS, number, size_words, with_interval
from core.services.evaluation_values import EvaluationResult, Unit
from core.services.evaluation_view import tradeoff, view_at
from pages.parts.evaluation_charts import (
    CONFIG,
    Curve,
    Spot,
    calibration_figure,
    cost_figure,
    precision_recall_figure,
    roc_figure,
)
from pages.parts.evaluation_words import (
    auc_words,
    baseline_frame,
    class_frame,
    estimates_frame,
    matrix_frame,
    readers_frame,
    reasons_frame,
    rules_frame,
    subgroup_frame,
)

_FIGURES = {
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
            column_config=_FIGURES,
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
        column_config=_FIGURES,
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


def show_tiles(result: EvaluationResult) -> None:
    """Show the tiles of slides with outlines."""
    tiles = result.tiles
    if tiles is None:
        st.info(
            "No slide of this cohort has outlines beside it. Put a GeoJSON of the same name beside the slide "
            "(QuPath: File, Export objects as GeoJSON), with the class Tumor.",
            icon=":material/draw:",
        )
        return
    with st.container(horizontal=True):
        st.metric("Tile AUC", number(tiles.auc.estimate.value), width=130, help=with_interval(tiles.auc.estimate))
        st.metric("Average precision", number(tiles.average_precision), width=170)
        st.metric("AUC of darkness alone", number(tiles.darkness_auc), width=190)
    size = (
        f"{tiles.n_cases} patients, {tiles.n_slides} slides, {tiles.n_tiles:,} tiles, {tiles.n_positive:,} with the "
        "target. A tile shows the target if outlines cover half of it."
    )
    left, right = st.columns(2)
    with left:
        st.markdown(f"**ROC of tiles**, AUC {auc_words(tiles.auc)}")
        st.plotly_chart(
            roc_figure([Curve(result.request.model, tiles.operating)]),
            config=CONFIG,
            key="ev_tile_roc",
            alt="ROC of tiles",
        )
    with right:
        st.markdown(f"**Called from {tiles.threshold:.3f} on** (the card's threshold of tiles)")
        show_matrix(tiles.table, caption=size)
        st.dataframe(
            class_frame(tiles.table),
            hide_index=True,
            height="content",
            column_config=_FIGURES,
            key="ev_tile_classes",
            alt="Classes of tiles",
        )


def show_comparison(found: ModelComparison) -> None:
    """Show one model against another on the same units."""
    paired = found.paired
    st.caption(
        f"{paired.n:,} {UNITS[found.unit]} of {paired.n_groups:,} patients that both have scored, "
        f"{paired.n_positive:,} with the target; {found.left_out:,} scored by only one of them are left out. "
        f"Reference: {found.reference}."
    )
    left, right = st.columns(2)
    with left:
        st.plotly_chart(
            roc_figure([Curve(found.first, found.curves[0]), Curve(found.second, found.curves[1])]),
            config=CONFIG,
            key="ev_compare_roc",
            alt="ROC curves of both models",
        )
    with right:
        st.dataframe(
            _comparison_frame(found), hide_index=True, height="content", key="ev_compare", alt="Paired comparison"
        )
        table = pd.DataFrame(
            [[paired.both_right, paired.only_first_right], [paired.only_second_right, paired.both_wrong]],
            index=pd.Index(["Second right", "Second wrong"]),
            columns=["First right", "First wrong"],
        ).T
        table.columns = ["Second right", "Second wrong"]
        st.dataframe(table, height="content", key="ev_mcnemar", alt="Calls of both models, right or wrong")


def show_left_out(result: EvaluationResult) -> None:
    """Show what takes no part, and why; and where every number comes from."""
    left = result.left_out
    if left.blinded or left.unread:
        st.markdown(f"Hidden from you: {left.blinded} cases under a blinded request, {left.unread} unread cases.")
    for what, reasons in (("No result", left.without_result), ("No label", left.without_label)):
        st.markdown(f"**{what}:** {len(reasons)} {UNITS[result.unit]}")
        if reasons:
            st.dataframe(
                reasons_frame(reasons, what="Case" if result.unit is Unit.CASE else "Slide"),
                hide_index=True,
                key=f"ev_left_{what}",
                alt=what,
            )
    st.markdown("**Where this comes from**")
    st.table(
        {
            "Model": result.model_title,
            "Weights (SHA-256)": ", ".join(one[:16] for one in result.weights_sha256) or "-",
            "Reference": result.reference,
            "Cohort": result.request.cohort.words,
            "Threshold": f"{result.threshold:.4f}. {result.threshold_note}",
            "Data hash": result.data_sha256[:16],
            "Code": result.code_version,
        },
        border="horizontal",
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


def _comparison_frame(found: ModelComparison) -> pd.DataFrame:
    paired, areas = found.paired, found.paired.areas
    rows: list[tuple[str, str]] = []
    if areas is not None:
        rows = [
            (f"AUC, {found.first}", with_interval(areas.first)),
            (f"AUC, {found.second}", with_interval(areas.second)),
            ("Difference, DeLong", f"{with_interval(areas.difference)}, p {number(areas.p_value)}"),
        ]
    if paired.bootstrap_difference is not None:
        rows.append(("Difference, bootstrap by patient", with_interval(paired.bootstrap_difference)))
    rows.append(
        ("Calls: only first right / only second right", f"{paired.only_first_right} / {paired.only_second_right}")
    )
    rows.append(("McNemar, exact p", number(paired.mcnemar_p)))
    rows.append(("Thresholds", " / ".join(f"{one:.3f}" for one in found.thresholds)))
    if paired.break_even is not None:
        rows.append(("The one that misses fewer is cheaper from c =", number(paired.break_even, 2)))
    return pd.DataFrame(rows, columns=["Figure", "Value"])
