"""More sections of the evaluation page: tiles, one model against another, and what was left out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.services.evaluation.compare import ModelComparison
from core.services.evaluation.text import UNITS, number, with_interval
from core.services.evaluation.values import EvaluationResult, Unit
from pages.parts.evaluation.charts import (
    CONFIG,
    Curve,
    roc_figure,
)
from pages.parts.evaluation.sections import FIGURE_COLUMNS, show_matrix
from pages.parts.evaluation.words import (
    auc_words,
    class_frame,
    reasons_frame,
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
            column_config=FIGURE_COLUMNS,
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
