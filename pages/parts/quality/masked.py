"""The slide's result with all its tiles and without those that artefacts spoil."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pandas as pd
import streamlit as st

from core.services.cases.visibility import Visibility
from core.services.viewing.display import positive_class
from core.store.records import POSITIVE_TITLE, WITHOUT_ARTEFACT, RunRecord
from pages.parts.common.badges import in_words, plain


def show_with_and_without(run: RunRecord | None, seen: Visibility) -> None:
    """Show what the artefacts do to the model's result; hidden wherever that result is.

    Args:
        run: The latest of the slide.
        seen: What the person may see of the case.
    """
    if not seen.model:
        st.info(plain(seen.because), title="The model's result is hidden", icon=":material/visibility_off:")
        return
    found = None if run is None else run.settings.get(WITHOUT_ARTEFACT)
    if run is None or not run.scores or not isinstance(found, Mapping):
        st.caption("No result of this slide says what it would be without artefacts. Analyse the slide again.")
        return
    told = cast("Mapping[str, object]", found)
    left_out, used = int(str(told["tiles_left_out"])), int(str(told["tiles_used"]))
    st.markdown(f"{left_out} of {left_out + used} tiles lie mostly on artefacts and are left out.")
    st.markdown(sentence_of(run, _number(told.get("decision_score"))))
    frame = masked_frame(run, cast("Mapping[str, float]", told["scores"]))
    if len(frame):
        columns = {
            name: st.column_config.NumberColumn(name, format="%.3f", width=150)
            for name in ("With all tiles", "Without artefacts", "Difference")
        }
        st.dataframe(
            frame,
            hide_index=True,
            height="content",
            width=700,
            column_config=columns,
            placeholder="-",
            alt="Score of the slide under every rule with and without the tiles that artefacts spoil",
        )
    st.caption(f"Score of {plain(str(run.settings.get(POSITIVE_TITLE, 'what the model looks for')))}, 0 to 1.")


def sentence_of(run: RunRecord, without: float | None) -> str:
    """Return in words whether the call would be another one without artefacts."""
    with_all, threshold = run.decision_score, run.threshold
    if without is None or with_all is None:
        return (
            "What decides cannot be told without artefacts: no usable tile is left, or an aggregator would run again."
        )
    figures = f"{with_all:.3f} with all tiles, {without:.3f} without the spoilt ones"
    if threshold is None:
        return f"The deciding score is {figures}; there is no threshold."
    if (with_all >= threshold) != (without >= threshold):
        return f":red[**The call would be another one**]: {figures}, threshold {threshold:.2f}."
    return f"The call stays the same: {figures}, threshold {threshold:.2f}."


def masked_frame(run: RunRecord, without: Mapping[str, float]) -> pd.DataFrame:
    """Return one row a rule; nothing for models that look for several classes, whose sum no rule keeps."""
    classes = list(dict.fromkeys(name for row in run.scores.values() for name in row))
    target = positive_class(run.model, classes)
    rows = [
        {
            "Rule": in_words(rule) + (" (decides)" if rule == run.decision_aggregation else ""),
            "With all tiles": scores[target],
            "Without artefacts": without.get(rule),
            "Difference": without[rule] - scores[target] if rule in without else None,
        }
        for rule, scores in run.scores.items()
        if target in scores
    ]
    return pd.DataFrame(rows)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
