"""What to do about a slide: a suggestion by stated limits, for a person to decide on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.qc.classes import ARTEFACTS, ArtefactClass
from core.qc.limits import QcLimits
from core.vocabulary import QcDisposition, QcOrigin, QcReason


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to do with a slide, and why."""

    disposition: QcDisposition
    reason: QcReason | None
    origin: QcOrigin | None
    explanation: str


_REMEDY: Mapping[ArtefactClass, QcDisposition] = {
    ArtefactClass.OUT_OF_FOCUS: QcDisposition.RESCAN,
    ArtefactClass.FOLD: QcDisposition.RECUT,
    ArtefactClass.PEN: QcDisposition.RESCAN,
    ArtefactClass.BUBBLE_EDGE: QcDisposition.RESCAN,
    ArtefactClass.DARK_SPOT_FOREIGN: QcDisposition.RESCAN,
    ArtefactClass.DAMAGED: QcDisposition.RECUT,
    ArtefactClass.STAIN: QcDisposition.RESTAIN,
}
_HELP: Mapping[ArtefactClass, str] = {
    ArtefactClass.OUT_OF_FOCUS: "Scan it again.",
    ArtefactClass.FOLD: "Cut a new section.",
    ArtefactClass.PEN: "Wipe the ink off and scan it again.",
    ArtefactClass.BUBBLE_EDGE: "Mount it again and scan it again.",
    ArtefactClass.DARK_SPOT_FOREIGN: "Clean it and scan it again.",
    ArtefactClass.DAMAGED: "Cut a new section.",
    ArtefactClass.STAIN: "Stain it again.",
}


def suggest(shares: Mapping[ArtefactClass, float], *, usable: float, tissue_mm2: float, limits: QcLimits) -> Suggestion:
    """Suggest what to do.

    Little usable tissue left: exclude where several faults share the blame and no single remedy would bring the slide
    back above the limit, else the remedy of the main fault. Enough left: accept, with a limitation where a fault is
    worth a mention.

    Args:
        shares: Share of tissue of every artefact class, 0-1.
        usable: Usable share, 0-1.
        tissue_mm2: All tissue.
        limits: The laboratory's.
    """
    if tissue_mm2 <= 0:
        return Suggestion(QcDisposition.EXCLUDE, QcReason.OTHER, None, "No tissue was found, so nothing can be read.")
    main = max(ARTEFACTS, key=lambda kind: shares[kind] * kind.about.weight)
    if shares[ArtefactClass.STAIN] >= limits.restain_share and usable >= limits.limitation_usable:
        return _because(ArtefactClass.STAIN, QcDisposition.RESTAIN, shares, usable, _HELP[ArtefactClass.STAIN])
    if usable < limits.limitation_usable:
        unusable = max((kind for kind in ARTEFACTS if kind.about.unusable), key=lambda kind: shares[kind])
        mended = usable + shares[unusable]
        if usable < limits.exclude_usable and mended < limits.limitation_usable:
            return _because(
                unusable, QcDisposition.EXCLUDE, shares, usable, "No single remedy would bring enough back."
            )
        return _because(unusable, _REMEDY[unusable], shares, usable, _HELP[unusable])
    if usable < limits.accept_usable or shares[main] >= limits.mention_share:
        help_words = "Read it, but not where the map is coloured."
        return _because(main, QcDisposition.ACCEPT_WITH_LIMITATION, shares, usable, help_words)
    return Suggestion(QcDisposition.ACCEPT, None, None, f"{usable:.0%} of the tissue is usable.")


def _because(
    kind: ArtefactClass,
    disposition: QcDisposition,
    shares: Mapping[ArtefactClass, float],
    usable: float,
    advice: str,
) -> Suggestion:
    about = kind.about
    words = f"{usable:.0%} of the tissue is usable; {shares[kind]:.0%} is {_AS_STATE[kind]}. {advice}"
    return Suggestion(disposition, about.reason, about.origin, words)


_AS_STATE: Mapping[ArtefactClass, str] = {
    ArtefactClass.OUT_OF_FOCUS: "out of focus",
    ArtefactClass.FOLD: "folded",
    ArtefactClass.PEN: "under pen",
    ArtefactClass.BUBBLE_EDGE: "in a bubble or at the coverslip's edge",
    ArtefactClass.DARK_SPOT_FOREIGN: "under dust or foreign matter",
    ArtefactClass.DAMAGED: "damaged",
    ArtefactClass.STAIN: "pale or over-stained",
}
