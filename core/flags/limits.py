"""What limits a result: artefact on what carries the call, a slide unlike the calibration, no result at all."""

from __future__ import annotations

from core.domain import FlagKind, SlideStatus
from core.flags.evidence import CaseEvidence, SlideEvidence
from core.flags.flag import Flag, slide_flag
from core.rules import RuleSet

MAX_SHIFT = 0.10
"""How far a slide's score may move when the artefact is left out, before the result is limited."""


def qc_limited(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Artefact limits a slide's result.

    It covers more of the tissue that carries the call than the limit allows, or the result differs without it.
    """
    found = ((slide, _limited_by(slide, rules)) for slide in evidence.slides)
    return tuple(
        slide_flag(FlagKind.QC_LIMITED, slide, rules, reason=" ".join(reasons), score=score)
        for slide, (reasons, score) in found
        if reasons
    )


def _limited_by(slide: SlideEvidence, rules: RuleSet) -> tuple[list[str], float]:
    """Return the reasons as sentences, and how strong the strongest is, 0-1."""
    reasons, score = list[str](), 0.0
    if slide.carrying_artefact is not None and slide.carrying_artefact > rules.qc_limit:
        score = slide.carrying_artefact
        reasons.append(
            f"{slide.carrying_artefact:.0%} of the tissue that carries the call on {slide.slide_id} is artefact "
            f"(limit {rules.qc_limit:.0%})."
        )
    shift = _shift(slide)
    if shift is not None:
        reasons.append(shift)
        score = max(score, abs((slide.score or 0.0) - (slide.score_without_artefact or 0.0)))
    return reasons, score


def _shift(slide: SlideEvidence) -> str | None:
    """Return what changes when the tiles that artefacts spoil are left out, or None if nothing worth a word does."""
    score, without = slide.score, slide.score_without_artefact
    if score is None or without is None:
        return None
    words = f"{score:.2f} to {without:.2f}"
    if (score >= slide.threshold) != (without >= slide.threshold):
        now = "no longer calls" if score >= slide.threshold else "would call"
        return f"Without the artefact area the model {now} {slide.positive} on {slide.slide_id} (score {words})."
    if abs(score - without) > MAX_SHIFT:
        return f"Without the artefact area the score of {slide.slide_id} moves by more than {MAX_SHIFT:g} ({words})."
    return None


def out_of_distribution(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """A slide is unlike the calibration cases of every class: no label stays in its set; or unlike usual slides."""
    found: list[Flag] = []
    for slide in evidence.called:
        empty = f"unlike the calibration cases of every class ({slide.calibration})" if slide.labels == () else ""
        strange = f"unlike the slides that {slide.model} is used on ({slide.unlike})" if slide.unlike else ""
        if empty or strange:
            reason = f"{slide.slide_id} is {' and '.join(one for one in (empty, strange) if one)}."
            found.append(slide_flag(FlagKind.OUT_OF_DISTRIBUTION, slide, rules, reason=reason, score=1.0))
    return tuple(found)


def no_result(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """A slide without a result is said so; it never counts as negative."""
    return tuple(
        slide_flag(
            FlagKind.NO_RESULT,
            slide,
            rules,
            reason=f"{slide.slide_id} has no result ({slide.status.value.replace('_', ' ')}): {slide.message}",
            score=1.0,
        )
        for slide in evidence.slides
        if slide.status is not SlideStatus.OK
    )
