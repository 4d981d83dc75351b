"""The vocabularies of quality control in words, colours and icons: one place, so that a verdict looks the same."""

from __future__ import annotations

from collections.abc import Mapping

from core.qc.classes import ArtefactClass
from core.vocabulary import QcDisposition, QcOrigin, QcReason
from pages.parts.common.badges import Look

DISPOSITIONS: Mapping[QcDisposition, Look] = {
    QcDisposition.ACCEPT: Look("Accept", "green", ":material/check_circle:", "Read the slide as it is."),
    QcDisposition.ACCEPT_WITH_LIMITATION: Look(
        "Accept with limitation", "yellow", ":material/rule:", "Read the slide, but not where the artefacts are."
    ),
    QcDisposition.RESCAN: Look("Rescan", "orange", ":material/scanner:", "The glass is good, the scan is not."),
    QcDisposition.RECUT: Look("Recut", "red", ":material/content_cut:", "A new section is needed."),
    QcDisposition.RESTAIN: Look("Restain", "violet", ":material/colorize:", "The section is good, the stain is not."),
    QcDisposition.EXCLUDE: Look("Exclude", "gray", ":material/block:", "The slide cannot be used and not be mended."),
}
NO_VERDICT = Look("No verdict", "blue", ":material/pending:", "Nobody has judged the slide yet.")
REASONS: Mapping[QcReason, str] = {
    QcReason.OUT_OF_FOCUS: "Out of focus",
    QcReason.FOLD: "Fold",
    QcReason.PEN: "Pen or ink",
    QcReason.BUBBLE_EDGE: "Bubble or coverslip edge",
    QcReason.DARK_SPOT_FOREIGN: "Dust or foreign object",
    QcReason.STAIN: "Pale or over-stained",
    QcReason.STITCHING: "Stitching error",
    QcReason.DAMAGED: "Tissue damaged",
    QcReason.LABEL_OBSCURED: "Label obscured",
    QcReason.OTHER: "Other",
}
ORIGINS: Mapping[QcOrigin, str] = {
    QcOrigin.PREPARATION: "Preparation: cutting, mounting, staining, marking",
    QcOrigin.ACQUISITION: "Acquisition: the scan",
}


def colour_of(artefact: ArtefactClass) -> str:
    """Return the colour of an artefact class as `#rrggbb`: the same in maps, legends and charts."""
    return "#{:02x}{:02x}{:02x}".format(*artefact.about.colour)


def area_text(mm2: float | None) -> str:
    """Return an area in mm², below 0.01 mm² in µm²; a dash where it was not measured."""
    if mm2 is None:
        return "-"
    return f"{mm2:.2f} mm²" if mm2 >= 0.01 or mm2 == 0 else f"{mm2 * 1e6:,.0f} µm²"


def share_text(share: float | None) -> str:
    """Return a share of tissue as per cent; shares that would round to nothing keep one digit more."""
    if share is None:
        return "-"
    if 0 < share < 0.0001:
        return "< 0.01%"
    return f"{share:.2%}" if 0 < share < 0.001 else f"{share:.1%}"


def not_measured(count: int) -> str:
    """Return how many slides more there are without a measurement, as a phrase."""
    return f"{count} more are not measured" if count != 1 else "1 more is not measured"
