"""A case with people around it, and one call for each thing that happens to it."""

from __future__ import annotations

from people_kit import enrol
from store_kit import add_slide, run_of, save

from core.domain import CaseStatus, ReadCategory
from core.roles import Role
from core.services.cases import review
from core.services.cases.progress import current_status
from core.services.consultations import consult, opinion, resolution, signing
from core.services.consultations.answers import Answer
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.consult_records import ConsultationRecord, NewComparison, NewResolution, OpinionRecord
from core.vocabulary import (
    Blinding,
    ConsultationRole,
    ConsultationType,
    Discordance,
    ManagementImpact,
    ReportAction,
    ResolutionMethod,
    SignatureMeaning,
)

BENIGN = Answer(category=ReadCategory.BENIGN, text="Nothing seen.", confidence=4)
MALIGNANT = Answer(category=ReadCategory.MALIGNANT, grade="Grade 2", confidence=5, seconds_on_case=94.5)
MAJOR = NewComparison(
    discordance=Discordance.MAJOR,
    basis=None,
    management_impact=ManagementImpact.POTENTIAL,
    error_type=None,
    note="",
)


def department(settings: Settings) -> None:
    """Enrol ann and bob (pathologists), cleo and dan (consultants), Eve (lead), vic (viewer) and quinn (QC)."""
    enrol(settings, "ann", "bob", roles=(Role.PATHOLOGIST,))
    enrol(settings, "cleo", "dan", roles=(Role.CONSULTANT,))
    enrol(settings, "Eve", roles=(Role.LEAD,))
    enrol(settings, "vic", roles=(Role.VIEWER,))
    enrol(settings, "quinn", roles=(Role.QC,))


def flagged_case(settings: Settings, case_id: str = "C1", *, score: float = 0.95) -> str:
    """Add a case that ann reads as benign and the model as malignant; return its slide."""
    slide_id = add_slide(settings, f"slide-{case_id}", case_id=case_id)
    save(settings, run_of(slide_id, run_id=f"run-{case_id}", score=score))
    department(settings)
    review.record_read(settings, case_id, BENIGN, actor="ann")
    return slide_id


def ask(
    settings: Settings,
    consultant: str | None = "cleo",
    *,
    case_id: str = "C1",
    pool: str | None = None,
    blinding: Blinding = Blinding.FULL,
    role: ConsultationRole = ConsultationRole.SECOND,
    actor: str = "ann",
) -> ConsultationRecord:
    """Ask for an opinion."""
    return consult.request(
        settings,
        case_id,
        consultant=consultant,
        pool=pool,
        role=role,
        type=ConsultationType.MODEL_DISCORDANCE,
        question="Is there invasion?",
        blinding=blinding,
        actor=actor,
    )


def give(settings: Settings, asked: ConsultationRecord, answer: Answer = MALIGNANT, *, actor: str) -> OpinionRecord:
    """Take a request on and answer it."""
    opinion.acknowledge(settings, asked.consultation_id, actor=actor)
    return opinion.submit_opinion(settings, asked.consultation_id, answer, actor=actor)


def settled(settings: Settings, case_id: str = "C1", *, key: str | None = None) -> None:
    """Take a case that ann has read all the way to a signature, with a third reader."""
    department(settings)
    given = give(settings, ask(settings, case_id=case_id), actor="cleo")
    resolution.compare(settings, given.opinion_id, MAJOR, actor="ann")
    resolution.adjudicate(settings, case_id, actor="ann")
    third = ask(settings, "dan", case_id=case_id, role=ConsultationRole.ADJUDICATOR)
    decided = give(settings, third, actor="dan")
    resolution.resolve(settings, case_id, third_reader(decided.read.diagnosis_id), actor="ann")
    signing.sign_resolution(
        settings, case_id, meaning=SignatureMeaning.RESPONSIBILITY, printed_name="ann", key=key, actor="ann"
    )


def third_reader(diagnosis_id: int) -> NewResolution:
    """The resolution by which a third reader's diagnosis stands."""
    return NewResolution(
        method=ResolutionMethod.THIRD_READER,
        diagnosis_id=diagnosis_id,
        report_action=ReportAction.AMENDED,
        communicated_to="Dr Smith",
        communicated_at=None,
        learning_note="Look at the edge.",
    )


def status(settings: Settings, case_id: str = "C1") -> CaseStatus:
    """Where a case stands."""
    with open_log(settings) as database, reading(database):
        return current_status(database, case_id)
