"""What a reference says about slides or cases: the planted truth, a table, one reader, all of them, another system.

A read speaks of a case, the truth beside a slide of that slide. Where the two meet, a case shows the target if one of
its slides does, and a read is handed to a slide only where it says something about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.domain import ReadCategory
from core.errors import InputError, NotFoundError
from core.services.cases.verdicts import (
    by_case_of,
    department_verdicts,
    independent_read,
    system_category,
    to_slides,
    verdicts_of,
)
from core.services.evaluation.values import READER_PREFIX, SYSTEM_PREFIX, Unit
from core.services.training.slide_labels import READS, TRUTH, SlideLabels, slide_labels_of
from core.settings import Settings
from core.store.connection import Log
from core.store.evaluations import all_reads, latest_predictions, systems
from core.store.people import name_key
from core.store.records import ReadStage, SlideRecord
from core.store.reviews import standing
from core.vocabulary import ReadRole

CONSENSUS = "consensus"
FEWEST_FOR_CONSENSUS = 2
_NOT_TRUTH = "The figures are agreement with this reference; it is not the truth."


@dataclass(frozen=True, slots=True)
class ReferenceLabels:
    """Labels of units."""

    words: str
    """Where they come from."""
    unit: Unit
    target: Mapping[str, bool]
    """Unit -> whether the target is there."""
    groups: Mapping[str, str] = field(default_factory=dict[str, str])
    """Unit -> what must not be divided, where the source states it."""
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    """Unit -> why it has no label."""
    caution: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """What a reference says about cases."""

    words: str
    target: Mapping[str, bool]
    left_out: Mapping[str, str]
    caution: tuple[str, ...] = (_NOT_TRUTH,)


def natural_unit(reference: str) -> Unit:
    """Return what a reference speaks of."""
    of_cases = reference in (READS, CONSENSUS) or reference.startswith((READER_PREFIX, SYSTEM_PREFIX))
    return Unit.CASE if of_cases else Unit.SLIDE


def reference_labels(
    settings: Settings, database: Log, slides: Sequence[SlideRecord], *, reference: str, unit: Unit
) -> ReferenceLabels:
    """Return the labels of slides or of their cases.

    Args:
        settings: Names the home folder.
        database: Open log.
        slides: Those that take part.
        reference: As `EvaluationRequest.reference`.
        unit: What is to be labelled.

    Raises:
        InputError: the reference cannot be read.
        NotFoundError: there is no such reader, system or table.
    """
    by_case = by_case_of(slides)
    if natural_unit(reference) is Unit.CASE:
        verdicts = _verdicts(database, reference, tuple(by_case))
        target, left_out = dict(verdicts.target), dict(verdicts.left_out)
        if unit is Unit.SLIDE:
            target, left_out = to_slides(verdicts.target, verdicts.left_out, by_case)
        return ReferenceLabels(verdicts.words, unit, target, left_out=left_out, caution=verdicts.caution)
    found = slide_labels_of(settings, tuple(slides), reference)
    caution = () if reference == TRUTH else (_NOT_TRUTH,)
    if unit is Unit.SLIDE:
        return ReferenceLabels(found.source, unit, found.target, found.groups, found.left_out, caution)
    return _to_cases(found, by_case, caution=caution)


def _to_cases(
    labels: SlideLabels, by_case: Mapping[str, Sequence[SlideRecord]], *, caution: tuple[str, ...]
) -> ReferenceLabels:
    """Roll labels of slides up: one with the target suffices, without it all must be labelled."""
    target: dict[str, bool] = {}
    left_out: dict[str, str] = {}
    groups: dict[str, str] = {}
    for case_id, members in by_case.items():
        known = [labels.target[one.slide_id] for one in members if one.slide_id in labels.target]
        missing = [one.slide_id for one in members if one.slide_id not in labels.target]
        if any(known) or (known and not missing):
            target[case_id] = any(known)
            stated = next((labels.groups[one.slide_id] for one in members if one.slide_id in labels.groups), None)
            groups.update({} if stated is None else {case_id: stated})
        elif known:
            left_out[case_id] = f"without the target as far as labelled, but {', '.join(missing)} has no label"
        else:
            left_out[case_id] = labels.left_out.get(missing[0], "no label")
    return ReferenceLabels(labels.source, Unit.CASE, target, groups, left_out, caution)


def _verdicts(database: Log, reference: str, case_ids: Sequence[str]) -> _Verdicts:
    if reference == READS:
        return _Verdicts(
            "the pathologists' reads, given before the model was shown", *department_verdicts(database, case_ids)
        )
    if reference == CONSENSUS:
        return _consensus(database, case_ids)
    if reference.startswith(READER_PREFIX):
        return _of_reader(database, reference.removeprefix(READER_PREFIX), case_ids)
    return _of_system(database, reference.removeprefix(SYSTEM_PREFIX), case_ids)


def _of_reader(database: Log, reader: str, case_ids: Sequence[str]) -> _Verdicts:
    reads = all_reads(database)
    if not any(name_key(one.reader) == name_key(reader) for recorded in reads.values() for one in recorded):
        raise NotFoundError(f"Nobody called {reader!r} has read a case.")
    found = verdicts_of({case_id: independent_read(reads.get(case_id, ()), reader) for case_id in case_ids})
    return _Verdicts(f"the reads of {reader}, given before the model was shown", *found)


def _consensus(database: Log, case_ids: Sequence[str]) -> _Verdicts:
    """Take the read recorded as consensus, else the strict majority of independent readers, one vote a reader."""
    reads = all_reads(database)
    target: dict[str, bool] = {}
    left_out: dict[str, str] = {}
    for case_id in case_ids:
        before = [
            one
            for one in standing(reads.get(case_id, ()))
            if one.stage is ReadStage.BEFORE_MODEL and one.category is not ReadCategory.INDETERMINATE
        ]
        agreed = [one for one in before if one.role is ReadRole.CONSENSUS]
        votes = Counter({name_key(one.reader): one.category for one in before}.values())
        malignant, benign = votes[ReadCategory.MALIGNANT], votes[ReadCategory.BENIGN]
        if agreed:
            target[case_id] = agreed[-1].category is ReadCategory.MALIGNANT
        elif malignant + benign < FEWEST_FOR_CONSENSUS:
            left_out[case_id] = f"fewer than {FEWEST_FOR_CONSENSUS} readers decided before the model was shown"
        elif malignant == benign:
            left_out[case_id] = "its readers are divided"
        else:
            target[case_id] = malignant > benign
    words = "the consensus: the read recorded as such, else the majority of at least two readers before the model"
    return _Verdicts(words, target, left_out)


def _of_system(database: Log, system: str, case_ids: Sequence[str]) -> _Verdicts:
    if system not in systems(database):
        raise NotFoundError(f"No predictions of a system {system!r} were imported.")
    said = latest_predictions(database, system)
    target: dict[str, bool] = {}
    left_out: dict[str, str] = {}
    for case_id in case_ids:
        category = None if case_id not in said else system_category(said[case_id])
        if category is not None:
            target[case_id] = category
        else:
            left_out[case_id] = f"{system} says nothing that is benign or malignant"
    if not target:
        raise InputError(f"{system} calls no case of this cohort benign or malignant.")
    return _Verdicts(f"the imported predictions of {system}", target, left_out)
