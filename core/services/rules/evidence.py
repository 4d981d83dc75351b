"""From the rows of the log to what the rules look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from core.discordance import Said
from core.domain import ReadCategory, SlideStatus
from core.flags import AggregationCall, CaseEvidence, ModelCall, ReadEvidence, SlideEvidence, SystemCall
from core.schemes import INDETERMINATE, Scheme, load_scheme
from core.services.analysis.aggregation_facts import AGGREGATORS
from core.services.analysis.unlikeness import References, references_in, strangeness_of
from core.services.calibration.calibrations import Calibrations, calibrations_in, labels_of
from core.services.rules.scheme_library import schemes_in
from core.store.audits import drawn_in
from core.store.connection import Log
from core.store.evidence import CaseFacts, RunFacts, facts_of_cases
from core.store.imports import ImportedPrediction
from core.store.records import OVERRIDE, POSITIVE_TITLE, WITHOUT_ARTEFACT, DiagnosisRecord
from core.store.reviews import counting_diagnosis

_PLAIN = load_scheme("plain")


@dataclass(frozen=True, slots=True)
class Known:
    """What runs are judged against, by the weights of their model."""

    calibrations: Calibrations
    references: References


def evidence_of(database: Log, case_ids: Sequence[str]) -> dict[str, CaseEvidence]:
    """Return the evidence of cases, in a few queries however many there are. Call inside a transaction."""
    facts = facts_of_cases(database, case_ids)
    named = {read.scheme for one in facts.values() for read in one.recorded if read.scheme is not None}
    schemes = {name: scheme for name, scheme in schemes_in(database).items() if name in named} if named else {}
    known, drawn = Known(calibrations_in(database), references_in(database)), drawn_in(database)
    found = {case_id: _case(one, schemes, known) for case_id, one in facts.items()}
    return {case_id: replace(one, drawn=drawn.get(case_id, "")) for case_id, one in found.items()}


def case_evidence(database: Log, case_id: str) -> CaseEvidence:
    """Return the evidence of one case; see `evidence_of`."""
    return evidence_of(database, (case_id,))[case_id]


def _case(facts: CaseFacts, schemes: Mapping[str, Scheme], known: Known) -> CaseEvidence:
    # The diagnosis that stands is the one recorded last; earlier and superseded ones stay in the log.
    read = counting_diagnosis(facts.recorded)
    scheme = None if read is None or read.scheme is None else schemes.get(read.scheme)
    code = read.code if read is not None and scheme is not None and read.code in scheme.codes else None
    return CaseEvidence(
        read=read.category if read else None,
        slides=tuple(_slide(run, facts.others.get(run.slide_id, ()), known) for run in facts.runs),
        case_id=facts.case_id,
        scheme=scheme if code is not None else None,
        code=code,
        reads=tuple(ReadEvidence(one.reader, said_of(one)) for one in facts.reads),
        systems=tuple(_system(one, scheme if code is not None else None) for one in facts.predictions),
        schemes=schemes,
    )


def said_of(read: DiagnosisRecord) -> Said:
    """Return what a read says, for comparing it."""
    return Said(read.category, read.grade, read.scheme, read.code)


def _slide(run: RunFacts, others: Sequence[RunFacts], known: Known) -> SlideEvidence:
    ok = run.status is SlideStatus.OK
    labels, calibration = labels_of(run, known.calibrations) if ok else (None, "")
    _, unlike = strangeness_of(run, known.references) if ok else (None, "")
    return SlideEvidence(
        slide_id=run.slide_id,
        status=run.status,
        message=run.message,
        score=run.score if ok else None,
        threshold=run.threshold if run.threshold is not None else 1.0,
        positive=str(run.settings.get(POSITIVE_TITLE) or "the target class"),
        peak=run.peak,
        carrying_artefact=run.carrying_artefact,
        score_without_artefact=_without_artefact(run) if ok else None,
        model=run.model,
        weights_sha256=run.weights_sha256,
        overridden=OVERRIDE in run.settings,
        other_models=tuple(
            ModelCall(other.model, other.score, other.threshold)
            for other in others
            if other.score is not None and other.threshold is not None
        ),
        aggregations=_aggregations(run),
        labels=labels,
        calibration=calibration,
        unlike=unlike,
    )


def _without_artefact(run: RunFacts) -> float | None:
    """Return the deciding score over the tiles that no artefact spoils; None where none is left or no rule decides."""
    told = run.settings.get(WITHOUT_ARTEFACT)
    score = cast("Mapping[str, object]", told).get("decision_score") if isinstance(told, Mapping) else None
    return float(score) if isinstance(score, int | float) else None


def _aggregations(run: RunFacts) -> tuple[AggregationCall, ...]:
    """Return what trained aggregators say that did not decide: only they have thresholds of their own."""
    told = run.settings.get(AGGREGATORS)
    found: list[AggregationCall] = []
    for entry in cast("list[Mapping[str, object]]", told) if isinstance(told, list) else ():
        name, target, threshold = str(entry.get("name")), str(entry.get("target")), entry.get("threshold")
        score = run.scores.get(name, {}).get(target)
        if name != run.decision and score is not None and isinstance(threshold, int | float):
            found.append(AggregationCall(name, score, float(threshold)))
    return tuple(found)


def _system(prediction: ImportedPrediction, scheme: Scheme | None) -> SystemCall:
    """Return a system's call in the scheme of the read, and as benign or malignant as far as a scheme knows its words.

    A class that only gives probabilities is called if it has the highest; equal ones are no call.
    """
    label = prediction.label or _highest(prediction.probabilities)
    if label is None:
        return SystemCall(prediction.system, None)
    code = None if scheme is None else scheme.code_of(label)
    if scheme is not None and code is not None and code != INDETERMINATE:
        probabilities = {scheme.code_of(name) or "": value for name, value in prediction.probabilities.items()}
        known = {name: value for name, value in probabilities.items() if name in scheme.codes}
        return SystemCall(prediction.system, scheme.read_category(code), code, known)
    plain = _PLAIN.code_of(label)
    category = None if plain is None else _PLAIN.read_category(plain)
    return SystemCall(prediction.system, None if category is ReadCategory.INDETERMINATE else category)


def _highest(probabilities: Mapping[str, float]) -> str | None:
    best = max(probabilities.values(), default=None)
    names = [name for name, value in probabilities.items() if value == best]
    return names[0] if len(names) == 1 else None
