"""Second opinions, their resolution and signatures as they come out of the log: frozen values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.domain import CaseStatus
from core.store.records import DiagnosisRecord, Json
from core.vocabulary import (
    AdditionalWork,
    Basis,
    Blinding,
    ConsultationRole,
    ConsultationState,
    ConsultationType,
    Discordance,
    ErrorType,
    ManagementImpact,
    ReportAction,
    ResolutionMethod,
    SignatureMeaning,
    SignedKind,
    Urgency,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConsultation:
    """What somebody asks for."""

    consultant: str | None
    pool: str | None
    """A group anybody able may answer for; exactly one of consultant and pool is given."""
    role: ConsultationRole
    type: ConsultationType
    question: str
    urgency: Urgency
    due_at: datetime | None
    blinding: Blinding
    view: Json
    """Where to look: slide_id and level-0 x, y, z as in a deep link; empty = the case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationStep:
    """One thing that happened to a request."""

    state: ConsultationState
    actor: str
    consultant: str | None
    pool: str | None
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationRecord(NewConsultation):
    """A request as it stands: consultant and pool are those asked last."""

    consultation_id: int
    case_id: str
    requester: str
    state: ConsultationState
    steps: tuple[ConsultationStep, ...]
    """All of them in order; the first is the request itself."""
    created_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether an opinion may still come of it."""
        return self.state not in (ConsultationState.WITHDRAWN, ConsultationState.ANSWERED)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody, or a pool, owes the opinion now."""
        return self.state in (ConsultationState.REQUESTED, ConsultationState.ACKNOWLEDGED)

    @property
    def acknowledged_at(self) -> datetime | None:
        """When the present consultant took it on."""
        return self.steps[-1].created_at if self.state is ConsultationState.ACKNOWLEDGED else None

    @property
    def declined_reason(self) -> str | None:
        """Why it was declined, where nobody else was asked since."""
        return self.steps[-1].reason if self.state is ConsultationState.DECLINED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionRecord:
    """An answer to a request. Locked when it is given."""

    opinion_id: int
    consultation_id: int
    author: str
    read: DiagnosisRecord
    """Category, comment, confidence and time spent."""
    additional_work: tuple[AdditionalWork, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComparison:
    """What somebody makes of the difference between two reads."""

    discordance: Discordance
    basis: Basis | None
    management_impact: ManagementImpact
    error_type: ErrorType | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRecord(NewComparison):
    """An opinion set against the read it was asked about."""

    comparison_id: int
    case_id: str
    opinion_id: int
    first_id: int
    second_id: int
    proposed: Discordance
    """What the scheme's severities say."""
    author: str
    supersedes: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResolution:
    """How a case was settled."""

    method: ResolutionMethod
    diagnosis_id: int | None
    """The read that stands; None while unresolved."""
    report_action: ReportAction
    communicated_to: str
    communicated_at: datetime | None
    learning_note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionRecord(NewResolution):
    """The resolution of a case; one after a reopening supersedes it."""

    resolution_id: int
    case_id: str
    author: str
    supersedes: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRecord:
    """A signature over one record, with the SHA-256 of what was signed."""

    signature_id: int
    case_id: str
    kind: SignedKind
    record_id: int
    record_sha256: str
    signer: str
    printed_name: str
    meaning: SignatureMeaning
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One move of a case."""

    case_id: str
    step: str
    from_state: CaseStatus
    to_state: CaseStatus
    reason: str
    actor: str
    created_at: datetime
