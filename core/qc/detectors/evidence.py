"""All classical detectors over one survey: where each class is sure, and where it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.optics import optical_density
from core.qc.classes import NO_TISSUE, ArtefactClass
from core.qc.detectors.debris import debris_evidence
from core.qc.detectors.faint import faint_tissue
from core.qc.detectors.focus import MIN_FOCUS
from core.qc.detectors.fold import fold_evidence
from core.qc.detectors.grey import GreyMatter, grey_matter
from core.qc.detectors.ground import stain_ground
from core.qc.detectors.pen import pen_mask
from core.qc.detectors.split import split_evidence
from core.qc.detectors.stain import StainKind, stain_facts
from core.qc.detectors.stain_level import badly_stained
from core.qc.detectors.tear import beside_openings, tear_evidence
from core.qc.report import StainFacts
from core.qc.shapes import by_channel, enlarged, pieces_of, reduced, smooth
from core.qc.survey import COARSEST_UM_PER_PX, Survey
from core.tissue import TissueMask, close_gaps

DOUBTFUL_FOCUS = 0.65
"""Focus below which tissue may be out of focus; from 0.5 down it surely is."""
PEN_REACH_UM = 750.0
"""Half the width of a broad marker stroke: ink with tissue within this on both sides lies over tissue."""
STROKE_REACH = 1.5
"""The same per width of the widest stroke on the slide: enough to meet tissue across it, and no bay of the tissue."""
HIDDEN_REACH_UM = 60.0
"""The same for rims and grains."""
PRECEDENCE = (
    ArtefactClass.PEN,
    ArtefactClass.BUBBLE_EDGE,
    ArtefactClass.DARK_SPOT_FOREIGN,
    ArtefactClass.FOLD,
    ArtefactClass.DAMAGED,
    ArtefactClass.OUT_OF_FOCUS,
    ArtefactClass.STAIN,
)
"""Where several classes apply, the first one counts: what lies on top hides what is beneath."""
ON_TOP = frozenset({ArtefactClass.PEN, ArtefactClass.BUBBLE_EDGE, ArtefactClass.DARK_SPOT_FOREIGN})
"""Classes that are also shown on glass."""
BESIDE_UM = 10.0
BESIDE_DENSITY = 0.08
"""Density beside ink that is tissue and not glass."""
HIDDEN_UM_PER_PX = 8.0
NEAR_PEN_UM = 500.0
"""Distance from a stroke within which a gap may lie between its pale end and tissue, and is no sure tear."""
Masks = Mapping[ArtefactClass, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the detectors found on one slide; all masks are (H, W) of the survey's map."""

    sure: Masks
    """Where a class is certain by itself; every class but clean."""
    maybe: Masks
    """Where a class is possible; contains `sure`."""
    tissue: NDArray[np.bool_]
    """Tissue, including what pen, rims and grains hide."""
    stain: StainFacts
    focus: NDArray[np.float32]
    """(rows, columns) by focus cell, NaN where there is too little tissue."""
    dark: NDArray[np.bool_]
    """Of the badly stained, what is stained over; the rest is pale."""
    openings: NDArray[np.bool_]
    """Beside glass that is seen through more than a cleft between fibres."""


def find_artefacts(survey: Survey, mask: TissueMask, *, stain: StainKind | None = None) -> Evidence:
    """Run every detector.

    Args:
        survey: Of the slide.
        mask: Its tissue at the overview's scale.
        stain: What the slide is known to be stained with; None: told by colour.
    """
    um_per_px, shape = survey.scale.um_per_px, survey.rgb.shape[:2]
    density = _density(survey, mask)
    pen = pen_mask(density, um_per_px=um_per_px)
    grey = grey_matter(density, um_per_px=um_per_px, ink=pen)
    pen = pen | grey.strokes
    rims = grey.edges | grey.bubbles
    beside = np.zeros(shape, np.bool_) if mask.ink is None else enlarged(mask.ink, shape) > 0
    # The tissue mask gives pen a wide berth and takes pink about a stroke for fading ink; what the pixels show counts.
    pink = beside & (_without(pen, density.mean(-1), sigma_px=BESIDE_UM / um_per_px) > BESIDE_DENSITY)
    known = (enlarged(mask.mask, shape) > 0.5) | pink
    faint = faint_tissue(density, known, near_ink=beside | pen, um_per_px=um_per_px) & ~rims
    visible = (known | faint) & ~pen & ~grey.specks & ~grey.edges
    facts = stain_facts(density[visible & ~rims])
    tears = tear_evidence(density, visible, um_per_px=um_per_px)
    torn = tears.sure & ~_near(pen, reach_px=NEAR_PEN_UM / um_per_px)
    debris = debris_evidence(density, visible, ignored=pen | rims | grey.specks, um_per_px=um_per_px)
    splits = split_evidence(density, visible, um_per_px=um_per_px)
    tissue = visible | torn | debris.sure | _hidden(visible, pen | beside, grey, um_per_px=um_per_px)
    folds = fold_evidence(density, visible & ~rims, um_per_px=um_per_px)
    focus = _focus(survey)
    blurred = _focus_masks(focus, survey, shape)
    pale, dark = _stain_masks(
        survey, density, tissue & ~pen & ~rims & ~blurred[0], faint=faint, kind=stain or facts.kind
    )
    pale &= ~blurred[0]
    sure = {
        ArtefactClass.OUT_OF_FOCUS: blurred[0],
        ArtefactClass.FOLD: folds.sure,
        ArtefactClass.PEN: pen,
        ArtefactClass.BUBBLE_EDGE: rims,
        ArtefactClass.DARK_SPOT_FOREIGN: grey.specks,
        ArtefactClass.DAMAGED: torn | debris.sure,
        ArtefactClass.STAIN: pale | dark,
    }
    maybe = {
        **sure,
        ArtefactClass.OUT_OF_FOCUS: blurred[1],
        ArtefactClass.FOLD: folds.maybe,
        ArtefactClass.DARK_SPOT_FOREIGN: grey.maybe_specks,
        ArtefactClass.DAMAGED: tears.maybe | debris.maybe | splits,
    }
    openings = beside_openings(density, visible, um_per_px=um_per_px)
    return Evidence(sure, maybe, tissue, facts, focus, dark, openings)


