"""What was measured on one slide: score with its formula, artefacts, stain, warnings, and where methods differ."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.qc.classes import ArtefactClass
from core.server.identity import User
from core.services.quality.table import QualityRow, quality_row
from core.settings import Settings
from pages.parts.common.badges import in_words, plain, time_in_words
from pages.parts.quality.words import (
    DISPOSITIONS,
    ORIGINS,
    REASONS,
    area_text,
    colour_of,
    share_text,
)

_ALONE = ("network_only_mm2", "detector_only_mm2")
_DYES = {"he": "H&E", "ihc": "IHC", "unknown": "not told"}
_METHODS = {
    "macenko": "estimated from this slide (Macenko 2009)",
    "ruifrok": "published vectors (Ruifrok and Johnston 2001), because this slide shows too little of both dyes",
}


def show_case_quality(settings: Settings, slide_id: str, *, user: User) -> None:
    """Show the quality of a slide where the case is read, with the way to everything about it."""
    row = quality_row(settings, slide_id, actor=user.actor)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="stretch"):
            show_suggestion(row)
        st.page_link("quality.py", label="Open in Quality", icon=":material/blur_on:", query_params={"slide": slide_id})
    show_findings(row)


def show_suggestion(row: QualityRow) -> None:
    """Show what the measurement suggests, in one line with its reason and origin, and the figures beside it."""
    found, report = row.entry.quality, row.report
    if found is None:
        st.info(
            "The quality of this slide was not measured yet. Analyse the slide under Add slides and jobs.",
            icon=":material/hourglass_empty:",
        )
        return
    if report is None:
        st.warning(
            "This slide was measured before there were artefact classes: it has a score and no suggestion. "
            "Analyse it again under Add slides and jobs.",
            icon=":material/history:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if found.disposition is not None:
            look = DISPOSITIONS[found.disposition]
            st.markdown("Suggested", width="content")
            st.badge(look.label, icon=look.icon, color=look.colour, help=look.meaning)
        told = [plain(report.explanation)]
        told += [f"Main fault: {REASONS[found.reason].lower()}"] if found.reason else []
        told += [ORIGINS[found.origin].split(":")[0].lower()] if found.origin else []
        st.caption(" · ".join(told) + f" · limits {plain(found.limits_version or '-')}", width="content")


def show_findings(row: QualityRow) -> None:
    """Show score, formula and every class in mm² and per cent of tissue."""
    report = row.report
    if report is None:
        st.caption("Nothing is measured by artefact class on this slide.")
        return
    with st.container(horizontal=True):
        st.metric("Score (0 to 1)", f"{report.score:.2f}", width=130)
        st.metric("Tissue", area_text(report.tissue_mm2), width=175)
        st.metric("Usable", area_text(report.usable_mm2), width=175)
        st.metric("Usable share", share_text(report.usable_fraction), width=140)
        st.metric("Sections", report.sections, width=110)
    st.caption(f"Score: {plain(report.formula)}")
    classes = [(kind, report.classes[kind.value]) for kind in ArtefactClass]
    differ = {part.name: part for part in report.disagreements}
    frame = pd.DataFrame(
        {
            "Colour": [swatch(colour_of(kind)) for kind, _ in classes],
            "Class": [kind.about.title for kind, _ in classes],
            "Area": [area.mm2 for _, area in classes],
            "Share of tissue": [area.fraction_of_tissue for _, area in classes],
            "Comes from": [_origin(kind) for kind, _ in classes],
            "Usable": [_usable(kind) for kind, _ in classes],
            "Both found": [_part(differ, kind, "both_mm2") for kind, _ in classes],
            "Network only": [_part(differ, kind, "network_only_mm2") for kind, _ in classes],
            "Detectors only": [_part(differ, kind, "detector_only_mm2") for kind, _ in classes],
        }
    )
    areas = {
        name: st.column_config.NumberColumn(f"{name}, mm²", format="%.3f", width=112)
        for name in ("Area", "Both found", "Network only", "Detectors only")
    }
    st.dataframe(
        frame if differ else frame.drop(columns=["Both found", "Network only", "Detectors only"]),
        hide_index=True,
        height="content",
        placeholder="-",
        column_config={
            "Colour": st.column_config.ImageColumn("", width=36),
            "Class": st.column_config.TextColumn("Class", width=170),
            "Usable": st.column_config.TextColumn("Usable", width=120),
            "Share of tissue": st.column_config.NumberColumn("Share of tissue", format="percent", width=112),
            **areas,
        },
        alt="Area of every artefact class in square millimetres and as a share of tissue",
    )
    _show_disagreement(row)
    for warning in report.warnings:
        st.warning(plain(warning), icon=":material/warning:")


def _show_disagreement(row: QualityRow) -> None:
    report = row.report
    if report is None:
        return
    if not report.network:
        st.caption("The artefact network took no part: the classical detectors alone found these areas.")
        return
    alone = [sum(getattr(part, name) for part in report.disagreements) for name in _ALONE]
    st.caption(
        f"Network {plain(report.network)} beside the classical detectors: the network alone names artefacts on "
        f"{area_text(alone[0])} of tissue, the detectors alone on {area_text(alone[1])}. A place where they name "
        "different ones counts in both. The layer Artefacts of the viewer shows where the network differs."
    )


def _origin(kind: ArtefactClass) -> str:
    return "-" if kind is ArtefactClass.CLEAN else in_words(kind.about.origin.value)


def _usable(kind: ArtefactClass) -> str:
    return "no" if kind.about.unusable else "yes" if kind is ArtefactClass.CLEAN else "with a limitation"


def _part(differ: dict[str, object], kind: ArtefactClass, name: str) -> float | None:
    found = differ.get(kind.value)
    return None if found is None else float(getattr(found, name))


def swatch(colour: str) -> str:
    """Return a `data:` address of a square of one colour."""
    square = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">'
        f'<rect width="18" height="18" x="1" y="1" rx="3" fill="{colour}" stroke="#8a979b"/></svg>'
    )
    return "data:image/svg+xml;utf8," + square.replace("#", "%23").replace('"', "'")


def show_stain(row: QualityRow) -> None:
    """Show the two dyes as colours with their vectors and amounts."""
    report = row.report
    if report is None:
        st.caption("The stain of this slide was not measured.")
        return
    stain = report.stain
    kind, method = _DYES.get(stain.kind, stain.kind), _METHODS.get(stain.method, stain.method)
    st.caption(f"The colours look like {kind}; vectors {method}.")
    if not stain.vectors:
        return
    amounts = [*stain.concentrations, *[None] * len(stain.vectors)]
    st.dataframe(
        pd.DataFrame(
            {
                "Colour": [swatch(dye_colour(vector)) for vector in stain.vectors],
                "Dye": [plain_name(name) for name in (*stain.names, "First", "Second")[: len(stain.vectors)]],
                "R": [vector[0] for vector in stain.vectors],
                "G": [vector[1] for vector in stain.vectors],
                "B": [vector[2] for vector in stain.vectors],
                "Amount": [amounts[place] for place in range(len(stain.vectors))],
            }
        ),
        hide_index=True,
        height="content",
        width=620,
        column_config={
            "Colour": st.column_config.ImageColumn("", width=36),
            **{name: st.column_config.NumberColumn(f"OD {name}", format="%.2f", width=80) for name in "RGB"},
            "Amount": st.column_config.NumberColumn(
                "Amount", format="%.2f", help="99th percentile in tissue, optical density along the vector"
            ),
        },
        alt="Stain vectors with their colours and amounts",
    )
    if stain.angle_degrees is not None:
        st.caption(f"{stain.angle_degrees:.0f} degrees between the vectors.")


def dye_colour(vector: Sequence[float]) -> str:
    """Return the colour of a dye at an optical density of 1 along its vector, as `#rrggbb`."""
    return "#" + "".join(f"{round(255 * 10 ** -max(0.0, part)):02x}" for part in vector)


def plain_name(name: str) -> str:
    """Return the name of a dye as it begins a line."""
    return name[:1].upper() + name[1:]


def show_measures(row: QualityRow) -> None:
    """Show the measures of the whole slide and where the measurement came from."""
    found, report = row.entry.quality, row.report
    if found is None:
        st.caption("Nothing is measured yet.")
        return
    facts = {
        "Measured": time_in_words(found.measured_at),
        "Measurement": f"`{found.source_id}`",
        "Suggested under limits": plain(found.limits_version or "-"),
    }
    if report is not None:
        facts |= {
            "Method": plain(report.version),
            "Scale of the map": f"{report.um_per_px:.2f} µm/px",
            "Network": plain(report.network) or "none",
        }
        facts |= {in_words(name): f"{value:.4g}" for name, value in report.measures.items()}
    st.table(facts, border="horizontal", width="content", alt="Measures of the whole slide and their origin")
