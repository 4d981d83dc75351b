"""Our artefact map against a kept reference, as a picture in three colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import NotFoundError
from core.interop.reference_masks import ReferenceMask
from core.qc.classes import ARTEFACTS, ArtefactClass
from core.qc.comparison import (
    COLOURS,
    NOT_JUDGED,
    MaskComparison,
    any_artefact_masks,
    compare_masks,
    comparison_map,
    resample,
)
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.comparison import compared_tissue, measured_quality
from core.services.quality.maps import OurMap, kept_mask, our_map
from core.services.quality.references import TOLD_APART, shown_references
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.quality_records import ReferenceRecord

__all__ = ["ReferencePicture", "reference_picture"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferencePicture:
    """The map in three colours, to be laid over the slide."""

    rgba: NDArray[np.uint8]
    """(h, w, 4), covers the slide exactly."""
    legend: Mapping[str, tuple[tuple[int, int, int], float]]
    """Words -> colour R, G, B and mm2 of tissue."""
    comparison: MaskComparison
    about: str
    """What is compared with what, in a sentence."""


def reference_picture(
    settings: Settings, slide_id: str, reference_id: int, *, artefact: ArtefactClass | None = None, actor: str
) -> ReferencePicture:
    """Return our map as it is now against a kept reference, in three colours.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        reference_id: One of its references with a mask.
        artefact: One class; None = any that the reference tells apart.
        actor: Who looks.

    Raises:
        NotAllowedError: the actor may not see cases.
        NotFoundError: there is no such reference, mask or map, or the reference does not tell the class apart.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        shown = shown_references(database, slide_id, actor=actor)
        record = next((one for one in shown if one.reference_id == reference_id), None)
        if record is None or record.mask_path is None:
            raise NotFoundError(f"Slide {slide_id} has no reference {reference_id} with a mask.")
        quality = measured_quality(database, slide_id)
    ours, reference = our_map(settings, quality), _mask_of(settings, record)
    if artefact is not None and artefact not in reference.told_apart:
        raise NotFoundError(f"The reference of {record.name} does not tell {artefact.about.title.casefold()} apart.")
    found, annotated, judged = _masks(ours, reference, artefact)
    comparison = compare_masks(found, annotated, tissue=judged, px_mm2=ours.px_mm2)
    areas = (comparison.both, comparison.found_only, comparison.missed)
    what = "any artefact" if artefact is None else artefact.about.title.casefold()
    return ReferencePicture(
        rgba=comparison_map(found, annotated, tissue=judged),
        legend={
            words: (colour, area * ours.px_mm2) for (words, colour), area in zip(COLOURS.items(), areas, strict=True)
        },
        comparison=comparison,
        about=f"Our map ({quality.source_id}) against {record.name} ({record.source or 'no file'}): {what}, on tissue.",
    )


def _mask_of(settings: Settings, record: ReferenceRecord) -> ReferenceMask:
    told = record.metrics.get(TOLD_APART)
    names = [str(name) for name in told] if isinstance(told, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    labels = kept_mask(settings, record.mask_path or "")
    return ReferenceMask(labels, tuple(kind for kind in ARTEFACTS if kind.value in names))


def _masks(
    ours: OurMap, reference: ReferenceMask, artefact: ArtefactClass | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what we found, what is annotated, and where both are compared."""
    there = resample(reference.labels, ours.labels.shape)
    judged = compared_tissue(ours, there) & (there != NOT_JUDGED)
    if artefact is not None:
        return ours.labels == artefact.code, there == artefact.code, judged
    return *any_artefact_masks(ours.labels, there, classes=reference.told_apart), judged
