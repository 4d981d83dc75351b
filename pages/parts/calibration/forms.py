"""Taking a calibration into use, and fitting what usual slides look like."""

from __future__ import annotations

import streamlit as st

from core.errors import SecondReadError
from core.server.identity import User
from core.services.analysis.unlikeness import Usual, fit_usual
from core.services.calibration.calibrations import SIZE_LIMIT, Method, add_calibration
from core.services.calibration.making import (
    Columns,
    SeenModel,
    calibration_from_resolved,
    calibration_from_table,
    table_columns,
)
from core.settings import Settings
from pages.parts.calibration.tables import METHODS
from pages.parts.common.actions import attempt

_FILE, _TABLE, _RESOLVED = "Calibration file", "Table of scores", "Resolved cases"
_USUAL = {Usual.ACCEPTED: "Accepted by quality control", Usual.ANALYSED: "All analysed, but the refused"}


def show_new_calibration(settings: Settings, models: tuple[SeenModel, ...], *, user: User) -> None:
    """Let a lead take a calibration into use: from a file, from labelled scores, or from resolved cases."""
    if not models:
        st.info("No model has judged a slide here yet. Analyse slides first.", icon=":material/inbox:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.segmented_control(
            "From", [_FILE, _TABLE, _RESOLVED], default=_TABLE, required=True, key="calibration_from"
        )
        model = choose_model(models, key="calibration_model") if source != _FILE else None
    try:
        text = _text(settings, source, model, user=user)
    except SecondReadError as err:
        st.warning(str(err), icon=":material/edit:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        alpha = st.number_input(
            "Error rate accepted in each class (alpha)",
            min_value=0.0001,
            max_value=0.5,
            value=0.05,
            step=0.01,
            format="%.4f",
            key="calibration_alpha",
            help="A class needs at least 1/alpha - 1 calibration cases: 19 at 0.05, 99 at 0.01, 999 at 0.001.",
        )
        method = st.selectbox(
            "Count",
            list(METHODS),
            format_func=METHODS.__getitem__,
            key="calibration_method",
            help="The valid count keeps its promise for any number of cases; the plain one is what Olsson et al. used.",
        )
        reason = st.text_input("Why is it taken into use?", key="calibration_reason", max_chars=300)
    if text is not None:
        st.download_button(
            "Calibration file",
            text,
            file_name="second-read-calibration.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            key="calibration_file",
        )
    if st.button(
        "Take into use",
        key="calibration_add",
        type="primary",
        icon=":material/check:",
        disabled=text is None,
        help="From the next evaluation of each case on. The log keeps the file, so every one ever used stays.",
    ) and attempt(
        lambda: add_calibration(
            settings, text or "", alpha=alpha, method=Method(method), reason=reason, actor=user.actor
        ),
        done="The calibration is in use.",
    ):
        st.rerun()


def choose_model(models: tuple[SeenModel, ...], *, key: str) -> SeenModel:
    """Let the reader choose one of the models that have judged slides here."""
    place = st.selectbox(
        "Model",
        range(len(models)),
        format_func=lambda i: f"{models[i].model} ({models[i].weights_sha256[:8]}, {models[i].slides:,} slides)",
        key=key,
        width=320,
    )
    return models[place]


def _text(settings: Settings, source: str, model: SeenModel | None, *, user: User) -> str | None:
    if source == _RESOLVED and model is not None:
        st.caption("Each resolved case by the slide that decides it. Resolved cases are no random sample.")
        return calibration_from_resolved(settings, model.weights_sha256, actor=user.actor)
    limit_mb = SIZE_LIMIT // 1_000_000
    if source == _FILE:
        file = st.file_uploader(
            f"Calibration file (JSON, at most {limit_mb} MB)", type=["json"], key="calibration_json"
        )
        return None if file is None else file.getvalue().decode("utf-8", errors="replace")
    file = st.file_uploader(
        "Labelled scores (CSV, one case a row; never the cases the model was trained on)",
        type=["csv"],
        key="calibration_csv",
    )
    if file is None or model is None:
        return None
    return _from_table(file.getvalue().decode("utf-8", errors="replace"), model)


def _from_table(text: str, model: SeenModel) -> str:
    names = table_columns(text)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox("Column of the true class", names, key="calibration_label", width=200)
        scores = tuple(
            st.selectbox(
                f"Probability of {name}",
                names,
                index=_likely(names, name),
                key=f"calibration_score_{place}",
                width=200,
            )
            for place, name in enumerate(model.classes)
        )
        site = st.selectbox("Site", names, index=None, placeholder="none", key="calibration_site", width=150)
        scanner = st.selectbox("Scanner", names, index=None, placeholder="none", key="calibration_scanner", width=150)
    return calibration_from_table(text, model=model, columns=Columns(label, scores, site, scanner))


def _likely(names: tuple[str, ...], wanted: str) -> int:
    return next((place for place, name in enumerate(names) if wanted.casefold() in name.casefold()), 0)


def show_new_reference(settings: Settings, models: tuple[SeenModel, ...], *, user: User) -> None:
    """Let a lead fit what usual slides of a model look like."""
    if not models:
        return
    with st.form("fit_reference"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            model = choose_model(models, key="reference_model")
            usual = st.selectbox("Usual are", list(_USUAL), format_func=_USUAL.__getitem__, key="reference_usual")
            alpha = st.number_input(
                "Usual slides that may be flagged",
                min_value=0.001,
                max_value=0.5,
                value=0.05,
                step=0.01,
                format="%.3f",
                key="reference_alpha",
                help="The share of false alarms. Half of the usual slides must number at least 1/share - 1.",
            )
        reason = st.text_input("Why now?", key="reference_reason", max_chars=300)
        sent = st.form_submit_button("Fit usual slides", key="reference_fit", icon=":material/model_training:")
    if sent and attempt(
        lambda: fit_usual(
            settings, model.weights_sha256, usual=Usual(usual), alpha=alpha, reason=reason, actor=user.actor
        ),
        done="Fitted. Slides unlike these are flagged from the next evaluation on.",
    ):
        st.rerun()
