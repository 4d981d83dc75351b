"""What goes into and comes out of the log: frozen values without behaviour.

Times are aware `datetime` values in UTC. Positions are level-0 pixels. Mappings hold plain Python values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.domain import (
    FlagDirection,
    FlagKind,
    JobKind,
    JobState,
    MppSource,
    ReadCategory,
    Region,
    ReviewVerdict,
    SlideStatus,
    Stain,
)
from core.roles import Permission, Role, permissions_of
from core.vocabulary import ReadRole

Json = Mapping[str, object]
"""A JSON object."""

Scores = Mapping[str, Mapping[str, float]]
"""Aggregation name -> class name -> score in 0-1."""


class ReadStage(StrEnum):
    """Whether the reader had seen the model's result on the case when the diagnosis was recorded."""

    BEFORE_MODEL = "before_model"
    AFTER_MODEL = "after_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFacts:
    """What analysis found out about a slide's file; None where it could not be read."""

    sha256: str | None = None
    vendor: str | None = None
    width: int | None = None
    """Level-0 pixels."""
    height: int | None = None
    """Level-0 pixels."""
    levels: int | None = None
    objective_power: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRecord:
    """A slide of the catalogue with the outcome of its latest run."""

    slide_id: str
    case_id: str
    path: str
    stain: Stain
    added_at: datetime
    site: str | None = None
    scanner: str | None = None
    tissue: str | None = None
    """Organ or site of the tissue as the user states it, e.g. "breast"; None = not stated."""
    mpp_override: float | None = None
    """um/px given by the user; None = what the file says."""
    mpp_x: float | None = None
    """um per level-0 px as last used."""
    mpp_y: float | None = None
    mpp_source: MppSource | None = None
    sha256: str | None = None
    vendor: str | None = None
    width: int | None = None
    height: int | None = None
    levels: int | None = None
    objective_power: float | None = None
    tissue_mm2: float | None = None
    status: SlideStatus | None = None
    """Outcome of the latest run; None before the first."""
    message: str = ""
    """Sentence of the latest run."""
    run_id: str | None = None
    """The latest run."""


CARRYING_ARTEFACT = "carrying_artefact_fraction"
"""Key of `RunResult.qc`: share of the tissue carrying the call that is artefact, 0-1."""

WITHOUT_ARTEFACT = "without_artefact"
"""Key of `RunResult.settings`: the target's scores without the tiles that artefacts spoil."""

POSITIVE_TITLE = "positive_title"
"""Key of `RunResult.settings`: the class the model looks for, in words."""

CLASSES_PRESENT = "classes_present"
"""Key of `RunResult.settings`: classes present under the threshold rule; a slide may have several."""

OVERRIDE = "override"
"""Key of `RunResult.settings`: reason, actor and what did not fit, where a model was run on a slide not made for it."""

NOT_CHECKED = "not_checked"
"""Key of `RunResult.settings`: sentences about what could not be checked, since nobody stated it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One analysis of one slide by one model, finished in whatever way."""

    run_id: str
    slide_id: str
    model: str
    status: SlideStatus
    created_at: datetime
    job_id: int | None = None
    message: str = ""
    model_version: str = ""
    weights_sha256: str = ""
    mpp_x: float | None = None
    mpp_y: float | None = None
    mpp_source: MppSource | None = None
    tissue_mm2: float | None = None
    tiles_total: int = 0
    tiles_kept: int = 0
    tiles_dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    """Reason -> number of tiles."""
    scores: Scores = field(default_factory=dict[str, dict[str, float]])
    label: str | None = None
    """Class the model calls for the slide; None = no call."""
    decision_aggregation: str | None = None
    decision_score: float | None = None
    threshold: float | None = None
    peak: Region | None = None
    """Level-0 location of the most suspicious tile."""
    qc: Json | None = None
    """`QcReport.to_dict()`."""
    seconds: float = 0.0
    tiles_per_second: float | None = None
    device: str = ""
    settings: Json = field(default_factory=dict[str, object])
    code_version: str = ""
    results_dir: str | None = None
    """Folder of the result files relative to the home folder; None if the run left none."""
    facts: SlideFacts | None = None
    """Facts about the file to be written to the slide's row; not read back."""


