"""The vocabularies of second opinions in words, colours and icons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from core.services.cases.visibility import HIDDEN
from core.services.consultations.lists import Waits
from core.vocabulary import (
    AdditionalWork,
    Basis,
    Blinding,
    ConsultationState,
    ConsultationType,
    Discordance,
    ErrorType,
    ManagementImpact,
    ReadRole,
    ReportAction,
    ResolutionMethod,
    SignatureMeaning,
    Urgency,
)
from pages.parts.common.badges import Look, time_in_words

URGENCIES: Mapping[Urgency, Look] = {
    Urgency.ROUTINE: Look("Routine", "gray", ":material/schedule:"),
    Urgency.URGENT: Look("Urgent", "orange", ":material/priority_high:"),
    Urgency.STAT: Look("At once", "red", ":material/bolt:", "Somebody waits for it, such as a frozen section."),
}
BLINDINGS: Mapping[Blinding, Look] = {
    Blinding.FULL: Look(
        "Fully blinded", "violet", ":material/visibility_off:", "The consultant sees the slides and your question only."
    ),
    Blinding.MODEL_HIDDEN: Look(
        "Model hidden", "blue", ":material/visibility_off:", "The first read is shown, the model's result is not."
    ),
    Blinding.OPEN: Look("Open", "gray", ":material/visibility:", "The consultant sees everything."),
}
TYPES: Mapping[ConsultationType, str] = {
    ConsultationType.INTRADEPARTMENTAL: "Within the department",
    ConsultationType.DOUBLE_REPORT: "Double reporting",
    ConsultationType.EXTERNAL: "External",
    ConsultationType.POLICY_MANDATED: "Required by policy",
    ConsultationType.CLINICIAN_REQUEST: "A clinician asks",
    ConsultationType.MODEL_DISCORDANCE: "The model differs",
    ConsultationType.TUMOUR_BOARD: "Tumour board",
}
STATES: Mapping[ConsultationState, Look] = {
    ConsultationState.REQUESTED: Look("Not taken on yet", "orange", ":material/mail:"),
    ConsultationState.ACKNOWLEDGED: Look("Taken on", "blue", ":material/drafts:"),
    ConsultationState.DECLINED: Look("Declined", "red", ":material/block:"),
    ConsultationState.WITHDRAWN: Look("Withdrawn", "gray", ":material/undo:"),
    ConsultationState.ANSWERED: Look("Answered", "green", ":material/mark_email_read:"),
}
WORK: Mapping[AdditionalWork, str] = {
    AdditionalWork.NONE: "None",
    AdditionalWork.DEEPER_LEVELS: "Deeper levels",
    AdditionalWork.IHC: "Immunohistochemistry",
    AdditionalWork.SPECIAL_STAIN: "Special stain",
    AdditionalWork.REPEAT_BIOPSY: "Repeat biopsy",
    AdditionalWork.CLINICAL_CORRELATION: "Clinical correlation",
}
DISCORDANCES: Mapping[Discordance, Look] = {
    Discordance.AGREEMENT: Look("Agreement", "green", ":material/check_circle:"),
    Discordance.MINOR: Look("Minor", "yellow", ":material/change_history:", "No change of management."),
    Discordance.MAJOR: Look("Major", "red", ":material/error:", "A potential change of treatment or prognosis."),
    Discordance.DEFERRED: Look("Deferred", "gray", ":material/pending:", "One of the readers could not decide."),
    Discordance.NOT_COMPARABLE: Look(
        "Not comparable", "gray", ":material/compare_arrows:", "The reads answer different questions."
    ),
}
BASES: Mapping[Basis, str] = {
    Basis.BENIGN_VS_MALIGNANT: "Benign or malignant",
    Basis.GRADE: "Grade",
    Basis.TYPE: "Type",
    Basis.MARGIN: "Margin",
    Basis.STAGE: "Stage",
    Basis.OTHER: "Other",
}
IMPACTS: Mapping[ManagementImpact, str] = {
    ManagementImpact.NONE: "None",
    ManagementImpact.POTENTIAL: "Potential",
    ManagementImpact.ACTUAL: "Actual",
    ManagementImpact.UNKNOWN: "Unknown",
}
ERRORS: Mapping[ErrorType, str] = {
    ErrorType.INTERPRETIVE: "Interpretive",
    ErrorType.IDENTIFICATION: "Identification",
    ErrorType.SPECIMEN: "Specimen",
    ErrorType.REPORT: "Report",
    ErrorType.NOT_AN_ERROR: "Not an error",
}
METHODS: Mapping[ResolutionMethod, str] = {
    ResolutionMethod.FIRST_UPHELD: "The first read is upheld",
    ResolutionMethod.SECOND_ADOPTED: "The second opinion is adopted",
    ResolutionMethod.CONSENSUS: "Consensus",
    ResolutionMethod.THIRD_READER: "The third reader decided",
    ResolutionMethod.MAJORITY: "Majority",
    ResolutionMethod.EXTERNAL_EXPERT: "External expert",
    ResolutionMethod.UNRESOLVED: "Stays unresolved",
}
REPORT_ACTIONS: Mapping[ReportAction, str] = {
    ReportAction.NONE: "None",
    ReportAction.ADDENDUM: "Addendum",
    ReportAction.AMENDED: "Amended",
    ReportAction.CORRECTED: "Corrected",
    ReportAction.WITHDRAWN: "Withdrawn",
}
MEANINGS: Mapping[SignatureMeaning, str] = {
    SignatureMeaning.AUTHORSHIP: "Authorship",
    SignatureMeaning.REVIEW: "Review",
    SignatureMeaning.APPROVAL: "Approval",
    SignatureMeaning.RESPONSIBILITY: "Responsibility",
}
ROLES: Mapping[ReadRole, str] = {
    ReadRole.PRIMARY: "First read",
    ReadRole.SECOND: "Second opinion",
    ReadRole.ADJUDICATOR: "Third reader",
    ReadRole.CONSENSUS: "Consensus",
    ReadRole.REPORT: "Report",
}
WAITS: Mapping[Waits, str] = {
    Waits.OPINION: "The opinion",
    Waits.OTHER_CONSULTANT: "Another consultant: it was declined",
    Waits.COMPARISON: "Comparing and deciding",
    Waits.THIRD_READER: "A third reader",
    Waits.RESOLUTION: "The resolution",
    Waits.SIGNATURE: "A signature",
}


def due_in_words(due_at: datetime | None, *, overdue: bool) -> str:
    """Return until when an opinion is needed."""
    if due_at is None:
        return "no time set"
    return f"was due {time_in_words(due_at)}" if overdue else f"due {time_in_words(due_at)}"


def waited_in_words(since: datetime, *, now: datetime | None = None) -> str:
    """Return for how long something waits, in the largest unit that fits."""
    hours = int(((now or datetime.now(UTC)) - since).total_seconds() // 3600)
    if hours < 1:
        return "less than an hour"
    if hours < 48:
        return "1 hour" if hours == 1 else f"{hours} hours"
    return f"{hours // 24} days"


def name_or_hidden(name: str) -> str:
    """Return a name, or words for one that may not be shown."""
    return "hidden" if name == HIDDEN else name
