"""What goes into an evaluation, gathered from the log and hashed: quick, so that pages do it on every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from core.errors import InputError, NotFoundError
from core.roles import Permission
from core.services.cases.verdicts import verdicts_of
from core.services.evaluation.cohort import (
    ReaderNames,
    VisibleSlides,
    digest_of,
    reader_names,
    reads_by_reader,
    visible_slides,
)
from core.services.evaluation.reference_labels import ReferenceLabels, natural_unit, reference_labels
from core.services.evaluation.scores import ModelScores, model_scores
from core.services.evaluation.tiles import outlines_digest
from core.services.evaluation.values import (
    READER_PREFIX,
    SYSTEM_PREFIX,
    EvaluationRequest,
    LeftOut,
    Unit,
    Units,
)
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import Log, open_log, reading
from core.store.records import SlideRecord
from core.store.reviews import standing

VERSION = "evaluation-1"
"""Part of the hash: raise it when figures change their meaning."""
Readers = Mapping[str, tuple[Mapping[str, bool], Mapping[str, str]]]
"""Shown name -> (case -> malignant, case -> why not), of reads given before the model was shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Everything that goes into an evaluation, and its hash."""

    request: EvaluationRequest
    unit: Unit
    visible: VisibleSlides
    scores: ModelScores
    labels: ReferenceLabels
    reference: str
    """In words, with the names that whoever asks may see."""
    readers: Readers
    """Of cases only."""
    key: str


def prepare(settings: Settings, request: EvaluationRequest, *, actor: str) -> Prepared:
    """Gather what goes into an evaluation; quick, so that pages do it on every run.

    Raises:
        NotAllowedError: the actor may not see reports.
        NotFoundError: there is no such model, reader, system or table.
        InputError: the request makes no sense.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        if request.model == request.reference:
            raise InputError("A system cannot be its own reference. Choose another reference.")
        visible = visible_slides(database, cohort=request.cohort, actor=actor)
        names = reader_names(database, actor=actor)
        unit = _unit(request)
        scores = model_scores(database, visible.slides, model=request.model, unit=unit, aggregation=request.aggregation)
        reference = _real_reference(request.reference, names)
        labels = reference_labels(settings, database, visible.slides, reference=reference, unit=unit)
        readers: Readers = {} if unit is Unit.SLIDE else _readers(database, visible, names, reference)
    words = labels.words
    if request.reference.startswith(READER_PREFIX):
        words = f"the reads of {request.reference.removeprefix(READER_PREFIX)}, given before the model was shown"
    key = _key(request, unit, visible, scores, labels, readers)
    return Prepared(request, unit, visible, scores, labels, words, readers, key)


def _unit(request: EvaluationRequest) -> Unit:
    """Return what is counted once: other systems speak of cases only."""
    if request.unit is not None:
        return request.unit
    return Unit.CASE if request.model.startswith(SYSTEM_PREFIX) else natural_unit(request.reference)


def _real_reference(reference: str, names: ReaderNames) -> str:
    if not reference.startswith(READER_PREFIX):
        return reference
    shown = reference.removeprefix(READER_PREFIX)
    real = names.real(shown)
    if real is None:
        raise NotFoundError(f"Nobody called {shown!r} has read a case that you may see.")
    return f"{READER_PREFIX}{real}"


def _readers(database: Log, visible: VisibleSlides, names: ReaderNames, reference: str) -> Readers:
    """Return what every reader but the reference said before the model was shown."""
    cases = frozenset(slide.case_id for slide in visible.slides)
    reads = reads_by_reader(database, cases)
    return {
        names.shown[reader]: verdicts_of({case_id: standing(own)[-1] for case_id, own in of_cases.items()})
        for reader, of_cases in sorted(reads.items(), key=lambda item: names.shown[item[0]])
        if f"{READER_PREFIX}{reader}" != reference
    }


