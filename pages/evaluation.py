"""Evaluation: any model against any reference, with the confusion matrix and the numbers beside every figure."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.services.evaluation.choices import evaluation_choices
from core.services.evaluation.document import evaluation_document
from core.services.evaluation.gather import prepare
from core.services.evaluation.robustness import robustness_summary
from core.services.evaluation.text import size_words
from core.services.evaluation.values import SYSTEM_PREFIX
from pages.parts.common.actions import show_notice
from pages.parts.common.document_files import offer_document
from pages.parts.common.session import current_settings, require_permission
from pages.parts.evaluation.controls import choose_request, choose_rule, show_hidden, show_label_import
from pages.parts.evaluation.kept import kept_comparison, kept_result
from pages.parts.evaluation.lesions import show_lesions
from pages.parts.evaluation.more import show_comparison, show_left_out, show_tiles
from pages.parts.evaluation.robustness import show_robustness
from pages.parts.evaluation.sections import (
    show_calibration,
    show_classes,
    show_subgroups,
    show_threshold,
)
from pages.parts.evaluation.words import auc_words


class Section(StrEnum):
    """What is shown below the choice."""

    THRESHOLD = "Curves and threshold"
    CLASSES = "Classes and baselines"
    CALIBRATION = "Calibration"
    SUBGROUPS = "Subgroups"
    TILES = "Tiles and lesions"
    COMPARE = "Model against model"
    ROBUSTNESS = "Robustness"
    SOURCES = "Left out and sources"


user = require_permission(Permission.SEE_REPORTS)
settings = current_settings()
show_notice()

st.title("Evaluation")
choices = evaluation_choices(settings, actor=user.actor)
if not choices.models:
    st.info(
        "No model has a result yet. Add slides and analyse them (Add slides and jobs), or import the predictions of "
        "another system.",
        icon=":material/query_stats:",
    )
    st.stop()
request = choose_request(choices)
with st.container(horizontal=True, vertical_alignment="bottom"):
    section = st.pills(
        "Section",
        list(Section),
        default=Section.THRESHOLD,
        required=True,
        key="ev_section",
        bind="query-params",
        wrap=True,
    )
    show_label_import(settings, user)
show_hidden(settings, user, choices)

try:
    prepared = prepare(settings, request, actor=user.actor)
    result = kept_result(settings, prepared)
    if section is Section.CLASSES and result.rules:
        rule = choose_rule([row.name for row in result.rules], "the default or an aggregator")
        if rule is not None:
            result = kept_result(settings, prepare(settings, replace(request, aggregation=rule), actor=user.actor))
except SecondReadError as err:
    st.warning(str(err), icon=":material/info:")
    st.stop()

st.markdown(
    f"**{result.model_title}** against {result.reference}: AUC **{auc_words(result.auc)}**. {size_words(result)}."
)
if user.may(Permission.EXPORT):
    offer_document(
        lambda: evaluation_document(
            settings,
            result,
            robustness=None
            if request.model.startswith(SYSTEM_PREFIX)
            else robustness_summary(settings, request.model, cohort=request.cohort, actor=user.actor),
            actor=user.actor,
        ),
        label="Report",
        file_name=f"evaluation-{request.model}".replace(":", "-"),
        key="ev_report",
        help="Everything on this page and the model's card in one file.",
    )
for sentence in result.caution:
    st.caption(f":material/info: {sentence}")

if section is Section.THRESHOLD:
    show_threshold(result)
elif section is Section.CLASSES:
    show_classes(result)
elif section is Section.CALIBRATION:
    show_calibration(result)
elif section is Section.SUBGROUPS:
    show_subgroups(result)
elif section is Section.TILES:
    show_tiles(result)
    if result.tiles is not None:
        st.subheader("Outlines against called tiles")
        show_lesions(settings, user, model=request.model, cohort=request.cohort, threshold=result.tiles.threshold)
elif section is Section.ROBUSTNESS:
    show_robustness(settings, user, model=request.model, cohort=request.cohort)
elif section is Section.COMPARE:
    others = {name: title for name, title in choices.models if name != request.model}
    other = st.selectbox(
        "Against",
        list(others),
        key="ev_other",
        width=330,
        bind="query-params",
    )
    if other is None:
        st.info(
            "There is no second model with results. Analyse the slides with another model.", icon=":material/compare:"
        )
    else:
        try:
            second = prepare(settings, replace(request, model=other, unit=result.unit), actor=user.actor)
            show_comparison(kept_comparison(prepared, second))
        except SecondReadError as err:
            st.warning(str(err), icon=":material/info:")
else:
    show_left_out(result)
