"""From an artefact map and its measures to the report of a slide."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.qc.artefact_map import ArtefactMap
from core.qc.classes import ARTEFACTS, CLASSES, NO_TISSUE, ArtefactClass
from core.qc.compression import STRONG
from core.qc.detectors.evidence import Evidence
from core.qc.disposition import suggest
from core.qc.limits import DEFAULT_LIMITS, QcLimits
from core.qc.report import ClassArea, Disagreement, QcReport
from core.qc.sections import count_sections
from core.qc.survey import FINE_UM_PER_PX, Survey

COARSE_FOCUS_UM = 1.5
"""Scale from which a slight defocus can no longer be seen."""


def summarise(
    found: ArtefactMap,
    evidence: Evidence,
    survey: Survey,
    *,
    blockiness: float = float("nan"),
    network: str = "",
    limits: QcLimits = DEFAULT_LIMITS,
    warnings: tuple[str, ...] = (),
) -> QcReport:
    """Sum a map up.

    Args:
        found: The joined map.
        evidence: What the detectors said.
        survey: What was read.
        blockiness: Of the compression; NaN where it could not be told.
        network: Name and weights of the network; empty if none ran.
        limits: By which the disposition is suggested.
        warnings: What was noticed before.
    """
    areas = found.areas_mm2()
    tissue_mm2 = sum(areas.values())
    shares = {kind: areas[kind] / tissue_mm2 if tissue_mm2 > 0 else 0.0 for kind in CLASSES}
    usable = sum(shares[kind] for kind in CLASSES if not kind.about.unusable)
    suggestion = suggest(shares, usable=usable, tissue_mm2=tissue_mm2, limits=limits)
    score = max(0.0, 1 - sum(shares[kind] * kind.about.weight for kind in ARTEFACTS)) if tissue_mm2 > 0 else 0.0
    measures = _measures(evidence, survey, found, blockiness=blockiness)
    return QcReport(
        score=round(score, 6),
        tissue_mm2=round(tissue_mm2, 6),
        usable_mm2=round(usable * tissue_mm2, 6),
        usable_fraction=round(usable, 6),
        classes={kind.value: ClassArea(round(areas[kind], 6), round(shares[kind], 6)) for kind in CLASSES},
        sections=count_sections(found.tissue, um_per_px=found.um_per_px),
        disposition=suggestion.disposition,
        reason=suggestion.reason,
        origin=suggestion.origin,
        explanation=suggestion.explanation,
        stain=evidence.stain,
        disagreements=_disagreements(found),
        measures=measures,
        warnings=(*warnings, *_warnings(evidence, survey, measures, tissue_mm2=tissue_mm2)),
        um_per_px=found.um_per_px,
        network=network,
        limits=limits.version,
    )


def _disagreements(found: ArtefactMap) -> tuple[Disagreement, ...]:
    if found.network is None:
        return ()
    compared = found.tissue & (found.network != NO_TISSUE)
    network, detector = found.network[compared], found.detector[compared]
    pairs = np.bincount(network.astype(np.int64) * 256 + detector, minlength=256 * 256).reshape(256, 256)
    area = pairs * found.px_mm2
    return tuple(_disagreement(area, kind) for kind in ARTEFACTS)


def _disagreement(area: np.ndarray, kind: ArtefactClass) -> Disagreement:
    both = float(area[kind.code, kind.code])
    network_only, detector_only = float(area[kind.code].sum()) - both, float(area[:, kind.code].sum()) - both
    return Disagreement(kind.value, round(both, 6), round(network_only, 6), round(detector_only, 6))


def _measures(evidence: Evidence, survey: Survey, found: ArtefactMap, *, blockiness: float) -> Mapping[str, float]:
    """Return what is known of the slide as a whole; a measure that could not be taken is left out.

    focus: median over tissue, 0-1. brightness: median light through clean tissue, 0-1 of white. contrast: standard
    deviation of that light. peak_density: median density of the darkest structures. blockiness: see
    `core.qc.compression`.
    """
    clean = found.tissue & (found.labels == ArtefactClass.CLEAN.code)
    light = survey.rgb[clean].mean(-1) / 255 if clean.any() else np.zeros(0)
    peaks = survey.stain.peak[np.isfinite(evidence.focus)]
    values = {
        "focus": float(np.nanmedian(evidence.focus)) if np.isfinite(evidence.focus).any() else float("nan"),
        "brightness": float(np.median(light)) if light.size else float("nan"),
        "contrast": float(light.std()) if light.size else float("nan"),
        "peak_density": float(np.median(peaks)) if peaks.size else float("nan"),
        "blockiness": blockiness,
    }
    return {name: round(value, 4) for name, value in values.items() if np.isfinite(value)}


def _warnings(
    evidence: Evidence, survey: Survey, measures: Mapping[str, float], *, tissue_mm2: float
) -> tuple[str, ...]:
    found: list[str] = []
    if tissue_mm2 <= 0:
        return ("No tissue was found, so there is nothing to judge.",)
    fine_um = survey.scale.um_per_px / survey.scale.fine
    if fine_um > COARSE_FOCUS_UM * FINE_UM_PER_PX:
        found.append(f"The image has {fine_um:.1f} um/px: defocus below about {1.5 * fine_um:.0f} um cannot be seen.")
    if "focus" not in measures:
        found.append("Focus could not be measured: no place holds enough tissue.")
    if measures.get("blockiness", 0) > STRONG:
        found.append("The image is strongly compressed; fine structure may be lost, and focus looks worse than it is.")
    if evidence.stain.method == "ruifrok":
        found.append("The stain vectors could not be estimated from this slide; published ones stand in.")
    return tuple(found)