RunRecord = RunResult
"""A run as read back from the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRecord:
    """One reason to look at a case again."""

    kind: FlagKind
    direction: FlagDirection
    reason: str
    rule_version: str
    created_at: datetime
    score: float | None = None
    slide_id: str | None = None
    x: int | None = None
    """Level-0 px, as the next three."""
    y: int | None = None
    width: int | None = None
    height: int | None = None
    model: str | None = None
    weights_sha256: str | None = None
    severity: str | None = None
    """What the difference means by the scheme of the read: none, minor or major; None where no scheme says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """A case: the unit a pathologist reads."""

    case_id: str
    site: str | None
    added_at: datetime
    assigned_to: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRead:
    """What a reader saw in a case, before it is in the log."""

    category: ReadCategory
    """What it says about malignancy."""
    grade: str | None = None
    text: str = ""
    confidence: int | None = None
    """1 (guess) to 5 (certain)."""
    stage: ReadStage
    role: ReadRole = ReadRole.PRIMARY
    scheme: str | None = None
    """Name of the reading scheme; None = the three plain categories."""
    scheme_version: str | None = None
    code: str | None = None
    """The answer in the scheme, e.g. "2" or "indeterminate"."""
    ordinal: int | None = None
    """Place of the answer in the scheme's order, from 0; None for indeterminate and without a scheme."""
    blinded_to_model: bool | None = None
    """Whether the reader had not seen the model's result; None = not known."""
    blinded_to_first: bool | None = None
    """Whether the reader had seen nobody else's read of the case; None = not known."""
    opened_at: datetime | None = None
    submitted_at: datetime | None = None
    """When an imported read was made; None = when it was recorded here."""
    seconds_on_case: float | None = None
    source: str | None = None
    """Where an imported read came from; None = recorded here."""
    import_key: str | None = None
    """Tells imported reads apart, so that none comes in twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisRecord(NewRead):
    """One read of one case by one reader. Never changed: a correction supersedes it."""

    diagnosis_id: int
    case_id: str
    reader: str
    supersedes: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRecord:
    """A reader's answer to the model's result on a case."""

    review_id: int
    case_id: str
    reader: str
    verdict: ReviewVerdict
    note: str
    supersedes: int | None
    evaluation_id: int | None
    """The evaluation whose flags were current when the reader answered."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One link of the hash chain."""

    seq: int
    at_utc: datetime
    actor: str
    action: str
    entity: str
    """`case:<id>`, `slide:<id>` or `system`."""
    payload: Json
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job on one slide."""

    job_id: int
    slide_id: str
    case_id: str
    kind: JobKind
    model: str
    """Name of the card; empty for a kind whose payload names what it needs."""
    payload: Json
    """What is asked, for the kinds other than the analysis; empty there."""
    state: JobState
    stage: str
    """What the worker is doing, in a word: "reading", "tiles" ..."""
    done: int
    total: int
    attempts: int
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    worker_pid: int | None
    cancel_requested: bool
    override_reason: str | None = None
    """Why the model is run although the slide is not one it is made for; None = it is refused."""
    override_by: str | None = None
    """Who gave that reason."""

    @property
    def run_id(self) -> str:
        """Id of the run this job writes: the same however often the job is begun again."""
        return f"{self.created_at:%Y%m%dT%H%M%S}-j{self.job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker process that has registered itself."""

    worker_id: int
    pid: int
    host: str
    started_at: datetime
    heartbeat_at: datetime
    alive: bool


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Outcome of checking the whole log."""

    ok: bool
    rows: int
    """Events checked."""
    first_broken_seq: int | None
    message: str


class RolesFrom(StrEnum):
    """Who decides on a person's roles."""

    HAND = "hand"
    """A lead or the command line; claims no longer change them."""
    CLAIMS = "claims"
    """The sign-in's claims, anew at every sign-in."""
    SIGN_IN = "sign_in"
    """Chosen by the person at the demonstration sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """Somebody who may sign in, as it stands now."""

    person_id: int
    issuer: str
    """Who vouches for the person."""
    subject: str | None
    """The issuer's name for the person; None until somebody invited has signed in."""
    log_name: str
    """Unique; the printed name of signatures and the actor of every event. It never changes."""
    email: str | None
    roles: frozenset[Role]
    roles_from: RolesFrom
    active: bool
    added_at: datetime

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the person may do: nothing while not active."""
        return permissions_of(self.roles) if self.active else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One sign-in of a person in one browser."""

    session_id: str
    person_id: int
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    user_agent: str

    def is_open(self, now: datetime) -> bool:
        """Say whether the session still holds."""
        return self.revoked_at is None and now < self.expires_at
