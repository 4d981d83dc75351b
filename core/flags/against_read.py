"""Model against read, with direction and severity by scheme; and the model that makes no call."""

from __future__ import annotations

from core.domain import FlagDirection, FlagKind, ReadCategory
from core.flags.evidence import CaseEvidence, SlideEvidence, SystemCall, disagreement_probability, margin
from core.flags.flag import Flag, slide_flag
from core.rules import RuleSet
from core.schemes import INDETERMINATE, Scheme, Severity


def model_higher(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Read as benign, but the model calls at least one slide clearly: possible missed disease."""
    if evidence.read is not ReadCategory.BENIGN or not evidence.called:
        return ()
    worst = evidence.called[0]
    why = _enough(evidence, worst, rules, clear=clearly_above(worst, rules))
    if why is None:
        return ()
    reason = f"Read as benign; the model scores {worst.positive} at {_call(worst)}.{why}"
    return (_against(FlagKind.MODEL_HIGHER, FlagDirection.HIGHER, evidence, rules, reason=reason),)


def model_lower(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Read as malignant, but the model clearly finds it on no slide, and every slide has a result."""
    if evidence.read is not ReadCategory.MALIGNANT or not evidence.called or not evidence.complete:
        return ()
    worst = evidence.called[0]
    why = _enough(evidence, worst, rules, clear=clearly_below(worst, rules))
    if why is None:
        return ()
    reason = f"Read as malignant; the model's highest score for {worst.positive} is {_call(worst)}.{why}"
    return (_against(FlagKind.MODEL_LOWER, FlagDirection.LOWER, evidence, rules, reason=reason),)


def other_category(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Read as indeterminate, while the model is clear: a second reader may settle it."""
    if evidence.read is not ReadCategory.INDETERMINATE or not evidence.called:
        return ()
    worst = evidence.called[0]
    above = clearly_above(worst, rules)
    if not above and not clearly_below(worst, rules):
        return ()
    direction = FlagDirection.HIGHER if above else FlagDirection.LOWER
    reason = f"Read as indeterminate; the model scores {worst.positive} at {_call(worst)}."
    score = abs(margin(worst))
    return (slide_flag(FlagKind.OTHER_CATEGORY, worst, rules, direction=direction, reason=reason, score=score),)


def abstained(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """No call in either direction: the score lies too near its threshold, or several labels stay possible."""
    if not evidence.called:
        return ()
    worst = evidence.called[0]
    if near(worst, rules):
        reason = f"The model makes no call: {worst.positive} at {_call(worst)}, within {rules.abstain_band:g} of it."
        score = 1 - abs(margin(worst))
        return (slide_flag(FlagKind.ABSTAINED, worst, rules, reason=reason, score=score),)
    if worst.labels is not None and len(worst.labels) > 1:
        labels = " or ".join(worst.labels)
        reason = f"The model is undecided on {worst.slide_id}: {labels} ({worst.calibration})."
        score = 1 - abs(margin(worst))
        return (slide_flag(FlagKind.ABSTAINED, worst, rules, reason=reason, score=score),)
    return ()


def systems_against_read(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Another system's prediction against the read, in the scheme of the read where both use it."""
    found = (_system_flag(evidence, system, rules) for system in evidence.systems)
    return tuple(flag for flag in found if flag is not None)


def system_probability(evidence: CaseEvidence, system: SystemCall) -> float:
    """Return how probable it is, by another system, that a second look differs from the read: 1 - p(what was read).

    1 where the system gives no probability of that category.
    """
    known = system.probabilities.get(evidence.code or "")
    return 1.0 if known is None else 1 - known


def call_severity(scheme: Scheme | None, code: str | None, called: ReadCategory) -> Severity:
    """Return what it means if a read turns out to be of another category: the least of the severities that fit.

    The model says benign or malignant only, so the mildest difference it could mean is taken. Without a scheme, and
    where the scheme has no such category, benign against malignant is major.
    """
    if scheme is None or code is None or code == INDETERMINATE:
        return Severity.MAJOR
    fitting = [one.code for one in scheme.categories if one.read is called]
    severities = [scheme.severity(code, other) for other in fitting]
    return min((one for one in severities if one is not None), key=lambda one: one.rank, default=Severity.MAJOR)


def clearly_above(slide: SlideEvidence, rules: RuleSet) -> bool:
    """Say whether a slide is called, and not only just."""
    return margin(slide) >= 0 and not near(slide, rules)


def clearly_below(slide: SlideEvidence, rules: RuleSet) -> bool:
    """Say whether a slide is not called, and not only just."""
    return margin(slide) < 0 and not near(slide, rules)


def near(slide: SlideEvidence, rules: RuleSet) -> bool:
    """Say whether a slide's score lies within the abstention band."""
    return slide.score is not None and abs(slide.score - slide.threshold) < rules.abstain_band


def _enough(evidence: CaseEvidence, slide: SlideEvidence, rules: RuleSet, *, clear: bool) -> str | None:
    """Return "" or a sentence about the limit if the disagreement is worth a flag, else None."""
    limit = rules.threshold_for(model=slide.model, scheme=evidence.scheme.name if evidence.scheme else None)
    if limit is None or limit.probability is None:
        return "" if clear else None
    probability = disagreement_probability(evidence)
    if probability is None or probability < limit.probability:
        return None
    return f" Probability of a difference {probability:.2f}, limit {limit.probability:.2f} ({limit.words})."


def _against(kind: FlagKind, direction: FlagDirection, evidence: CaseEvidence, rules: RuleSet, *, reason: str) -> Flag:
    worst = evidence.called[0]
    called = ReadCategory.MALIGNANT if direction is FlagDirection.HIGHER else ReadCategory.BENIGN
    severity = call_severity(evidence.scheme, evidence.code, called)
    score = abs(margin(worst))
    return slide_flag(kind, worst, rules, direction=direction, reason=reason, score=score, severity=severity)


def _system_flag(evidence: CaseEvidence, system: SystemCall, rules: RuleSet) -> Flag | None:
    if evidence.read is None or evidence.read is ReadCategory.INDETERMINATE:
        return None
    steps, severity = _difference(evidence, system)
    if not steps or severity is Severity.NONE:
        return None
    known = system.probabilities.get(evidence.code or "")
    probability = system_probability(evidence, system)
    limit = rules.threshold_for(model=system.system, scheme=evidence.scheme.name if evidence.scheme else None)
    if limit is not None and limit.probability is not None and probability < limit.probability:
        return None
    said = system.code or (system.category.value if system.category else "")
    read = evidence.code or evidence.read.value
    told = "" if known is None else f" (probability of {read}: {known:.2f})"
    return Flag(
        kind=FlagKind.MODEL_HIGHER if steps > 0 else FlagKind.MODEL_LOWER,
        direction=FlagDirection.HIGHER if steps > 0 else FlagDirection.LOWER,
        reason=f"Read as {read}; {system.system} says {said}{told}.",
        score=probability,
        slide_id=None,
        location=None,
        rule_version=rules.version,
        model=system.system,
        severity=severity,
    )


def _difference(evidence: CaseEvidence, system: SystemCall) -> tuple[int, Severity]:
    """Return by how many steps a system's call is more severe than the read, and what that means; 0 = not at all."""
    scheme, code = evidence.scheme, evidence.code
    if scheme is not None and code is not None and system.code is not None:
        return scheme.distance(code, system.code) or 0, scheme.severity(code, system.code) or Severity.NONE
    if system.category is None or system.category is ReadCategory.INDETERMINATE or system.category is evidence.read:
        return 0, Severity.NONE
    steps = 1 if system.category is ReadCategory.MALIGNANT else -1
    return steps, call_severity(scheme, code, system.category)


def _call(slide: SlideEvidence) -> str:
    unfit = ", run although the model is not made for this slide" if slide.overridden else ""
    return f"{slide.score:.2f} on {slide.slide_id} (threshold {slide.threshold:.2f}{unfit})"
