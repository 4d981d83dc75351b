"""Network and detectors joined to one map, by one stated rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.qc.artefact_map import ArtefactMap
from core.qc.classes import ARTEFACTS, NO_TISSUE, ArtefactClass
from core.qc.detectors.evidence import ON_TOP, Evidence, Masks, labels_of
from core.qc.network import NetworkField
from core.qc.survey import SurveyScale

NETWORK_ALONE = 0.9
"""Probability from which the network needs no detector."""
FOLD_ALONE = 0.5
"""The same for folds, of which the detector knows only the plainest. On simulated tiles of the patients that selected
the network it finds 81 % rather than 55 %, with 1 of 1,500 clean tiles."""
DAMAGE_ALONE = 0.7
"""The same for damage beside an opening: 70 % rather than 53 %, with 1 of 1,500 clean tiles. Without the opening clefts
in the stroma of clean IHC phantoms were up to 2 % of the tissue; with it 0.1 %. IHC never counts without one: there the
network takes the pale fibres of the counterstain for crushed tissue."""
NETWORK_BACKS = 0.3
"""Probability from which it turns a detector's doubt into a finding."""
NETWORK_NAMES = 0.5
"""Probability from which a class counts as named by the network, where the two are compared."""
OUTLINED = frozenset(
    {ArtefactClass.PEN, ArtefactClass.BUBBLE_EDGE, ArtefactClass.DARK_SPOT_FOREIGN, ArtefactClass.FOLD}
)
"""Classes whose outline a detector draws more finely than tiles can: beside its findings the network adds nothing."""
JOINING_RULE = (
    f"A point is in a class where that class's detector is sure; where the detector has a doubt and the network gives "
    f"at least {NETWORK_BACKS:g}; or where the network alone gives at least {NETWORK_ALONE:g}. For folds "
    f"{FOLD_ALONE:g} will do, and for damage {DAMAGE_ALONE:g} beside an opening through which glass is seen, without "
    "which damage of immunohistochemistry needs its detector. For pen, edges, dust and folds it counts only farther "
    "than half a tile from what was found by the detector, because tiles cannot draw their outline. Pen comes before "
    "bubble or edge, dust, fold, damage, blur and stain."
)


def join(evidence: Evidence, field: NetworkField | None, scale: SurveyScale) -> ArtefactMap:
    """Apply `JOINING_RULE`.

    Args:
        evidence: Of the detectors.
        field: Of the network; None if none ran, and then only what the detectors are sure of counts.
        scale: Of the survey.
    """
    detector = labels_of(evidence.sure, evidence.tissue)
    if field is None:
        return ArtefactMap(detector, evidence.tissue, scale.downsample, scale.um_per_px, detector)
    found, named = _joined(evidence, field)
    torn = found[ArtefactClass.DAMAGED] & evidence.maybe[ArtefactClass.DAMAGED]
    tissue = evidence.tissue | torn
    looked_at = field.looked_at(evidence.tissue.shape) & tissue
    network = np.where(looked_at, named, np.uint8(NO_TISSUE))
    return ArtefactMap(labels_of(found, tissue), tissue, scale.downsample, scale.um_per_px, detector, network)


def _joined(evidence: Evidence, field: NetworkField) -> tuple[Masks, NDArray[np.uint8]]:
    """Return the masks after the rule, and the class that the network names everywhere (clean if none)."""
    shape = (evidence.tissue.shape[0], evidence.tissue.shape[1])
    named = np.zeros(shape, np.uint8)
    best = np.full(shape, NETWORK_NAMES, np.float32)
    found: dict[ArtefactClass, NDArray[np.bool_]] = {}
    for kind in ARTEFACTS:
        probability = field.spread(kind, shape)
        higher = probability >= best
        named[higher], best[higher] = kind.code, probability[higher]
        alone = _alone(kind, probability, evidence)
        if kind in ON_TOP:
            alone &= evidence.tissue
        seen = evidence.sure[kind] | (evidence.maybe[kind] & (probability >= NETWORK_BACKS))
        if kind in OUTLINED and seen.any() and alone.any():
            reach = np.asarray(ndimage.maximum_filter(seen.astype(np.uint8), 2 * round(field.cell_px) + 1))
            alone &= reach == 0
        found[kind] = seen | alone
    return found, named


def _alone(kind: ArtefactClass, probability: NDArray[np.float32], evidence: Evidence) -> NDArray[np.bool_]:
    """Return (H, W) where the network needs no detector."""
    if kind is ArtefactClass.FOLD:
        return probability >= FOLD_ALONE
    if kind is ArtefactClass.DAMAGED:
        torn = (probability >= DAMAGE_ALONE) & evidence.openings
        return torn if evidence.stain.kind == "ihc" else torn | (probability >= NETWORK_ALONE)
    return probability >= NETWORK_ALONE
