"""Bringing a case's flags up to date whenever a result arrives or a diagnosis is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from core.domain import SlideStatus
from core.flags import CaseEvidence, Flag, SlideEvidence, case_flags
from core.roles import Permission
from core.services.authority import require
from core.services.progress import note_arrivals
from core.settings import Settings
from core.store.cases import slides_of_case
from core.store.connection import Log, open_log, writing
from core.store.records import CARRYING_ARTEFACT, OVERRIDE, POSITIVE_TITLE, FlagRecord, RunResult, SlideRecord
from core.store.results import latest_runs, save_flags
from core.store.reviews import counting_diagnosis, diagnoses_of_case


def refresh_flags(settings: Settings, case_id: str, *, actor: str) -> tuple[FlagRecord, ...]:
    """Apply the flag rules to a case as it stands and append the outcome; earlier evaluations stay in the log.

    Raises:
        NotFoundError: no such case.
        NotAllowedError: the actor may not do this.
        StorageError: the log cannot be written.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.REFRESH_FLAGS)
        return refresh_flags_in(database, settings, case_id, actor=actor)


def refresh_flags_in(database: Log, settings: Settings, case_id: str, *, actor: str) -> tuple[FlagRecord, ...]:
    """Do as `refresh_flags` inside the transaction of the change that makes it due."""
    read = counting_diagnosis(diagnoses_of_case(database, case_id))
    runs = latest_runs(database, case_id)
    slides = slides_of_case(database, case_id)
    evidence = CaseEvidence(
        # The diagnosis that stands is the one recorded last; earlier and superseded ones stay in the log.
        read=read.category if read else None,
        slides=tuple(_evidence(slide, runs) for slide in slides if slide.slide_id in runs),
    )
    records = tuple(_record(flag) for flag in case_flags(evidence, settings.flags))
    save_flags(database, case_id, records, actor=actor)
    note_arrivals(database, case_id, actor=actor)
    return records


def _evidence(slide: SlideRecord, runs: Mapping[str, RunResult]) -> SlideEvidence:
    run = runs[slide.slide_id]
    ok = run.status is SlideStatus.OK
    artefact = run.qc.get(CARRYING_ARTEFACT) if run.qc else None
    return SlideEvidence(
        slide_id=slide.slide_id,
        status=run.status,
        message=run.message,
        score=run.decision_score if ok else None,
        threshold=run.threshold if run.threshold is not None else 1.0,
        positive=str(run.settings.get(POSITIVE_TITLE) or "the target class"),
        peak=run.peak,
        carrying_artefact=float(artefact) if isinstance(artefact, (int, float)) else None,
        model=run.model,
        weights_sha256=run.weights_sha256,
        overridden=OVERRIDE in run.settings,
    )


def _record(flag: Flag) -> FlagRecord:
    place = flag.location
    return FlagRecord(
        kind=flag.kind,
        direction=flag.direction,
        reason=flag.reason,
        rule_version=flag.rule_version,
        created_at=datetime.now(UTC),
        score=flag.score,
        slide_id=flag.slide_id,
        x=place.x if place else None,
        y=place.y if place else None,
        width=place.width if place else None,
        height=place.height if place else None,
        model=flag.model or None,
        weights_sha256=flag.weights_sha256 or None,
    )