def _key(
    request: EvaluationRequest,
    unit: Unit,
    visible: VisibleSlides,
    scores: ModelScores,
    labels: ReferenceLabels,
    readers: Readers,
) -> str:
    slides = [
        (one.slide_id, one.case_id, one.site, one.scanner, one.stain.value, outlines_digest(Path(one.path)))
        for one in visible.slides
    ]
    runs = [(run.run_id, run.weights_sha256, run.status.value, run.qc_score) for run in scores.runs.values()]
    return digest_of(
        (
            *(VERSION, version("second-read"), request, unit.value, scores.threshold, slides, runs),
            *(sorted(scores.score.items()), sorted(labels.target.items()), sorted(labels.groups.items())),
            *(sorted(labels.left_out.items()), visible.blinded, visible.unread, scores.positive),
            *(sorted((name, sorted(calls.items())) for name, (calls, _) in readers.items()),),
        )
    )


def units_of(prepared: Prepared) -> Units:
    """Return the units that have both a score and a label.

    Raises:
        InputError: there is none.
    """
    scores, labels = prepared.scores, prepared.labels
    used = [name for name in _all_units(prepared) if name in scores.score and name in labels.target]
    if not used:
        hidden = len(prepared.visible.blinded) + len(prepared.visible.unread)
        more = f" Hidden from you for now: {hidden} of the cases." if hidden else ""
        raise InputError(
            f"No {prepared.unit.value} has both a result of {scores.name} and a label from {prepared.reference}.{more} "
            "Analyse the slides first, or choose another reference."
        )
    slides = {slide.slide_id: slide for slide in prepared.visible.slides}
    first = {slide.case_id: slide for slide in reversed(prepared.visible.slides)}
    shown = [slides.get(scores.slide_of[name]) or first[name] for name in used]
    cases = [slide.case_id for slide in shown]
    return Units(
        ids=tuple(used),
        case_ids=tuple(cases),
        slide_ids=tuple(scores.slide_of[name] for name in used),
        groups=np.array([labels.groups.get(name, case) for name, case in zip(used, cases, strict=True)]),
        truth=np.array([labels.target[name] for name in used], np.bool_),
        score=np.array([scores.score[name] for name in used], np.float64),
        properties={
            "site": np.array([slide.site or "" for slide in shown]),
            "scanner": np.array([slide.scanner or "" for slide in shown]),
            "stain": np.array([slide.stain.value for slide in shown]),
            "quality": np.array([quality_band(_qc_score(scores, slide)) for slide in shown]),
        },
    )


def quality_band(score: float | None) -> str:
    """Return the band of a QC score, 0-1; "" where it was not measured."""
    if score is None:
        return ""
    return "good (0.9 or more)" if score >= 0.9 else "limited (0.75 to 0.9)" if score >= 0.75 else "poor (below 0.75)"


def _qc_score(scores: ModelScores, slide: SlideRecord) -> float | None:
    run = scores.runs.get(slide.slide_id)
    return None if run is None else run.qc_score


def _all_units(prepared: Prepared) -> list[str]:
    if prepared.unit is Unit.SLIDE:
        return [slide.slide_id for slide in prepared.visible.slides]
    return list(dict.fromkeys(slide.case_id for slide in prepared.visible.slides))


def slides_behind(prepared: Prepared, units: Units) -> list[SlideRecord]:
    """Return the slides with a result that stand behind the units."""
    ids, scores = set(units.ids), prepared.scores
    by_slide = prepared.unit is Unit.SLIDE
    return [
        slide
        for slide in prepared.visible.slides
        if (slide.slide_id if by_slide else slide.case_id) in ids
        and (run := scores.runs.get(slide.slide_id)) is not None
        and run.scores
    ]


def left_out_of(prepared: Prepared) -> LeftOut:
    """Return what takes no part, and why."""
    scores, labels = prepared.scores, prepared.labels
    wanted = _all_units(prepared)
    return LeftOut(
        blinded=len(prepared.visible.blinded),
        unread=len(prepared.visible.unread),
        without_result={
            name: scores.without.get(name, "no score")
            for name in wanted
            if name in labels.target and name not in scores.score
        },
        without_label={name: labels.left_out.get(name, "no label") for name in wanted if name not in labels.target},
    )
