"""What calibrations promise and whether they keep it, in tables and charts."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.server.identity import short_name
from core.services.analysis.unlikeness import ReferenceInUse
from core.services.calibration.calibrations import CalibrationInUse, Method, needed_cases
from core.services.calibration.coverage import Coverage
from core.services.evaluation.selective import Selective
from pages.parts.common.badges import plain, time_in_words

METHODS = {
    Method.VALID: "Valid count: (k + 1) / (n + 1)",
    Method.PLAIN: "Plain count: k / n, after Olsson 2022",
}
FEWEST_RESOLVED = 20
"""Below this a curve would be a picture of chance."""


def show_calibration(used: CalibrationInUse, coverage: Coverage | None) -> None:
    """Show one calibration: its promise, its cases by group, and its errors on resolved cases."""
    needed = needed_cases(used.alpha)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(used.file.model)}**, error rate {used.alpha:g} in each class", width="content")
            st.badge(METHODS[used.method], icon=":material/functions:", color="blue")
        st.caption(
            f"Weights {used.file.weights_sha256[:12]}, file {used.sha256[:12]}, taken into use by "
            f"{plain(short_name(used.added_by))}, {time_in_words(used.added_at)}. One label in a set is a call, "
            "several are no call, none is a slide unlike every class. A calibration only ever adds flags."
        )
        st.markdown(
            f"A class needs **n ≥ 1/alpha - 1 = {needed:,}** calibration cases before it can ever be ruled out at this "
            "error rate. With fewer, the valid count never rules it out, and the plain count promises more than it "
            "holds."
        )
        st.table(
            _groups_frame(used, needed),
            border="horizontal",
            hide_index=True,
            alt=f"Calibration cases of {used.file.model} by site and scanner",
        )
        _show_coverage(used, coverage)


def _groups_frame(used: CalibrationInUse, needed: int) -> pd.DataFrame:
    rows = [
        (
            plain(str(group)),
            ", ".join(f"{plain(name)} {count:,}" for name, count in zip(one.classes, one.counts, strict=True)),
            "yes" if min(one.counts) >= needed else f"no, {needed - min(one.counts):,} short of a class",
        )
        for group, one in used.file.groups.items()
    ]
    return pd.DataFrame(rows, columns=["For", "Calibration cases of each class", "Enough for this error rate"])


def _show_coverage(used: CalibrationInUse, coverage: Coverage | None) -> None:
    st.markdown("**Coverage on resolved cases**")
    if coverage is None or not coverage.cases:
        st.caption(
            "No resolved case of this model yet. As cases are resolved, the share whose settled class lies outside "
            "its set is watched here against the promise."
        )
        return
    for warning in coverage.warnings:
        st.warning(warning, title="Drift", icon=":material/warning:")
    if not coverage.warnings:
        st.caption(f":material/check_circle: No drift on n = {coverage.cases:,} resolved cases.")
    rows = [
        (
            plain(str(check.group)),
            check.label or "all classes",
            f"{check.errors.count} of {check.errors.of}",
            "-" if check.errors.value is None else f"{check.errors.value:.1%}",
            "-" if check.errors.low is None else f"{check.errors.low:.1%} to {check.errors.high:.1%}",
            f"{used.alpha:.1%}",
            f"{check.probability:.2g}",
        )
        for check in coverage.checks
    ]
    st.table(
        pd.DataFrame(
            rows, columns=["For", "Class", "Outside their set", "Share", "95 % Wilson", "Promised", "P of so many"]
        ),
        border="horizontal",
        hide_index=True,
        alt=f"Errors of the prediction sets of {used.file.model} on resolved cases",
    )
    st.caption(
        "Resolved cases are no random sample, so a warning says: look, and calibrate anew. Not: it is broken. Cases "
        "that the calibration was made from keep the promise by construction; those resolved since are the test."
    )


def show_selective(found: Selective, *, risk: float) -> None:
    """Show the risk-coverage curve of a model and its band of no call."""
    band = found.band
    st.markdown(
        f"**{plain(found.model)}**: {found.wrong} of n = {found.cases:,} resolved cases called otherwise than they "
        f"were settled; area under the risk-coverage curve {found.aurc:.3f}."
    )
    if found.cases < FEWEST_RESOLVED:
        st.info(
            f"A curve on {found.cases} cases would be a picture of chance. It is drawn from {FEWEST_RESOLVED} on.",
            icon=":material/hourglass_top:",
        )
        return
    width = (band.high - band.low) / 2
    if band.abstained == found.cases:
        st.warning(f"No band keeps the risk at {risk:.0%}: even the surest call is too often wrong.")
    else:
        error = "-" if band.risk.high is None else f"{band.risk.value:.1%}, at most {band.risk.high:.1%}"
        st.markdown(
            f"No call within **{width:.3f}** of the threshold {found.threshold:.2f} ({band.low:.2f} to "
            f"{band.high:.2f}) keeps the share of wrong calls within {risk:.0%}: {band.abstained:,} of {found.cases:,} "
            f"cases would be no call; wrong among the rest {error} (95 % Wilson)."
        )
        st.caption("A lead sets the band under Rules, No call within. Found on these cases, so it flatters itself.")
    figure = go.Figure()
    xs = [point.coverage for point in found.curve]
    figure.add_scatter(
        x=[*xs, *reversed(xs)],
        y=[*(point.risk.high for point in found.curve), *(point.risk.low for point in reversed(found.curve))],
        fill="toself",
        fillcolor="rgba(15,107,120,0.15)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=xs,
        y=[point.risk.value for point in found.curve],
        mode="lines+markers",
        line={"color": "rgb(15,107,120)", "width": 2},
        hovertemplate="%{y:.1%} wrong if the surest %{x:.0%} are called",
        showlegend=False,
    )
    figure.update_layout(
        height=300,
        margin={"l": 0, "r": 0, "t": 16, "b": 0},
        xaxis={"title": "Coverage: share of the cases that is called, the surest first", "tickformat": ".0%"},
        yaxis={"title": "Risk: share called wrong", "tickformat": ".0%", "rangemode": "tozero"},
    )
    st.plotly_chart(
        figure,
        key=f"selective_{found.weights_sha256}_{found.threshold}",
        config={"displayModeBar": False},
        alt=f"Risk over coverage of {found.model} on {found.cases} resolved cases, with 95 % intervals",
    )


def show_reference(used: ReferenceInUse) -> None:
    """Show what usual slides of a model are, and whether a slide can be flagged at all."""
    with st.container(border=True):
        st.markdown(f"**{plain(used.model)}**: {used.slides:,} usual slides, flagged at {used.alpha:.1%} or less")
        st.caption(
            f"Half of them set the measure, {used.held_out:,} calibrate it. Fitted by "
            f"{plain(short_name(used.added_by))}, {time_in_words(used.added_at)}. Reason: {plain(used.reason)}"
        )
        if not used.can_flag:
            st.warning(
                f"No slide can be flagged: {needed_cases(used.alpha):,} held-out slides are needed for {used.alpha:g}, "
                f"{used.held_out:,} are there. Fit on more slides or accept more false alarms.",
                icon=":material/warning:",
            )
