"""A flag as a value."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain import FlagDirection, FlagKind, Region
from core.flags.evidence import SlideEvidence
from core.rules import RuleSet
from core.schemes import Severity


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason to look again."""

    kind: FlagKind
    direction: FlagDirection
    reason: str
    score: float
    """0-1; orders flags of one kind. For disagreement with the model the distance between score and threshold."""
    slide_id: str | None
    location: Region | None
    """Where to look first, level-0 pixels."""
    rule_version: str
    model: str = ""
    weights_sha256: str = ""
    severity: Severity | None = None
    """What the difference means by the scheme of the read; None where there is no read to differ from."""


def slide_flag(
    kind: FlagKind,
    slide: SlideEvidence,
    rules: RuleSet,
    *,
    direction: FlagDirection = FlagDirection.NONE,
    reason: str,
    score: float,
    severity: Severity | None = None,
) -> Flag:
    """Return a flag about a slide, with its place and model."""
    return Flag(
        kind=kind,
        direction=direction,
        reason=reason,
        score=score,
        slide_id=slide.slide_id,
        location=slide.peak,
        rule_version=rules.version,
        model=slide.model,
        weights_sha256=slide.weights_sha256,
        severity=severity,
    )
