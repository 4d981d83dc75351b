"""Calibration: how far a model's calls can be trusted here, and whether that promise is kept."""

from __future__ import annotations

import streamlit as st

from core.roles import Permission
from core.services.analysis.unlikeness import list_references
from core.services.calibration.calibrations import list_calibrations
from core.services.calibration.coverage import coverage_of
from core.services.calibration.making import list_seen_models
from core.services.evaluation.selective import selective_of
from pages.parts.calibration.forms import show_new_calibration, show_new_reference
from pages.parts.calibration.tables import show_calibration, show_reference, show_selective
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission

user = require_permission(Permission.SEE_REPORTS)
settings = current_settings()
show_notice()

st.title("Calibration")
st.caption(
    "Sets of classes with a promised error rate, by site and scanner (conformal prediction); the promise against "
    "resolved cases; what abstaining would buy; slides unlike the ones a model is used on."
)
may_change = user.may(Permission.MANAGE_RULES)
models = list_seen_models(settings, actor=user.actor)
sets, abstain, unlike = st.tabs(["Prediction sets", "Abstaining", "Unlike slides"], key="calibration_tabs")
with sets:
    calibrations = list_calibrations(settings)
    coverages = {one.calibration.file.weights_sha256: one for one in coverage_of(settings, actor=user.actor)}
    if not calibrations:
        st.info(
            "No calibration is in use: a call near the threshold is told by the rules' band alone. A lead takes one "
            "into use here, from a table of labelled scores or from resolved cases.",
            title="No prediction sets yet",
            icon=":material/straighten:",
        )
    for used in calibrations:
        show_calibration(used, coverages.get(used.file.weights_sha256))
    if may_change:
        st.subheader("Take a calibration into use")
        show_new_calibration(settings, models, user=user)
with abstain:
    risk = st.slider(
        "Share of wrong calls that is accepted",
        min_value=0,
        max_value=30,
        value=5,
        format="%d %%",
        key="risk",
        width=360,
        bind="query-params",
        help="For the band around the threshold in which there is no call.",
    )
    selective = selective_of(settings, risk=risk / 100, actor=user.actor)
    if not selective:
        st.info(
            "No case with a result is resolved yet. Once second opinions are resolved, this shows how the share of "
            "wrong calls falls as the less certain cases are left without a call.",
            title="Nothing to measure on",
            icon=":material/hourglass_top:",
        )
    for found in selective:
        show_selective(found, risk=risk / 100)
with unlike:
    references = list_references(settings, actor=user.actor)
    if not references:
        st.info(
            "Nobody has said what usual slides look like, so a slide is called unlike others by its prediction set "
            "alone. A lead fits it on slides of this department: 20 or more with colour statistics, which every "
            "analysis now keeps.",
            title="No reference of usual slides",
            icon=":material/palette:",
        )
    for one in references:
        show_reference(one)
    if may_change:
        show_new_reference(settings, models, user=user)
