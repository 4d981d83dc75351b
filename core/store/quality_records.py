"""Quality verdicts, second reads, measurements and references as they come out of the log: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.store.records import Json, SlideFacts
from core.vocabulary import QcDisposition, QcOrigin, QcReason, QcRole


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQcVerdict:
    """What a reader decides about a slide."""

    disposition: QcDisposition
    reason: QcReason | None = None
    """The main fault; None only where the slide is simply accepted."""
    origin: QcOrigin | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QcVerdictRecord:
    """A quality verdict in the log."""

    verdict_id: int
    slide_id: str
    reader: str
    role: QcRole
    withdrawn: bool
    """Whether it takes the reader's verdict back without another in its place."""
    disposition: QcDisposition | None
    """None = withdrawn."""
    reason: QcReason | None
    origin: QcOrigin | None
    note: str
    blinded_to_first: bool | None
    """Whether the verdicts of others were hidden from the reader; None where there were none."""
    source_id: str | None
    """The measurement that lay before the reader: a run, or `measurement:<number>`."""
    suggested: QcDisposition | None
    """What that measurement suggested."""
    score: float | None
    limits_version: str | None
    """The limits by which it was suggested."""
    batch: str | None
    """Of the action that judged many slides at once; None = judged singly."""
    ask_id: int | None
    """The asked second read that it answers."""
    supersedes: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondReadRecord:
    """An asked second quality read of a slide."""

    ask_id: int
    slide_id: str
    reader: str | None
    """Whom it is asked of; None = anybody who judges quality and has not judged this slide."""
    asked_by: str
    reason: str
    seed: int | None
    """Of the draw; None = chosen by hand."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMeasurement:
    """Quality of a slide as a job of its own measured it."""

    slide_id: str
    report: Json
    """As `QcReport.to_dict` writes it."""
    limits_version: str
    weights_sha256: str = ""
    """Of the artefact network; empty = none took part."""
    mpp_x: float | None = None
    mpp_y: float | None = None
    mpp_source: str | None = None
    code_version: str = ""
    seconds: float = 0.0
    results_dir: str | None = None
    """Folder of its files below the home."""
    facts: SlideFacts | None = None
    """What opening the file found out; goes to the slide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideQuality:
    """The latest measurement of a slide in short."""

    slide_id: str
    source_id: str
    results_dir: str | None
    measured_at: datetime
    score: float | None
    tissue_mm2: float | None
    usable_mm2: float | None
    usable_fraction: float | None
    sections: int | None
    disposition: QcDisposition | None
    """Suggested, under `limits_version`."""
    reason: QcReason | None
    origin: QcOrigin | None
    limits_version: str | None
    stain_kind: str | None
    stain_angle: float | None
    """Degrees between the two stain vectors."""
    stain_amounts: tuple[float | None, float | None]
    """99th percentile of either dye in tissue, optical density."""
    fractions: Mapping[str, float | None]
    """Artefact class -> share of tissue; None in reports from before the classes."""
    areas_mm2: Mapping[str, float | None]


class ReferenceKind(StrEnum):
    """Where a reference for the artefact map came from."""

    ANNOTATION = "annotation"
    """Drawn by a person: GeoJSON or a mask image."""
    GRANDQC = "grandqc"
    HISTOQC = "histoqc"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReference:
    """What somebody else, a person or a system, says about the quality of a slide."""

    slide_id: str
    kind: ReferenceKind
    name: str
    """Who drew it, or the system."""
    version: str = ""
    """Of the system."""
    source: str
    """Name of the file."""
    content_sha256: str
    mask_path: str | None = None
    """Class map as PNG below the home; None where there is none."""
    metrics: Json
    """Figures that came with it."""
    figures: Json | None = None
    """Comparison with our map."""
    source_id: str | None = None
    """The measurement it was compared with."""
    usable: bool | None = None
    human_score: int | None = None
    """0 (useless) to 5 (flawless) by a person."""
    note: str = ""
    import_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRecord(NewReference):
    """The same, in the log."""

    reference_id: int
    author: str
    """Who brought it in."""
    created_at: datetime
