"""Our artefact map against a reference: outlines of a person, a mask image, or another system's class map."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.domain import Size
from core.errors import InputError, NotFoundError
from core.interop.reference_masks import ReferenceMask, artefact_of_name, read_annotation, read_mask
from core.qc.classes import NO_TISSUE, ArtefactClass
from core.qc.comparison import (
    NOT_JUDGED,
    any_artefact_masks,
    compare_maps,
    compare_masks,
    reference_tissue,
    resample,
)
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.maps import OurMap, our_map, size_of
from core.settings import Settings
from core.store import cases
from core.store.connection import Log, open_log, reading
from core.store.quality_records import SlideQuality
from core.store.quality_results import quality_of_slide
from core.store.records import Json

__all__ = ["Meaning", "artefact_of_name", "compare_reference", "figures_of", "figures_or_none", "read_reference"]

Meaning = Literal["artefact", "usable"]


def compare_reference(
    settings: Settings,
    slide_id: str,
    path: Path,
    *,
    artefact: ArtefactClass | None = None,
    meaning: Meaning = "artefact",
    actor: str,
) -> dict[str, object]:
    """Return the figures of our map against a reference, without keeping anything.

    Args:
        settings: Names the home folder.
        slide_id: The slide, which has an artefact map.
        path: GeoJSON as QuPath writes it, or a mask image of two values.
        artefact: What a mask image marks; None = an artefact of any class.
        meaning: Whether a mask image marks artefacts or, as HistoQC's `mask_use`, usable tissue.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not see cases.
        NotFoundError: there is no such slide, or no map of it.
        InputError: the file cannot be used.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        slide = cases.get_slide(database, slide_id)
        quality = measured_quality(database, slide_id)
    reference = read_reference(path, slide=size_of(slide), artefact=artefact, meaning=meaning)
    return dict(figures_of(our_map(settings, quality), reference))


def read_reference(path: Path, *, slide: Size, artefact: ArtefactClass | None, meaning: Meaning) -> ReferenceMask:
    """Read outlines or a mask image; by the file's name, GeoJSON and JSON are outlines.

    Raises:
        InputError: the file cannot be used, or a class is named for a mask of usable tissue.
    """
    if path.suffix.casefold() in (".geojson", ".json"):
        return read_annotation(path, slide=slide)
    if meaning == "usable" and artefact is not None:
        raise InputError("A mask of usable tissue says nothing of single artefacts. Leave the artefact out.")
    return read_mask(path, slide=slide, artefact=artefact, marks_usable=meaning == "usable")


def figures_of(ours: OurMap, reference: ReferenceMask) -> Json:
    """Return the comparison of our map with a reference over tissue, and of any artefact over the whole slide.

    For a reference that says where tissue is, `tissue` compares that as well.
    """
    there = resample(reference.labels, ours.labels.shape)
    judged = there != NOT_JUDGED
    tissue = compared_tissue(ours, there)
    compared = compare_maps(ours.labels, there, tissue=tissue, px_mm2=ours.px_mm2, classes=reference.told_apart)
    found, annotated = any_artefact_masks(ours.labels, there, classes=reference.told_apart)
    whole = compare_masks(found, annotated, tissue=judged, px_mm2=ours.px_mm2)
    figures: dict[str, object] = {**compared.to_dict(), "whole_slide": whole.to_dict()}
    if knows_tissue(there):
        same = compare_masks(ours.tissue, reference_tissue(there), tissue=judged, px_mm2=ours.px_mm2)
        figures["tissue"] = same.to_dict()
    return figures


def compared_tissue(ours: OurMap, reference: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where our map and a reference of the same size are compared: on what either of them calls tissue.

    An artefact on tissue that our own mask overlooks is missed, too.
    """
    return ours.tissue | reference_tissue(reference) if knows_tissue(reference) else ours.tissue


def knows_tissue(reference: NDArray[np.uint8]) -> bool:
    """Say whether a reference tells tissue from glass; outlines and masks of one artefact do not."""
    return bool((reference == NO_TISSUE).any())


def figures_or_none(settings: Settings, quality: SlideQuality | None, reference: ReferenceMask) -> Json | None:
    """Return the comparison with our map, or None where there is no map yet."""
    if quality is None:
        return None
    try:
        return figures_of(our_map(settings, quality), reference)
    except NotFoundError:
        return None


def measured_quality(database: Log, slide_id: str) -> SlideQuality:
    """Return the latest measurement of a slide, inside a transaction.

    Raises:
        NotFoundError: there is none.
    """
    quality = quality_of_slide(database, slide_id)
    if quality is None:
        raise NotFoundError(f"The quality of {slide_id} has not been measured yet, so there is no map to compare.")
    return quality
