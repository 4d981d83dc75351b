"""All slides beside each other: a line a slide over the features, a map of them, and whether batches differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.server.identity import User
from core.services.quality.cohort import CohortView, Feature
from core.settings import Settings
from pages.parts.common.badges import plain
from pages.parts.quality.bulk import show_bulk_actions
from pages.parts.quality.charts import CONFIG, Axis, Dot, Line, batch_colours, embedding_figure, parallel_figure
from pages.parts.quality.filters import NOT_STATED
from pages.parts.quality.pictures import overlay_picture
from pages.parts.quality.words import not_measured, share_text

BATCHES = {"scanner": "Scanner", "site": "Site", "stain": "Stain", "day": "Day added"}
METHODS = {"pca": "Principal components", "tsne": "Neighbours (t-SNE)"}
_USUAL = ("usable_fraction", "stain_1_amount", "stain_2_amount", "stain_angle", "log_tissue_mm2")
_MOST_PICTURES = 24
_MOST_SEPARATING = 5
"""Features shown in which batches differ."""
_NONE_CHOSEN = "Draw a box over an axis of the lines, or around points of the map: the slides it holds are shown here."


def show_cohort(settings: Settings, view: CohortView, *, user: User) -> None:
    """Show the cohort; choosing in its charts redraws only what stands below them."""
    if not len(view.slides):
        st.info(
            "No slide of these filters has a quality measurement with artefact classes. Measure their quality first.",
            icon=":material/monitoring:",
        )
        return
    told = f"n = {len(view.slides)} slides"
    told += f"; {not_measured(view.unmeasured)}" if view.unmeasured else ""
    st.caption(f"{told}. {plain(view.rule)}")
    _show_charts(settings, view, user)
    show_batch_effect(view)
    _show_outliers(view)


@st.fragment
def _show_charts(settings: Settings, view: CohortView, user: User) -> None:
    batches = [batch or NOT_STATED for batch in view.batches]
    colours = batch_colours(sorted(set(batches)))
    names = _choose_axes(view)
    lines = st.plotly_chart(
        parallel_figure([_axis(view, name) for name in names], _lines(view, names, batches), colours=colours),
        config=CONFIG,
        key="qc_parallel",
        on_select="rerun",
        selection_mode="box",
        alt=f"Quality features of {len(view.slides)} slides, one line a slide over {len(names)} axes",
    )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        dots = _show_map(view, batches, colours)
    picked = chosen_slides([*lines.selection.points, *dots])
    order = [entry.slide_id for entry in view.slides if entry.slide_id in picked]
    with right:
        _show_chosen(settings, view, order, user=user)


def _choose_axes(view: CohortView) -> list[str]:
    titles = {feature.title: feature.name for feature in view.features}
    usual = [title for title, name in titles.items() if _is_usual(view, name)]
    with st.popover("Axes", icon=":material/tune:"):
        chosen = st.multiselect(
            "Features, one axis each",
            list(titles),
            default=usual,
            key="qc_axes",
            help="In the order of your choice. At first: what differs between the slides shown.",
        )
    return [titles[title] for title in chosen]


def chosen_slides(points: Sequence[Mapping[str, object]]) -> set[str]:
    """Return the slides that belong to chosen points of either chart."""
    found: set[str] = set()
    for point in points:
        told = point.get("customdata")
        first = told.get("0") if isinstance(told, Mapping) else told[0] if isinstance(told, Sequence) and told else None
        if first is not None:
            found.add(str(first))
    return found


def _show_map(view: CohortView, batches: Sequence[str], colours: Mapping[str, str]) -> Sequence[Mapping[str, object]]:
    outliers = {one.slide_id for one in view.outliers}
    if view.embedding is None:
        st.caption("A map needs at least three measured slides.")
        return []
    names = ("Component 1", "Component 2") if view.embedding.method == "pca" else ("", "")
    dots = [
        Dot(
            slide_id=entry.slide_id,
            batch=batch,
            x=float(point[0]),
            y=float(point[1]),
            is_outlier=entry.slide_id in outliers,
        )
        for entry, batch, point in zip(view.slides, batches, view.embedding.points, strict=True)
    ]
    event = st.plotly_chart(
        embedding_figure(dots, colours=colours, axis_titles=names),
        config=CONFIG,
        key="qc_map",
        on_select="rerun",
        selection_mode=("box", "lasso"),
        alt=f"Map of {len(dots)} slides by their quality features, coloured by {BATCHES[view.batch].lower()}",
    )
    st.caption(plain(view.embedding.words))
    return event.selection.points


def _is_usual(view: CohortView, name: str) -> bool:
    """Say whether a feature is an axis at first: one of the common ones, and not the same for all slides."""
    column = _column(view, name)
    known = column[np.isfinite(column)]
    return (name.startswith("fraction_") or name in _USUAL) and known.size > 0 and float(np.ptp(known)) > 0


def _column(view: CohortView, name: str) -> np.ndarray:
    return view.values[:, [feature.name for feature in view.features].index(name)]


def _form(name: str, highest: float) -> str:
    """Return how a feature is written; a share below a hundredth would read as none at all in whole per cent."""
    if name.startswith("fraction_") or name == "usable_fraction":
        return ".2%" if 0 < highest < 0.01 else ".0%"
    return ".3g"


def _axis(view: CohortView, name: str) -> Axis:
    column = _column(view, name)
    known = column[np.isfinite(column)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    return Axis(title=_short(_feature(view, name)), low=low, high=high, form=_form(name, high))


def _feature(view: CohortView, name: str) -> Feature:
    return next(feature for feature in view.features if feature.name == name)


_SHORT = {
    "fraction_out_of_focus": "Out of<br>focus",
    "fraction_fold": "Fold",
    "fraction_pen": "Pen",
    "fraction_bubble_edge": "Bubble<br>or edge",
    "fraction_dark_spot_foreign": "Dust or<br>foreign",
    "fraction_damaged": "Damaged",
    "fraction_stain": "Pale or<br>overstained",
    "usable_fraction": "Usable",
    "log_tissue_mm2": "Tissue<br>log10 mm²",
    "stain_angle": "Stain<br>angle",
    "stain_1_amount": "First<br>dye",
    "stain_2_amount": "Second<br>dye",
}
"""Names that fit below an axis."""


def _short(feature: Feature) -> str:
    return _SHORT.get(feature.name, "<br>".join(feature.title.split()))


def _lines(view: CohortView, names: Sequence[str], batches: Sequence[str]) -> list[Line]:
    columns = [_column(view, name) for name in names]
    beyond = {one.slide_id: {name for name, _, _ in one.reasons} for one in view.outliers}
    return [
        Line(
            slide_id=entry.slide_id,
            batch=batches[place],
            values=tuple(float(column[place]) if np.isfinite(column[place]) else None for column in columns),
            outlying=frozenset(
                axis for axis, name in enumerate(names) if name in beyond.get(entry.slide_id, frozenset[str]())
            ),
        )
        for place, entry in enumerate(view.slides)
    ]


def _show_chosen(settings: Settings, view: CohortView, slide_ids: Sequence[str], *, user: User) -> None:
    if not slide_ids:
        st.info(_NONE_CHOSEN, icon=":material/select:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(slide_ids)} chosen**", width="content")
        show_bulk_actions(settings, slide_ids, user=user)
    entries = {entry.slide_id: entry for entry in view.slides}
    with st.container(horizontal=True, gap="small", height=330, border=False):
        for slide_id in slide_ids[:_MOST_PICTURES]:
            with st.container(border=True, width=170, gap="xsmall"):
                quality = entries[slide_id].quality
                picture = overlay_picture(settings, quality, longest_px=140)
                if picture is not None:
                    st.image(picture, alt=f"Slide {slide_id} under its artefact map")
                usable = "-" if quality is None else share_text(quality.usable_fraction)
                st.caption(f"{plain(slide_id)}, usable {usable}")
                if st.button("Open", key=f"qc_cohort_{slide_id}", icon=":material/open_in_new:", type="tertiary"):
                    st.query_params["slide"] = slide_id
                    st.rerun()
    if len(slide_ids) > _MOST_PICTURES:
        st.caption(f"{_MOST_PICTURES} of {len(slide_ids)} are pictured; the actions above hold for all.")


def show_batch_effect(view: CohortView) -> None:
    """Say in words and figures whether slides of one batch are more alike than chance makes them."""
    st.subheader("Batch effect")
    if view.effect is None:
        st.caption(f"It takes two batches with two slides each; colour by something else than {BATCHES[view.batch]}.")
        return
    effect = view.effect
    st.markdown(plain(effect.words))
    with st.container(horizontal=True):
        st.metric(
            "Silhouette", f"{effect.silhouette:.3f}", width=150, help="-1 to 1; about 0 where batches do not differ"
        )
        st.metric("By chance", f"{effect.expected:.3f}", width=150, help="Mean when batches are dealt out at random")
        st.metric("Chance reaches (95 %)", f"{effect.highest_by_chance:.3f}", width=190)
        st.metric("p", f"{effect.p_value:.3f}", width=120, help=f"Of {effect.permutations} random dealings")
        st.metric("n", effect.slides, width=100)
    st.dataframe(
        pd.DataFrame(
            {
                BATCHES[view.batch]: list(effect.groups),
                "Slides": [effect.sizes[name] for name in effect.groups],
                "Silhouette": list(effect.groups.values()),
            }
        ),
        hide_index=True,
        height="content",
        width=460,
        column_config={"Silhouette": st.column_config.NumberColumn("Silhouette", format="%.3f")},
        alt="Silhouette of every batch",
    )
    titles = {feature.name: feature.title for feature in view.features}
    most = view.separating[:_MOST_SEPARATING]
    st.caption("The features in which batches differ most. p holds for all features together.")
    st.dataframe(
        pd.DataFrame(
            {
                "Feature": [titles[name] for name, _, _ in most],
                "Variance between batches": [share for _, share, _ in most],
                "p": [p for _, _, p in most],
            }
        ),
        hide_index=True,
        height="content",
        width=560,
        column_config={
            "Variance between batches": st.column_config.ProgressColumn(
                "Variance between batches",
                format="percent",
                min_value=0,
                max_value=1,
                help="Share of the feature's variance that lies between batches, 0 to 1",
            ),
            "p": st.column_config.NumberColumn("p", format="%.3f"),
        },
        alt="Features in which batches differ most, with the share of variance between batches",
    )


def _show_outliers(view: CohortView) -> None:
    st.subheader(f"Outliers ({len(view.outliers)})")
    if not view.outliers:
        st.caption("No slide lies apart by this rule.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Slide": [one.slide_id for one in view.outliers],
                "Why": [_why(view, one.reasons, isolated=one.is_isolated) for one in view.outliers],
                "Isolation": [one.isolation for one in view.outliers],
            }
        ),
        hide_index=True,
        height="content",
        column_config={
            "Slide": st.column_config.TextColumn("Slide", width=120),
            "Why": st.column_config.TextColumn("Why", width="large"),
            "Isolation": st.column_config.NumberColumn(
                "Isolation", format="%.2f", width=80, help="0-1; about 0.5 is ordinary"
            ),
        },
        alt="Slides that lie apart, with the features that set them apart",
    )


def _why(view: CohortView, reasons: Sequence[tuple[str, float, float]], *, isolated: bool) -> str:
    told = [
        f"{_feature(view, name).title} {format(value, _form(name, value))} "
        f"({abs(score):.1f} SD {'above' if score > 0 else 'below'})"
        for name, value, score in reasons[:4]
    ]
    more = [f"and {len(reasons) - 4} more"] if len(reasons) > 4 else []
    alone = ["all features together"] if isolated else []
    return "; ".join([*told, *more, *alone])
