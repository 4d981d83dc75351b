"""Why a case deserves a second pair of eyes: one small function for each rule.

A rule looks at a `CaseEvidence` and returns the flags it raises, each with its reason in words, its direction, a score
for ordering and, where there is one, the place on the slide to look at first. A flag says "look again", never "wrong".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.domain import FlagDirection, FlagKind, ReadCategory, Region, SlideStatus
from core.settings import FlagSettings


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
    model: str = ""
    weights_sha256: str = ""
    overridden: bool = False
    """Whether somebody had the model run although it is not made for this slide."""


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """A case as the rules see it."""

    read: ReadCategory | None
    """The recorded diagnosis that counts, or None while there is none."""
    slides: tuple[SlideEvidence, ...]

    @property
    def called(self) -> tuple[SlideEvidence, ...]:
        """Slides with a result, most suspicious first (by distance from their own threshold)."""
        with_score = [slide for slide in self.slides if slide.score is not None]
        return tuple(sorted(with_score, key=margin, reverse=True))


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason to look again."""

    kind: FlagKind
    direction: FlagDirection
    reason: str
    score: float
    """0-1; orders flags of one kind. For disagreement the distance between the score and the threshold."""
    slide_id: str | None
    location: Region | None
    """Where to look first, level-0 pixels."""
    rule_version: str
    model: str = ""
    weights_sha256: str = ""


Rule = Callable[[CaseEvidence, FlagSettings], tuple[Flag, ...]]


def case_flags(evidence: CaseEvidence, settings: FlagSettings) -> tuple[Flag, ...]:
    """Apply every rule to a case, in the order of `RULES`."""
    return tuple(flag for rule in RULES for flag in rule(evidence, settings))


def margin(slide: SlideEvidence) -> float:
    """Distance of a slide's score from its threshold, -1 to 1: the share of the room on that side of the threshold."""
    if slide.score is None:
        raise ValueError(f"Slide {slide.slide_id} has no score.")
    room = (1 - slide.threshold) if slide.score >= slide.threshold else slide.threshold
    return (slide.score - slide.threshold) / room if room > 0 else 0.0


def model_higher(evidence: CaseEvidence, settings: FlagSettings) -> tuple[Flag, ...]:
    """Read as benign, but the model calls at least one slide clearly: possible missed disease."""
    if evidence.read is not ReadCategory.BENIGN or not evidence.called:
        return ()
    worst = evidence.called[0]
    if not _clearly_above(worst, settings):
        return ()
    reason = f"Read as benign; the model scores {worst.positive} at {_call(worst)}."
    return (_flag(FlagKind.MODEL_HIGHER, FlagDirection.HIGHER, reason, worst, settings, score=abs(margin(worst))),)


def model_lower(evidence: CaseEvidence, settings: FlagSettings) -> tuple[Flag, ...]:
    """Read as malignant, but the model clearly finds it on no slide, and every slide has a result."""
    if evidence.read is not ReadCategory.MALIGNANT or not evidence.called:
        return ()
    worst = evidence.called[0]
    if len(evidence.called) < len(evidence.slides) or not _clearly_below(worst, settings):
        return ()
    reason = f"Read as malignant; the model's highest score for {worst.positive} is {_call(worst)}."
    return (_flag(FlagKind.MODEL_LOWER, FlagDirection.LOWER, reason, worst, settings, score=abs(margin(worst))),)


def other_category(evidence: CaseEvidence, settings: FlagSettings) -> tuple[Flag, ...]:
    """Read as indeterminate, while the model is clear: a second reader may settle it."""
    if evidence.read is not ReadCategory.INDETERMINATE or not evidence.called:
        return ()
    worst = evidence.called[0]
    above = _clearly_above(worst, settings)
    if not above and not _clearly_below(worst, settings):
        return ()
    direction = FlagDirection.HIGHER if above else FlagDirection.LOWER
    reason = f"Read as indeterminate; the model scores {worst.positive} at {_call(worst)}."
    return (_flag(FlagKind.OTHER_CATEGORY, direction, reason, worst, settings, score=abs(margin(worst))),)


def abstained(evidence: CaseEvidence, settings: FlagSettings) -> tuple[Flag, ...]:
    """The case's decisive score lies so near its threshold that it is no call in either direction."""
    if not evidence.called:
        return ()
    worst = evidence.called[0]
    if not _near(worst, settings):
        return ()
    reason = f"The model makes no call: {worst.positive} at {_call(worst)}, within {settings.abstain_band:g} of it."
    return (_flag(FlagKind.ABSTAINED, FlagDirection.NONE, reason, worst, settings, score=1 - abs(margin(worst))),)


def qc_limited(evidence: CaseEvidence, settings: FlagSettings) -> tuple[Flag, ...]:
    """Artefact covers more of the tissue that carries a slide's call than the limit allows."""
    return tuple(
        _flag(
            FlagKind.QC_LIMITED,
            FlagDirection.NONE,
            f"{slide.carrying_artefact:.0%} of the tissue that carries the call on {slide.slide_id} is artefact "
            f"(limit {settings.qc_limit:.0%}).",
            slide,
            settings,
            score=slide.carrying_artefact,
        )
        for slide in evidence.slides
        if slide.carrying_artefact is not None and slide.carrying_artefact > settings.qc_limit
    )


def no_result(evidence: CaseEvidence, settings: FlagSettings) -> tuple[Flag, ...]:
    """A slide without a result is said so; it never counts as negative."""
    return tuple(
        _flag(
            FlagKind.NO_RESULT,
            FlagDirection.NONE,
            f"{slide.slide_id} has no result ({slide.status.value.replace('_', ' ')}): {slide.message}",
            slide,
            settings,
            score=1.0,
        )
        for slide in evidence.slides
        if slide.status is not SlideStatus.OK
    )


RULES: tuple[Rule, ...] = (model_higher, model_lower, other_category, abstained, qc_limited, no_result)


def _clearly_above(slide: SlideEvidence, settings: FlagSettings) -> bool:
    return margin(slide) >= 0 and not _near(slide, settings)


def _clearly_below(slide: SlideEvidence, settings: FlagSettings) -> bool:
    return margin(slide) < 0 and not _near(slide, settings)


def _near(slide: SlideEvidence, settings: FlagSettings) -> bool:
    return slide.score is not None and abs(slide.score - slide.threshold) < settings.abstain_band


def _call(slide: SlideEvidence) -> str:
    unfit = ", run although the model is not made for this slide" if slide.overridden else ""
    return f"{slide.score:.2f} on {slide.slide_id} (threshold {slide.threshold:.2f}{unfit})"


def _flag(
    kind: FlagKind,
    direction: FlagDirection,
    reason: str,
    slide: SlideEvidence,
    settings: FlagSettings,
    *,
    score: float,
) -> Flag:
    return Flag(
        kind=kind,
        direction=direction,
        reason=reason,
        score=score,
        slide_id=slide.slide_id,
        location=slide.peak,
        rule_version=settings.version,
        model=slide.model,
        weights_sha256=slide.weights_sha256,
    )
