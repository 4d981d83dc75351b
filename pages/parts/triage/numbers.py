"""What a setting of the triage board buys: numbers with their intervals, the curve, and the literature beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import streamlit as st

from core.services.triage.board import (
    FEWEST_CASES,
    FEWEST_OF_EACH,
    UNCALIBRATED,
    Board,
    Share,
    TriagePoint,
    audit_size,
    expected_triage,
)

FEWEST_RESOLVED = 20
"""Below this the intervals say so little that the page asks for more cases first."""


def show_numbers(found: Board) -> None:
    """Show what the setting chooses now, and what it would have found among resolved cases."""
    with st.container(horizontal=True):
        st.metric(
            "Chosen now",
            f"{len(found.cases):,} of {found.waiting:,}",
            f"{found.flag_rate:.1%} of the waiting cases",
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Read cases that nobody looks at again yet, ordered by expected benefit.",
        )
        point = found.measured
        if point is not None and found.resolved >= FEWEST_RESOLVED:
            _share("Sensitivity", point.sensitivity, "Flagged discordances among all discordances, resolved cases")
            _share("Yield", point.yield_, "Discordances among the flagged, resolved cases")
            _plain(
                "Reviews per discordance",
                point.reviews_per_discordance,
                "{:.1f}",
                "Reviews that find one: 1 / yield",
            )
            _plain("Lift", point.lift, "{:.1f}", "Times better than drawing cases at random: sensitivity / flag rate")
            _share("Residual", point.residual, "Discordances among the unflagged, resolved cases")
        audit = found.audit
        st.metric(
            "Missed, by the audit",
            "no audit yet" if audit.bound is None else f"at most {audit.bound:.1%}",
            None if audit.bound is None else f"{audit.missed} of {audit.audited} drawn cases",
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Highest miss rate among unflagged cases that the random audit leaves possible (95 %, one-sided).",
        )


def show_basis(found: Board) -> None:
    """Say what the numbers rest on, and what they do not say."""
    if found.hidden:
        st.caption(
            f":material/visibility_off: {found.hidden} cases are left out of every number: your blinded opinion on "
            "them is awaited."
        )
    if found.resolved < FEWEST_RESOLVED:
        st.info(
            f"{found.resolved} resolved cases so far, {found.discordant} with a discordance. From {FEWEST_RESOLVED} "
            "resolved cases on, sensitivity, yield, lift and residual are measured here. Ask for second opinions, "
            "compare and resolve them; draw an audit sample to bound what is missed. Until then, plan below.",
            title="Too few resolved cases to say what this buys",
            icon=":material/hourglass_top:",
        )
        return
    st.caption(f"n = {found.resolved:,} resolved cases, {found.discordant:,} with a discordance. {found.caution}")


def show_order(found: Board) -> None:
    """Say whether the order is a probability."""
    fit = found.calibration
    if fit is None:
        st.caption(
            f":material/straighten: {UNCALIBRATED} It is calibrated once {FEWEST_CASES} cases are resolved, "
            f"{FEWEST_OF_EACH} of them with a discordance and {FEWEST_OF_EACH} without (now {found.resolved}, "
            f"{found.discordant} with one)."
        )
        return
    better = "better" if fit.brier_after < fit.brier_before else "not better"
    expected = (
        f" {found.expected:.1f} discordances are expected among the chosen." if found.expected is not None else ""
    )
    st.caption(
        f":material/straighten: Calibrated on n = {fit.cases:,} resolved cases ({fit.discordant:,} discordant): "
        f"intercept {fit.intercept:.2f}, slope {fit.slope:.2f}; mean squared error {fit.brier_before:.3f} before, "
        f"{fit.brier_after:.3f} after (cross-validated: {better}).{expected}"
    )
    if found.from_probability is not None:
        st.caption(f"Chosen from a probability of {found.from_probability:.1%} on.")


def show_curve(found: Board) -> None:
    """Draw sensitivity and yield over the flag rate, with their intervals, and the setting."""
    if found.resolved < FEWEST_RESOLVED:
        st.caption("The curve is drawn once there are enough resolved cases.")
        return
    figure = go.Figure()
    rates = [point.flag_rate for point in found.curve]
    _band(figure, rates, found.curve, lambda point: point.sensitivity, name="Sensitivity", colour="15,107,120")
    _band(figure, rates, found.curve, lambda point: point.yield_, name="Yield", colour="209,112,74")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="Drawn at random", line={"dash": "dot", "color": "gray", "width": 1}
    )
    figure.add_vline(x=found.flag_rate, line={"color": "gray", "width": 1}, annotation_text="this setting")
    figure.update_layout(
        height=340,
        margin={"l": 0, "r": 0, "t": 24, "b": 0},
        xaxis={"title": "Flag rate", "tickformat": ".0%", "range": [0, 1]},
        yaxis={"title": "Share", "tickformat": ".0%", "range": [0, 1.02]},
        legend={"orientation": "h", "y": 1.12},
    )
    st.plotly_chart(
        figure,
        key="triage_curve",
        config={"displayModeBar": False},
        alt=f"Sensitivity and yield over the flag rate on {found.resolved} resolved cases, with 95 % intervals",
    )


def show_plan() -> None:
    """Let the reader plan with assumed figures: the closed form, before there are data."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        prevalence = st.number_input("Discordances among all cases, %", 0.1, 100.0, 2.0, 0.5, key="plan_prevalence")
        sensitivity = st.number_input("Sensitivity, %", 1.0, 100.0, 80.0, 5.0, key="plan_sensitivity")
        rate = st.number_input("Flag rate, %", 0.5, 99.0, 10.0, 1.0, key="plan_rate")
    found, share = prevalence * sensitivity / 100, rate
    if found > share:
        st.warning(
            f"So many discordances ({found:.1f} % of all cases) do not fit into {share:g} % flagged cases. Raise the "
            "flag rate or lower the others.",
            icon=":material/calculate:",
        )
        return
    plan = expected_triage(prevalence=prevalence / 100, sensitivity=sensitivity / 100, flag_rate=rate / 100)
    st.table(
        {
            "Yield": [f"{plan.yield_:.1%}"],
            "Reviews per true discordance": [f"{plan.reviews_per_discordance:.1f}"],
            "Lift": [f"{plan.lift:.1f}"],
            "Residual among the unflagged": [f"{plan.residual:.2%}"],
        },
        border="horizontal",
        hide_index=True,
        alt="What the assumed figures would buy",
    )
    st.caption("Assumed, not measured: arithmetic on the three figures above.")


