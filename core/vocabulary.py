"""The closed vocabularies of reads, second opinions and their resolution.

Discordance after Manion 2008 and Moffitt, error types after Meier 2008, blinding after RCPA guideline 2/2012,
signatures after 21 CFR 11.50.
"""

from __future__ import annotations

from enum import StrEnum


class ReadRole(StrEnum):
    """In which part a reader read a case."""

    PRIMARY = "primary"
    SECOND = "second"
    ADJUDICATOR = "adjudicator"
    CONSENSUS = "consensus"
    REPORT = "report"


COUNTING_ROLES = frozenset({ReadRole.PRIMARY, ReadRole.CONSENSUS, ReadRole.REPORT})
"""Reads that may be the diagnosis of a case. A second opinion is compared with it and never takes its place."""


class ConsultationType(StrEnum):
    """Why a second opinion is asked for."""

    INTRADEPARTMENTAL = "intradepartmental"
    DOUBLE_REPORT = "double_report"
    EXTERNAL = "external"
    POLICY_MANDATED = "policy_mandated"
    CLINICIAN_REQUEST = "clinician_request"
    MODEL_DISCORDANCE = "model_discordance"
    TUMOUR_BOARD = "tumour_board"


class ConsultationRole(StrEnum):
    """What the consultant is asked to be."""

    SECOND = "second"
    ADJUDICATOR = "adjudicator"


class Urgency(StrEnum):
    """How soon an opinion is needed."""

    ROUTINE = "routine"
    URGENT = "urgent"
    STAT = "stat"
    """At once: somebody waits for it, such as a frozen section."""


class Blinding(StrEnum):
    """What a consultant may see before the opinion is locked."""

    FULL = "full"
    """The slides only: no model result, first read, other opinion, nor who gave them."""
    MODEL_HIDDEN = "model_hidden"
    """The first read, but neither the model's result nor other opinions."""
    OPEN = "open"
    """Everything."""


class ConsultationState(StrEnum):
    """Where one request stands."""

    REQUESTED = "requested"
    ACKNOWLEDGED = "acknowledged"
    DECLINED = "declined"
    """Waits for the requester to ask somebody else or to withdraw."""
    WITHDRAWN = "withdrawn"
    ANSWERED = "answered"


class AdditionalWork(StrEnum):
    """What a consultant would do before deciding."""

    NONE = "none"
    DEEPER_LEVELS = "deeper_levels"
    IHC = "ihc"
    SPECIAL_STAIN = "special_stain"
    REPEAT_BIOPSY = "repeat_biopsy"
    CLINICAL_CORRELATION = "clinical_correlation"


class Discordance(StrEnum):
    """What the difference between two reads means."""

    AGREEMENT = "agreement"
    MINOR = "minor"
    """No change of management."""
    MAJOR = "major"
    """A potential change of treatment or prognosis."""
    DEFERRED = "deferred"
    """One of the readers could not decide."""
    NOT_COMPARABLE = "not_comparable"
    """The reads answer different questions."""


class ManagementImpact(StrEnum):
    """Whether the patient's treatment is touched."""

    NONE = "none"
    POTENTIAL = "potential"
    ACTUAL = "actual"
    UNKNOWN = "unknown"


class Basis(StrEnum):
    """What two reads differ in."""

    BENIGN_VS_MALIGNANT = "benign_vs_malignant"
    GRADE = "grade"
    TYPE = "type"
    MARGIN = "margin"
    STAGE = "stage"
    OTHER = "other"


class ErrorType(StrEnum):
    """Where a difference came from."""

    INTERPRETIVE = "interpretive"
    IDENTIFICATION = "identification"
    SPECIMEN = "specimen"
    REPORT = "report"
    NOT_AN_ERROR = "not_an_error"


class ResolutionMethod(StrEnum):
    """How a difference was settled."""

    FIRST_UPHELD = "first_upheld"
    SECOND_ADOPTED = "second_adopted"
    CONSENSUS = "consensus"
    THIRD_READER = "third_reader"
    MAJORITY = "majority"
    EXTERNAL_EXPERT = "external_expert"
    UNRESOLVED = "unresolved"


class ReportAction(StrEnum):
    """What became of the report."""

    NONE = "none"
    ADDENDUM = "addendum"
    AMENDED = "amended"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


class SignatureMeaning(StrEnum):
    """What a signature says (21 CFR 11.50)."""

    AUTHORSHIP = "authorship"
    REVIEW = "review"
    APPROVAL = "approval"
    RESPONSIBILITY = "responsibility"


class SignedKind(StrEnum):
    """What can be signed."""

    READ = "read"
    RESOLUTION = "resolution"


class QcDisposition(StrEnum):
    """What quality control does with a slide."""

    ACCEPT = "accept"
    ACCEPT_WITH_LIMITATION = "accept_with_limitation"
    """Read it, but not where the artefacts are."""
    RESCAN = "rescan"
    RECUT = "recut"
    RESTAIN = "restain"
    EXCLUDE = "exclude"


class QcRole(StrEnum):
    """Whose quality verdict on a slide it is."""

    FIRST = "first"
    SECOND = "second"


class QcReason(StrEnum):
    """Why a slide is not simply accepted."""

    OUT_OF_FOCUS = "out_of_focus"
    FOLD = "fold"
    PEN = "pen"
    BUBBLE_EDGE = "bubble_edge"
    DARK_SPOT_FOREIGN = "dark_spot_foreign"
    STAIN = "stain"
    STITCHING = "stitching"
    DAMAGED = "damaged"
    LABEL_OBSCURED = "label_obscured"
    OTHER = "other"


class QcOrigin(StrEnum):
    """Where an artefact came into being, which decides what helps: a recut or a rescan."""

    PREPARATION = "preparation"
    ACQUISITION = "acquisition"
