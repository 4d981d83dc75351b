"""References for the artefact map that people bring in: outlines, usable or not, a score; kept once, never changed.

Of two systems neither is the truth: figures say how far the map agrees with the reference that is named beside them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from core.errors import InputError
from core.interop.reference_masks import ReferenceMask
from core.qc.classes import ArtefactClass
from core.roles import Permission
from core.services.consultations.answers import plain_text
from core.services.imports.report import import_key
from core.services.people.authority import require
from core.services.quality.blinding import hidden_slides
from core.services.quality.comparison import Meaning, figures_or_none, read_reference
from core.services.quality.maps import keep_mask, mask_path, size_of
from core.settings import Settings
from core.store import cases
from core.store.connection import Log, open_log, reading, writing
from core.store.quality_records import NewReference, ReferenceKind, ReferenceRecord
from core.store.quality_results import insert_reference, known_references, quality_of_slide, references_of_slide

__all__ = ["HUMAN_SCORES", "ReferenceKind", "ReferenceRecord", "add_reference", "references"]

HUMAN_SCORES = range(6)
"""0 (useless) to 5 (flawless)."""
TOLD_APART = "told_apart"
"""Key of a reference's metrics: the artefact classes that its mask tells apart."""


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
        figures=None if mask is None else figures_or_none(settings, quality, mask),
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
        return shown_references(database, slide_id, actor=actor)


def _kept(settings: Settings, new: NewReference, mask: ReferenceMask | None, *, actor: str) -> ReferenceRecord:
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.JUDGE_QUALITY)
        if not known_references(database, [new.import_key]):
            if mask is not None:
                keep_mask(settings, new.slide_id, mask.labels)
            insert_reference(database, new, actor=actor)
        found = references_of_slide(database, new.slide_id)
    return next(one for one in found if one.import_key == new.import_key)


def shown_references(database: Log, slide_id: str, *, actor: str) -> tuple[ReferenceRecord, ...]:
    """Return the references of a slide that an actor may see, inside a transaction."""
    hides = slide_id in hidden_slides(database, actor=actor)
    return tuple(
        one
        for one in references_of_slide(database, slide_id)
        if not hides or one.kind is not ReferenceKind.ANNOTATION or one.author == actor
    )
