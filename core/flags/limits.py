"""What limits a result: artefact on what carries the call, a slide unlike the calibration, no result at all."""

from __future__ import annotations

from core.domain import FlagKind, SlideStatus
from core.flags.evidence import CaseEvidence
from core.flags.flag import Flag, slide_flag
from core.rules import RuleSet


def qc_limited(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Artefact covers more of the tissue that carries a slide's call than the limit allows."""
    return tuple(
        slide_flag(
            FlagKind.QC_LIMITED,
            slide,
            rules,
            reason=f"{slide.carrying_artefact:.0%} of the tissue that carries the call on {slide.slide_id} is artefact "
            f"(limit {rules.qc_limit:.0%}).",
            score=slide.carrying_artefact,
        )
        for slide in evidence.slides
        if slide.carrying_artefact is not None and slide.carrying_artefact > rules.qc_limit
    )


def out_of_distribution(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """A slide is unlike the calibration cases of every class: no label stays in its set."""
    return tuple(
        slide_flag(
            FlagKind.OUT_OF_DISTRIBUTION,
            slide,
            rules,
            reason=f"{slide.slide_id} is unlike the calibration cases of every class ({slide.calibration}).",
            score=1.0,
        )
        for slide in evidence.called
        if slide.labels == ()
    )


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