def audit_sizes() -> str:
    """Return how many drawn cases without a miss bound the miss rate at 5, 2 and 1 %."""
    sizes = [f"{audit_size(miss_rate=rate)} cases at {rate:.0%}" for rate in (0.05, 0.02, 0.01)]
    return f"{', '.join(sizes[:-1])} or {sizes[-1]}"


def _share(label: str, share: Share, meaning: str) -> None:
    value = "-" if share.value is None else f"{share.value:.0%}"
    told = None if share.low is None else f"{share.low:.0%} to {share.high:.0%}, {share.count} of {share.of}"
    st.metric(
        label,
        value,
        told,
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help=f"{meaning}; 95 % Wilson.",
    )


def _plain(label: str, value: float | None, form: str, meaning: str) -> None:
    st.metric(label, "-" if value is None else form.format(value), border=True, height="stretch", help=meaning)


def _band(
    figure: go.Figure,
    rates: Sequence[float],
    points: Sequence[TriagePoint],
    share_of: Callable[[TriagePoint], Share],
    *,
    name: str,
    colour: str,
) -> None:
    known = [(rate, share_of(point)) for rate, point in zip(rates, points, strict=True)]
    known = [(rate, share) for rate, share in known if share.value is not None]
    xs = [rate for rate, _ in known]
    figure.add_scatter(
        x=[*xs, *reversed(xs)],
        y=[*(share.high for _, share in known), *(share.low for _, share in reversed(known))],
        fill="toself",
        fillcolor=f"rgba({colour},0.15)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=xs,
        y=[share.value for _, share in known],
        mode="lines",
        name=name,
        line={"color": f"rgb({colour})", "width": 2},
        hovertemplate="%{y:.0%} at a flag rate of %{x:.0%}",
    )
