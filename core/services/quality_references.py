"""References for the artefact map: outlines and masks of people, masks of GrandQC, kept and compared with ours.

Of two systems neither is the truth: figures say how far the map agrees with the reference that is named beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.domain import Size
from core.errors import InputError, NotFoundError
from core.interop.reference_masks import ReferenceMask, artefact_of_name, read_annotation, read_mask
from core.qc.classes import ARTEFACTS, ArtefactClass
from core.qc.comparison import (
    COLOURS,
    NOT_JUDGED,
    MaskComparison,
    any_artefact_masks,
    compare_maps,
    compare_masks,
    comparison_map,
    resample,
)
from core.roles import Permission
from core.services.answers import plain_text
from core.services.authority import require
from core.services.import_report import import_key
from core.services.quality_blinding import hidden_slides
from core.services.quality_maps import OurMap, keep_mask, kept_mask, mask_path, our_map, size_of
from core.settings import Settings
from core.store import cases
from core.store.connection import Log, open_log, reading, writing
from core.store.quality_records import NewReference, ReferenceKind, ReferenceRecord, SlideQuality
from core.store.quality_results import insert_reference, known_references, quality_of_slide, references_of_slide
from core.store.records import Json

__all__ = [
    "HUMAN_SCORES",
    "ReferenceKind",
    "ReferencePicture",
    "ReferenceRecord",
    "add_reference",
    "artefact_of_name",
    "compare_reference",
    "reference_picture",
    "references",
]

HUMAN_SCORES = range(6)
"""0 (useless) to 5 (flawless)."""
Meaning = Literal["artefact", "usable"]
TOLD_APART = "told_apart"
"""Key of a reference's metrics: the artefact classes that its mask tells apart."""


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
        quality = _measured(database, slide_id)
    reference = read_reference(path, slide=size_of(slide), artefact=artefact, meaning=meaning)
    return dict(figures_of(our_map(settings, quality), reference))


def add_reference(
    settings: Settings,
    slide_id: str,
    path: Path | None,
    *,
    name: str,
    artefact: ArtefactClass | None = None,
    meaning: Meaning = "artefact",
    usable: bool | None = None,
    human_score: int | None = None,
    note: str = "",
    actor: str,
) -> ReferenceRecord:
    """Keep what a person says about the quality of a slide: outlines, usable or not, a score, or several of these.

    The same content twice is kept once.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        path: As `compare_reference`; None = no outlines.
        name: Who drew or scored it.
        artefact: As `compare_reference`.
        meaning: As `compare_reference`.
        usable: Whether the slide can be used at all.
        human_score: 0 (useless) to 5 (flawless).
        note: Free text.
        actor: Who brings it in.

    Raises:
        NotAllowedError: the actor may not judge quality.
        NotFoundError: there is no such slide.
        InputError: the file or a value cannot be used, or nothing is said.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        slide = cases.get_slide(database, slide_id)
        quality = quality_of_slide(database, slide_id)
    if path is None and usable is None and human_score is None:
        raise InputError("Give outlines, whether the slide is usable, or a score from 0 to 5.")
    if human_score is not None and human_score not in HUMAN_SCORES:
        raise InputError(f"The score is {human_score}; it must lie between 0 (useless) and 5 (flawless).")
    who = plain_text(name, what="The name of who drew or scored it", needed=True)
    words = plain_text(note, what="The note")
    mask = None if path is None else read_reference(path, slide=size_of(slide), artefact=artefact, meaning=meaning)
    content = "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    told = None if mask is None else [kind.value for kind in mask.told_apart]
    new = NewReference(
        slide_id=slide_id,
        kind=ReferenceKind.ANNOTATION,
        name=who,
        source="" if path is None else path.name,
        content_sha256=content,
        mask_path=None if mask is None else mask_path(slide_id, mask.labels),
        metrics={} if told is None else {TOLD_APART: told},
        figures=None if mask is None else _figures(settings, quality, mask),
        source_id=None if quality is None or mask is None else quality.source_id,
        usable=usable,
        human_score=human_score,
        note=words,
        import_key=import_key(slide_id, who, content, told, usable, human_score, words),
    )
    return _kept(settings, new, mask, actor=actor)


def references(settings: Settings, slide_id: str, *, actor: str) -> tuple[ReferenceRecord, ...]:
    """Return what people and other systems say about the quality of a slide, in the order it came in.

    What other people say is left out while their verdicts are hidden from the actor.

    Raises:
        NotAllowedError: the actor may not see cases.
        NotFoundError: there is no such slide.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        cases.get_slide(database, slide_id)
        return _shown(database, slide_id, actor=actor)


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
        shown = _shown(database, slide_id, actor=actor)
        record = next((one for one in shown if one.reference_id == reference_id), None)
        if record is None or record.mask_path is None:
            raise NotFoundError(f"Slide {slide_id} has no reference {reference_id} with a mask.")
        quality = _measured(database, slide_id)
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
    """Return the comparison of our map with a reference over our tissue, and of any artefact over the whole slide."""
    there = resample(reference.labels, ours.labels.shape)
    compared = compare_maps(ours.labels, there, tissue=ours.tissue, px_mm2=ours.px_mm2, classes=reference.told_apart)
    found, annotated = any_artefact_masks(ours.labels, there, classes=reference.told_apart)
    whole = compare_masks(found, annotated, tissue=there != NOT_JUDGED, px_mm2=ours.px_mm2)
    return {**compared.to_dict(), "whole_slide": whole.to_dict()}


def _figures(settings: Settings, quality: SlideQuality | None, mask: ReferenceMask) -> Json | None:
    """Return the comparison with our map, or None where there is no map yet."""
    if quality is None:
        return None
    try:
        return figures_of(our_map(settings, quality), mask)
    except NotFoundError:
        return None


def _kept(settings: Settings, new: NewReference, mask: ReferenceMask | None, *, actor: str) -> ReferenceRecord:
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        if not known_references(database, [new.import_key]):
            if mask is not None:
                keep_mask(settings, new.slide_id, mask.labels)
            insert_reference(database, new, actor=actor)
        found = references_of_slide(database, new.slide_id)
    return next(one for one in found if one.import_key == new.import_key)


def _shown(database: Log, slide_id: str, *, actor: str) -> tuple[ReferenceRecord, ...]:
    hides = slide_id in hidden_slides(database, actor=actor)
    return tuple(
        one
        for one in references_of_slide(database, slide_id)
        if not hides or one.kind is not ReferenceKind.ANNOTATION or one.author == actor
    )


def _measured(database: Log, slide_id: str) -> SlideQuality:
    quality = quality_of_slide(database, slide_id)
    if quality is None:
        raise NotFoundError(f"The quality of {slide_id} has not been measured yet, so there is no map to compare.")
    return quality


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
    judged = ours.tissue & (there != NOT_JUDGED)
    if artefact is not None:
        return ours.labels == artefact.code, there == artefact.code, judged
    return *any_artefact_masks(ours.labels, there, classes=reference.told_apart), judged
