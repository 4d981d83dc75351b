"""Which slides an evaluation may use for somebody: the cohort, without what is hidden from whoever asks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.roles import Permission
from core.services.evaluation.values import Cohort
from core.services.people.authority import ActorKind, kind_of, permissions_of_actor
from core.services.people.reader_names import pseudonyms
from core.services.triage.board import hidden_cases
from core.store.cases import all_slides
from core.store.connection import Log
from core.store.evaluations import all_reads, read_case_ids
from core.store.records import DiagnosisRecord, SlideRecord
from core.store.reviews import revealed_cases


@dataclass(frozen=True, slots=True)
class VisibleSlides:
    """Slides of a cohort whose model result somebody may see."""

    slides: tuple[SlideRecord, ...]
    blinded: tuple[str, ...]
    """Cases on which a blinded opinion is awaited from whoever asks."""
    unread: tuple[str, ...]
    """Cases that nobody has read and whose result was not revealed to whoever asks."""


def visible_slides(database: Log, *, cohort: Cohort, actor: str) -> VisibleSlides:
    """Return the slides of a cohort as far as an actor may see the model's result on them. Call inside `reading`.

    The same rule as on the page of a case: nothing of a case under a blinded request, and nothing of one that nobody
    has read, until the person has it revealed. A figure over few cases would tell their results.
    """
    chosen = [slide for slide in all_slides(database) if _in(cohort, slide)]
    if kind_of(actor) is not ActorKind.PERSON:
        return VisibleSlides(tuple(chosen), (), ())
    blinded = hidden_cases(database, actor)
    known = read_case_ids(database) | revealed_cases(database, actor=actor)
    cases = {slide.case_id for slide in chosen}
    return VisibleSlides(
        slides=tuple(slide for slide in chosen if slide.case_id in known and slide.case_id not in blinded),
        blinded=tuple(sorted(cases & blinded)),
        unread=tuple(sorted(cases - blinded - known)),
    )


@dataclass(frozen=True, slots=True)
class ReaderNames:
    """Names of readers as somebody may see them."""

    shown: dict[str, str]
    """Reader -> name shown: the reader's own, or a number for those who may not see profiles."""

    def real(self, shown: str) -> str | None:
        """Return the reader behind a shown name, or None."""
        return next((reader for reader, name in self.shown.items() if name == shown), None)


def reader_names(database: Log, *, actor: str) -> ReaderNames:
    """Return how the readers of the log are called for an actor. Call inside `reading`."""
    reads = [one for recorded in all_reads(database).values() for one in recorded]
    if Permission.SEE_READER_PROFILES in permissions_of_actor(database, actor):
        return ReaderNames({one.reader: one.reader for one in reads})
    return ReaderNames(pseudonyms(reads, scheme="evaluation", actor=actor))


def digest_of(parts: Sequence[object]) -> str:
    """Return the SHA-256 of plain values."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def reads_by_reader(database: Log, case_ids: frozenset[str]) -> dict[str, dict[str, list[DiagnosisRecord]]]:
    """Return reader -> case -> the reader's reads of it, for some cases. Call inside `reading`."""
    found: dict[str, dict[str, list[DiagnosisRecord]]] = {}
    for case_id, recorded in all_reads(database).items():
        if case_id in case_ids:
            for one in recorded:
                found.setdefault(one.reader, {}).setdefault(case_id, []).append(one)
    return found


def _in(cohort: Cohort, slide: SlideRecord) -> bool:
    return all(
        not wanted or value in wanted
        for wanted, value in (
            (cohort.sites, slide.site or ""),
            (cohort.scanners, slide.scanner or ""),
            (cohort.stains, slide.stain.value),
        )
    )
