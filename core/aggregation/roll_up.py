"""From slides to a case: the slide that is worst carries it, and the case says which one, why, and what is missing.

A case is as suspicious as its most suspicious slide: a mean over slides would dilute one slide with disease among
several without, as a mean over tiles does within a slide. A slide without a result counts neither as negative nor as
positive; it is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NAMED = 4
"""So many slides without a result are named in the reason; of more, the number is given."""


@dataclass(frozen=True, slots=True)
class SlideScore:
    """The outcome of one slide of a case."""

    slide_id: str
    score: float | None
    """Of the target class under the rule that decided, 0-1; None without a result."""
    threshold: float | None = None
    """Score from which the target is called on this slide."""
    why_none: str = ""
    """Why there is no score, in a few words."""

    @property
    def margin(self) -> float:
        """Distance from the slide's own threshold, -1 to 1: the share of the room on that side of it.

        Comparable between slides that were analysed by different models. Without a threshold nothing is called.
        """
        threshold = 1.0 if self.threshold is None else self.threshold
        score = 0.0 if self.score is None else self.score
        room = 1 - threshold if score >= threshold else threshold
        return (score - threshold) / room if room > 0 else 0.0


@dataclass(frozen=True, slots=True)
class CaseScore:
    """A case, rolled up from its slides."""

    slide_id: str | None
    """The slide that carries the case; None if no slide has a result."""
    score: float | None
    threshold: float | None
    reason: str
    """Why it is this slide, and which slides have no result: one or two sentences."""
    with_result: int
    without_result: tuple[tuple[str, str], ...]
    """(slide id, why) of every slide that has no score."""

    @property
    def missing(self) -> str:
        """Sentence that names the slides without a result; empty if there is none."""
        return _without(self.without_result)

    @property
    def complete(self) -> bool:
        """Whether every slide of the case has a result; only then may the case be called negative."""
        return self.with_result > 0 and not self.without_result


def roll_up(slides: Sequence[SlideScore]) -> CaseScore:
    """Return what the slides of a case say together: the one furthest above, or least below, its own threshold.

    Of slides equally far the one with the higher score carries the case, then the one listed first. With one threshold
    for all slides this is the slide with the highest score.
    """
    scored = [slide for slide in slides if slide.score is not None]
    missing = tuple((slide.slide_id, slide.why_none) for slide in slides if slide.score is None)
    if not scored:
        return CaseScore(None, None, None, _none(missing), 0, missing)
    worst = max(scored, key=lambda slide: (slide.margin, slide.score))
    reason = " ".join(filter(None, (_why(worst, count=len(scored)), _without(missing))))
    return CaseScore(worst.slide_id, worst.score, worst.threshold, reason, len(scored), missing)


def _why(worst: SlideScore, *, count: int) -> str:
    score = f"{worst.score:.2f}"
    if worst.threshold is None:
        return f"{worst.slide_id} carries the case: its score of {score} is the highest of {count} with a result."
    threshold = f"threshold {worst.threshold:.2f}"
    if count == 1:
        return f"{worst.slide_id} carries the case: the only slide with a result, score {score}, {threshold}."
    if worst.margin >= 0:
        return (
            f"{worst.slide_id} carries the case: its score of {score} lies furthest above its {threshold}, "
            f"of {count} slides with a result."
        )
    return (
        f"{worst.slide_id} carries the case: none of {count} slides with a result reaches its threshold, and this one "
        f"comes nearest (score {score}, {threshold})."
    )


def _none(missing: tuple[tuple[str, str], ...]) -> str:
    return " ".join(filter(None, ("No slide of this case has a result.", _without(missing))))


def _without(missing: tuple[tuple[str, str], ...]) -> str:
    if not missing:
        return ""
    named = [f"{slide_id} ({why})" if why else slide_id for slide_id, why in missing[:_NAMED]]
    more = [f"{len(missing) - _NAMED} more"] if len(missing) > _NAMED else []
    return f"Without a result, and so neither negative nor positive: {', '.join(named + more)}."
