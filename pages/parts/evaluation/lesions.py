"""Tiles that are called against outlines: figures of every slide, the map in three colours, a person's score."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.errors import SecondReadError
from core.roles import Permission
from core.server.identity import User
from core.services.cases.review import open_case
from core.services.evaluation.lesion_overlap import (
    SCORE_WORDS,
    OverlapPicture,
    OverlapRow,
    lesion_slides,
    overlap_picture,
    overlap_row,
    score_overlap,
)
from core.services.evaluation.text import number
from core.services.evaluation.values import Cohort
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.common.badges import plain

MOST_ROWS = 12
"""Above this the table scrolls."""
LEGEND = (
    "Blue: outlined and called. Red: called but not outlined (not called wrong: outlines are rarely complete). "
    "Black: outlined and missed."
)


@st.fragment
def show_lesions(settings: Settings, user: User, *, model: str, cohort: Cohort, threshold: float) -> None:
    """Show every slide with outlines and one of them as a map."""
    slides = lesion_slides(settings, model, cohort=cohort, actor=user.actor)
    if not slides:
        st.info("No slide has outlines beside it that can be compared.", icon=":material/draw:")
        return
    chosen = st.slider(
        "Tiles are called from this probability on",
        0.0,
        1.0,
        float(round(threshold, 4)),
        0.0005,
        format="%.4f",
        key="ev_lesion_threshold",
        width=420,
        help="The model card's threshold of tiles at first.",
    )
    rows = [_kept_row(settings, str(settings.home), name, digest, model, chosen, user.actor) for name, digest in slides]
    found = [row for row in rows if isinstance(row, OverlapRow)]
    for row in rows:
        if isinstance(row, str):
            st.caption(f":material/info: {row}")
    outlined = [row for row in found if row.figures.both + row.figures.missed]
    st.caption(
        f"{len(found)} slides compared, {len(outlined)} with the target outlined. Figures are over tissue that tiles "
        "cover; tiles are called whole, and the ceiling says which Dice a perfect model would reach with such tiles."
    )
    left, right = st.columns([3, 4])
    with left:
        event = st.dataframe(
            _frame(outlined or found),
            hide_index=True,
            key="ev_lesions",
            on_select="rerun",
            selection_mode="single-row",
            height="content" if len(outlined or found) <= MOST_ROWS else 420,
            alt="Overlap of called tiles with outlines, by slide",
        )
    listed = outlined or found
    place = event.selection.rows[0] if event.selection.rows else 0
    with right:
        if listed:
            _show_one(settings, user, listed[min(place, len(listed) - 1)], model=model, threshold=chosen)


@st.cache_data(max_entries=2000, show_spinner=False)
def _kept_row(
    _settings: Settings, home: str, slide_id: str, digest: str, model: str, threshold: float, actor: str
) -> OverlapRow | str:
    del home, digest
    try:
        return overlap_row(_settings, slide_id, model=model, threshold=threshold, actor=actor)
    except SecondReadError as err:
        return str(err)


def _show_one(settings: Settings, user: User, row: OverlapRow, *, model: str, threshold: float) -> None:
    open_case(settings, row.case_id, actor=user.actor)
    try:
        found = overlap_picture(settings, row.slide_id, model=model, threshold=threshold, actor=user.actor)
    except SecondReadError as err:
        st.warning(str(err), icon=":material/info:")
        return
    st.image(found.picture, width="stretch", alt=f"{row.slide_id}: called tiles against outlines")
    st.caption(f"**{plain(row.slide_id)}** from {threshold:.3f} on. {LEGEND}")
    _show_scores(settings, user, found)


def _show_scores(settings: Settings, user: User, found: OverlapPicture) -> None:
    own = next((one for one in found.scores if one.reader == user.actor), None)
    others = [one.score for one in found.scores if one.reader != user.actor]
    if user.may(Permission.ANNOTATE):
        score = st.segmented_control(
            "How well does it fit? 0 to 5",
            list(range(len(SCORE_WORDS))),
            format_func=lambda one: f"{one} {SCORE_WORDS[one]}" if one in (0, len(SCORE_WORDS) - 1) else str(one),
            default=None if own is None else own.score,
            key=f"ev_fit_{found.row.run_id}",
            help="Your judgement; kept in the log, an earlier one is superseded.",
        )
        if score is not None and (own is None or own.score != score):
            done = attempt(
                lambda: score_overlap(
                    settings,
                    found.row.slide_id,
                    run_id=found.row.run_id,
                    threshold=found.threshold,
                    score=int(score),
                    actor=user.actor,
                ),
                done=f"Score {score} recorded.",
            )
            if done:
                st.rerun(scope="fragment")
    if own is not None or not user.may(Permission.ANNOTATE):
        words = ", ".join(map(str, others)) if others else "none yet"
        st.caption(f"Scores of others: {words}.")
    elif others:
        st.caption(f":material/visibility_off: {len(others)} others have scored this slide; you see it after yours.")


def _frame(rows: list[OverlapRow]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Slide": row.slide_id,
                "Dice": number(row.figures.dice, 2),
                "Ceiling": number(row.ceiling, 2),
                "IoU": number(row.figures.iou, 2),
                "TPR": number(row.figures.tpr, 2),
                "TNR": number(row.figures.tnr, 2),
                "NPV": number(row.figures.npv, 2),
                "Outlined, mm²": number((row.figures.both + row.figures.missed) * row.figures.px_mm2, 2),
                "Called, mm²": number((row.figures.both + row.figures.found_only) * row.figures.px_mm2, 2),
            }
            for row in rows
        ]
    )
