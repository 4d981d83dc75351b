"""What the rules look at: a case's reads and what models and other systems say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.discordance import Said
from core.domain import ReadCategory, Region, SlideStatus
from core.schemes import Scheme


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What another model than the deciding one says about the same slide."""

    model: str
    score: float
    """Of that model's target, 0-1."""
    threshold: float


@dataclass(frozen=True, slots=True)
class AggregationCall:
    """What another way of rolling up the same tiles says, with a threshold of its own."""

    name: str
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class SlideEvidence:
    """What the latest analysis says about one slide of a case."""

    slide_id: str
    status: SlideStatus
    message: str
    """Why there is no result, where there is none."""
    score: float | None
    """Slide score of the positive class under the model's deciding aggregation, 0-1; None without a result."""
    threshold: float
    """Slide score from which the model calls the positive class present."""
    positive: str
    """The positive class in words, for the reason."""
    peak: Region | None
    """The most suspicious tile."""
    carrying_artefact: float | None
    """Share of the tissue carrying the call that is artefact, 0-1."""
    score_without_artefact: float | None = None
    """The same score over the tiles that no artefact spoils; None where it cannot be told."""
    model: str = ""
    weights_sha256: str = ""
    overridden: bool = False
    """Whether somebody had the model run although it is not made for this slide."""
    other_models: tuple[ModelCall, ...] = ()
    aggregations: tuple[AggregationCall, ...] = ()
    labels: tuple[str, ...] | None = None
    """The conformal set of labels; None without a calibration, empty = unlike every class of the calibration."""
    calibration: str = ""
    """Which calibration the labels come from, and at which error rate."""
    unlike: str = ""
    """How the slide is unlike usual slides of the model, in words; empty where it is not, or nobody can tell."""


@dataclass(frozen=True, slots=True)
class ReadEvidence:
    """One reader's standing read."""

    reader: str
    said: Said


@dataclass(frozen=True, slots=True)
class SystemCall:
    """What another system, whose predictions were imported, says about the case."""

    system: str
    category: ReadCategory | None
    """What its call says about malignancy; None if it means none of a known scheme."""
    code: str | None = None
    """The same in the scheme of the read that counts; None if that scheme does not know it."""
    probabilities: Mapping[str, float] = field(default_factory=dict[str, float])
    """Code of that scheme -> probability; empty where the classes are not those of the scheme."""


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """A case as the rules see it."""

    read: ReadCategory | None
    """The recorded diagnosis that counts, or None while there is none."""
    slides: tuple[SlideEvidence, ...]
    case_id: str = ""
    scheme: Scheme | None = None
    """Of the read that counts; None for the three plain categories."""
    code: str | None = None
    """That read in its scheme."""
    reads: tuple[ReadEvidence, ...] = ()
    """Standing reads of all readers, the one that counts among them."""
    systems: tuple[SystemCall, ...] = ()
    schemes: Mapping[str, Scheme] = field(default_factory=dict[str, Scheme])
    """Of the reads, by name."""
    drawn: str = ""
    """The draw of unflagged cases that the case is in, in words; empty if it is in none."""

    @property
    def called(self) -> tuple[SlideEvidence, ...]:
        """Slides with a result, most suspicious first (by distance from their own threshold)."""
        with_score = [slide for slide in self.slides if slide.score is not None]
        return tuple(sorted(with_score, key=margin, reverse=True))

    @property
    def complete(self) -> bool:
        """Whether every slide has a result; only then may the case be called negative."""
        return len(self.called) == len(self.slides)


def margin(slide: SlideEvidence) -> float:
    """Distance of a slide's score from its threshold, -1 to 1: the share of the room on that side of the threshold."""
    if slide.score is None:
        raise ValueError(f"Slide {slide.slide_id} has no score.")
    return margin_of(slide.score, slide.threshold)


def margin_of(score: float, threshold: float) -> float:
    """Return how far a score lies from a threshold, -1 to 1; see `margin`."""
    room = (1 - threshold) if score >= threshold else threshold
    return (score - threshold) / room if room > 0 else 0.0


def disagreement_probability(evidence: CaseEvidence) -> float | None:
    """Return how probable it is that a second look differs from the read, 0-1, as far as the model tells.

    One half at the model's threshold, and from there in proportion to the distance; it is as good as the model's
    score and no better. None without a read that can differ, or without a result.
    """
    if not evidence.called or evidence.read is None or evidence.read is ReadCategory.INDETERMINATE:
        return None
    present = (1 + margin(evidence.called[0])) / 2
    return present if evidence.read is ReadCategory.BENIGN else 1 - present
