"""A department with many resolved cases, written in one transaction: the services take a second a case."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from people_kit import enrol

from core.domain import CaseStatus, ReadCategory, SlideStatus, Stain
from core.services.rules.flagging import refresh_flags_in
from core.settings import Settings
from core.store import cases, results, reviews
from core.store.case_states import insert_change
from core.store.connection import Log, open_log, writing
from core.store.consult_records import NewComparison, NewConsultation, NewResolution
from core.store.consultations import insert_consultation, insert_step
from core.store.opinions import insert_comparison, insert_opinion
from core.store.records import NewRead, ReadStage, RunResult, SlideRecord
from core.store.resolutions import insert_resolution
from core.vocabulary import (
    Blinding,
    ConsultationRole,
    ConsultationState,
    ConsultationType,
    Discordance,
    ManagementImpact,
    ReadRole,
    ReportAction,
    ResolutionMethod,
    Urgency,
)

SETTINGS = {"positive_classes": ["idc"]}
WEIGHTS = "ab" * 32
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def add_read(
    database: Log, settings: Settings, name: str, *, score: float, extra: dict[str, object] | None = None
) -> int:
    """Add a case with one slide that ann reads as benign; return the read."""
    slide_id = f"slide-{name}"
    cases.ensure_case(database, name, site="North", actor="ann")
    slide = SlideRecord(
        slide_id=slide_id, case_id=name, path=f"/{slide_id}.svs", stain=Stain.HE, site="North", added_at=NOW
    )
    cases.insert_slide(database, slide, actor="ann")
    run = RunResult(
        run_id=f"run-{name}",
        slide_id=slide_id,
        model="idc",
        status=SlideStatus.OK,
        message="",
        created_at=NOW,
        weights_sha256=WEIGHTS,
        scores={"max": {"idc": score, "other": 1 - score}},
        label="idc",
        decision_aggregation="max",
        decision_score=score,
        threshold=0.5,
        qc={"score": 0.8},
        settings={**SETTINGS, **(extra or {})},
    )
    results.save_run(database, run)
    read = reviews.insert_read(
        database, name, NewRead(category=ReadCategory.BENIGN, stage=ReadStage.BEFORE_MODEL), actor="ann"
    )
    refresh_flags_in(database, settings, name, actor="ann")
    return read.diagnosis_id


def add_resolved(database: Log, settings: Settings, name: str, *, score: float, differs: bool) -> None:
    """Add such a case with a second opinion, compared and resolved."""
    first = add_read(database, settings, name, score=score)
    asked = insert_consultation(
        database,
        name,
        NewConsultation(
            consultant="cleo",
            pool=None,
            role=ConsultationRole.SECOND,
            type=ConsultationType.MODEL_DISCORDANCE,
            question="Is there invasion?",
            urgency=Urgency.ROUTINE,
            due_at=None,
            blinding=Blinding.FULL,
            view={},
        ),
        actor="ann",
    )
    category = ReadCategory.MALIGNANT if differs else ReadCategory.BENIGN
    new = NewRead(category=category, stage=ReadStage.BEFORE_MODEL, role=ReadRole.SECOND)
    second = reviews.insert_read(database, name, new, actor="cleo").diagnosis_id
    number = asked.consultation_id
    given = insert_opinion(
        database, name, consultation_id=number, diagnosis_id=second, additional_work=(), actor="cleo"
    )
    insert_step(database, name, number, state=ConsultationState.ANSWERED, consultant="cleo", pool=None, actor="cleo")
    said = Discordance.MAJOR if differs else Discordance.AGREEMENT
    comparison = NewComparison(
        discordance=said, basis=None, management_impact=ManagementImpact.NONE, error_type=None, note=""
    )
    insert_comparison(
        database,
        name,
        comparison,
        opinion_id=given.opinion_id,
        first_id=first,
        second_id=second,
        proposed=said,
        actor="ann",
    )
    resolution = NewResolution(
        method=ResolutionMethod.SECOND_ADOPTED if differs else ResolutionMethod.FIRST_UPHELD,
        diagnosis_id=second if differs else first,
        report_action=ReportAction.AMENDED if differs else ReportAction.NONE,
        communicated_to="",
        communicated_at=None,
        learning_note="",
    )
    insert_resolution(database, name, resolution, actor="ann")
    insert_change(database, name, step="resolve", before=CaseStatus.AGREED, after=CaseStatus.SIGNED, actor="ann")


def department_with(settings: Settings, *, resolved: int, waiting: int = 6, seed: int = 3) -> None:
    """Fill a home: the higher the score of a benign read, the likelier the second opinion differs."""
    enrol(settings, "ann", "bob", "cleo", "Eve")
    draw = np.random.default_rng(seed)
    with open_log(settings) as database, writing(database):
        for number in range(resolved):
            score = float(draw.random())
            add_resolved(database, settings, f"R{number:03d}", score=score, differs=bool(draw.random() < score**2))
        for number in range(waiting):
            add_read(database, settings, f"W{number:03d}", score=(number + 0.5) / waiting)