def labels_of(masks: Masks, tissue: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (H, W) the first class of `PRECEDENCE` at every pixel, clean on other tissue, `NO_TISSUE` elsewhere.

    What lies on top of a slide (pen, rims, grains) is labelled on glass as well; the other classes need tissue.
    """
    labels = np.where(tissue, np.uint8(ArtefactClass.CLEAN.code), np.uint8(NO_TISSUE))
    for kind in reversed(PRECEDENCE):
        where = masks[kind] if kind in ON_TOP else masks[kind] & tissue
        labels[where] = kind.code
    return labels


def _density(survey: Survey, mask: TissueMask) -> NDArray[np.float32]:
    density = optical_density(survey.rgb, glass=np.asarray(mask.glass, np.float32))
    return by_channel([density[..., channel] for channel in range(3)])


def _near(mask: NDArray[np.bool_], *, reach_px: float) -> NDArray[np.bool_]:
    """Return (H, W) what lies within a distance, in a square."""
    return np.asarray(ndimage.maximum_filter(mask.view(np.uint8), 2 * round(reach_px) + 1), np.bool_)


def _without(covered: NDArray[np.bool_], values: NDArray[np.float32], *, sigma_px: float) -> NDArray[np.float32]:
    """Smooth values from what is not covered alone; 0 where everything near is."""
    reach = np.asarray(ndimage.binary_dilation(covered, iterations=max(1, round(sigma_px))), np.bool_)
    weight = smooth(~reach, sigma_px=sigma_px)
    total = smooth(np.where(reach, np.float32(0), values), sigma_px=sigma_px)
    return np.where(weight > 0.05, total / np.maximum(weight, 1e-6), 0).astype(np.float32)


def _hidden(
    visible: NDArray[np.bool_], ink: NDArray[np.bool_], grey: GreyMatter, *, um_per_px: float
) -> NDArray[np.bool_]:
    """Tissue beneath what hides it: there is tissue on both sides. `ink` takes the rim of its strokes with it."""
    factor = max(1, int(HIDDEN_UM_PER_PX / um_per_px))
    solid, coarse_um = reduced(visible, factor) > 0.5, um_per_px * factor
    short = min(solid.shape)
    hidden = np.zeros_like(visible)
    stroke_um = float(pieces_of(reduced(ink, factor) > 0.5).width_px.max()) * coarse_um
    rims = grey.specks | grey.edges | grey.bubbles
    covers = ((ink, min(PEN_REACH_UM, STROKE_REACH * stroke_um)), (rims, HIDDEN_REACH_UM))
    for cover, reach_um in covers:
        if cover.any():
            closed = close_gaps(solid, radius_px=min(reach_um / coarse_um, 0.3 * short))
            hidden |= cover & (enlarged(closed, visible.shape) > 0.5)
    return hidden


def _focus(survey: Survey) -> NDArray[np.float32]:
    """Focus by cell; all NaN where the pixels are too coarse to tell."""
    focus = survey.bands.focus()
    too_coarse = survey.scale.um_per_px / survey.scale.fine > COARSEST_UM_PER_PX
    return np.full_like(focus, np.nan) if too_coarse else focus


def _focus_masks(
    focus: NDArray[np.float32], survey: Survey, shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what is surely and what may be out of focus; where focus cannot be told it accuses nobody."""
    known = np.isfinite(focus)
    if not known.any():
        return np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    values = survey.at_map(focus[tuple(np.asarray(nearest))])
    near = survey.at_map(known.astype(np.float32)) > 0.25
    return near & (values < MIN_FOCUS), near & (values < DOUBTFUL_FOCUS)


def _stain_masks(
    survey: Survey,
    density: NDArray[np.float32],
    clean: NDArray[np.bool_],
    *,
    faint: NDArray[np.bool_],
    kind: str,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what is pale and what is stained over.

    Args:
        survey: Of the slide.
        density: (H, W, 3) optical density against glass.
        clean: (H, W) tissue in focus and under nothing.
        faint: (H, W) what is too pale for the tissue mask; fat is as well.
        kind: Of the stain.
    """
    ground = stain_ground(density.mean(-1), clean, um_per_px=survey.scale.um_per_px)
    solid = enlarged(ground.solid, clean.shape) > 0.5
    um_per_px = survey.scale.um_per_px / survey.scale.fine
    pale, over = badly_stained(
        survey.stain,
        _by_cell(survey, clean & solid) > 0.5,
        ground=_by_cell(survey, enlarged(ground.mean, clean.shape)),
        kind=kind,
        um_per_px=um_per_px,
    )
    found = ground.pale_extent(survey.at_map(pale) > 0.5)
    return found | (faint & solid), survey.at_map(over) > 0.5


def _by_cell(survey: Survey, values: NDArray[np.float32] | NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (rows, columns) the mean of the map's values in every focus cell, 0 beyond the map."""
    cell = survey.scale.cell
    rows, columns = survey.scale.cells
    padded = np.zeros((rows * cell, columns * cell), np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    return padded.reshape(rows, cell, columns, cell).mean((1, 3))
