"""What people and other systems say of a slide's quality, beside our map: figures, the map in three colours, input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pandas as pd
import streamlit as st

from core.errors import SecondReadError
from core.qc.classes import ARTEFACTS, ArtefactClass
from core.roles import Permission
from core.server.identity import User, short_name
from core.services.quality.reference_picture import reference_picture
from core.services.quality.references import (
    ReferenceKind,
    ReferenceRecord,
    references,
)
from core.services.quality.table import QualityRow
from core.settings import Settings
from pages.parts.common.badges import plain, time_in_words
from pages.parts.quality.pictures import laid_over
from pages.parts.quality.reference_form import FIGURES, show_reference_form
from pages.parts.quality.words import area_text

_KINDS = {
    ReferenceKind.ANNOTATION: "Drawn or scored by a person",
    ReferenceKind.GRANDQC: "GrandQC",
    ReferenceKind.HISTOQC: "HistoQC",
}
_PICTURE_PX = 640


@st.fragment
def show_references(settings: Settings, row: QualityRow, *, user: User) -> None:
    """Show the references of a slide, compare one with our map, and take a new one in."""
    slide_id = row.entry.slide_id
    found = references(settings, slide_id, actor=user.actor)
    if not found:
        st.caption("Nobody has drawn or scored artefacts on this slide, and no other system's result is taken in.")
    else:
        _show_list(found)
        _show_picture(settings, row, [one for one in found if one.mask_path], user=user)
    if user.may(Permission.JUDGE_QUALITY):
        with st.expander("Add a reference", icon=":material/add:", expanded=not found):
            show_reference_form(settings, row.entry.slide_id, user=user)


def _show_list(found: Sequence[ReferenceRecord]) -> None:
    st.dataframe(
        references_frame(found),
        hide_index=True,
        height="content",
        placeholder="-",
        column_config={
            **{
                title: st.column_config.NumberColumn(title, format="%.3f", width=76, help=meaning)
                for title, meaning in FIGURES.values()
            },
            "Added": st.column_config.DatetimeColumn("Added", format="YYYY-MM-DD", width=92),
        },
        alt="References of this slide with figures against our map",
    )
    st.caption(
        "A reference is not the truth: what we found and nobody annotated may be an artefact all the same. The figures "
        "are those of any artefact, on tissue, as they were when the reference came in."
    )


def references_frame(found: Sequence[ReferenceRecord]) -> pd.DataFrame:
    """Return one row a reference: who, usable, score, and the figures over any artefact."""
    return pd.DataFrame(
        [
            {
                "Reference": plain(one.name),
                "Kind": _KINDS[one.kind],
                "Usable": "-" if one.usable is None else "yes" if one.usable else "no",
                "Score 0-5": one.human_score,
                **{title: figure_of(one.figures, name) for name, (title, _) in FIGURES.items()},
                "File": one.source or "-",
                "Added by": short_name(one.author),
                "Added": one.created_at,
                "Note": one.note,
            }
            for one in found
        ]
    )


def figure_of(figures: Mapping[str, object] | None, name: str) -> float | None:
    """Return a figure over any artefact from a comparison; None where there is none."""
    over = figures.get("any") if figures else None
    value = cast("Mapping[str, object]", over).get(name) if isinstance(over, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _show_picture(settings: Settings, row: QualityRow, drawn: Sequence[ReferenceRecord], *, user: User) -> None:
    if not drawn:
        return
    slide_id = row.entry.slide_id
    by_id = {one.reference_id: one for one in drawn}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Map against",
            list(by_id),
            index=len(by_id) - 1,
            format_func=lambda one: f"{by_id[one].name}, {time_in_words(by_id[one].created_at)}",
            key=f"qc_reference_{slide_id}",
            width=340,
        )
        told = told_apart(by_id[chosen])
        kind = st.selectbox(
            "Artefact",
            told,
            index=None,
            format_func=lambda one: one.about.title,
            placeholder="Any",
            key=f"qc_reference_class_{slide_id}_{chosen}",
            width=230,
            disabled=not told,
        )
    try:
        picture = reference_picture(settings, slide_id, chosen, artefact=kind, actor=user.actor)
    except SecondReadError as err:
        st.warning(str(err), icon=":material/image_not_supported:")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        laid = laid_over(settings, row.entry.quality, picture.rgba, longest_px=_PICTURE_PX)
        if laid is None:
            st.caption("The slide's thumbnail is missing; the figures stand beside.")
        else:
            st.image(laid, alt=picture.about)
    with right:
        st.caption(plain(picture.about))
        for words, (colour, mm2) in picture.legend.items():
            st.markdown(f"{_square(colour)} {words}: **{area_text(mm2)}**")
        values = {title: getattr(picture.comparison, name) for name, (title, _) in FIGURES.items()}
        st.table(
            {title: "not defined" if value is None else f"{value:.3f}" for title, value in values.items()},
            border="horizontal",
            width="content",
            alt="Figures of our map against the reference",
        )


def told_apart(record: ReferenceRecord) -> list[ArtefactClass]:
    """Return the artefact classes that a reference's comparison speaks of."""
    classes = record.figures.get("classes") if record.figures else None
    names = set(cast("Mapping[str, object]", classes)) if isinstance(classes, Mapping) else set[str]()
    return [kind for kind in ARTEFACTS if kind.value in names]


def _square(colour: tuple[int, int, int]) -> str:
    return {(0, 0, 255): ":blue[■]", (255, 0, 0): ":red[■]"}.get(colour, "**■**")
