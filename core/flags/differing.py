"""Reader against reader, model against model, aggregation against aggregation."""

from __future__ import annotations

from itertools import combinations

from core.discordance import Said, propose
from core.domain import FlagDirection, FlagKind, ReadCategory
from core.flags.against_read import clearly_above, clearly_below
from core.flags.evidence import CaseEvidence, SlideEvidence, margin_of
from core.flags.flag import Flag, slide_flag
from core.rules import RuleSet
from core.schemes import Scheme, Severity
from core.vocabulary import Discordance

_SEVERITIES = {
    Discordance.AGREEMENT: Severity.NONE,
    Discordance.MINOR: Severity.MINOR,
    Discordance.MAJOR: Severity.MAJOR,
}


def reader_disagreement(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Two readers differ; pairs that cannot be compared, or of whom one could not decide, say nothing."""
    differing: list[tuple[Severity, str]] = []
    compared = 0
    for first, second in combinations(evidence.reads, 2):
        severity = _SEVERITIES.get(
            propose(first.said, second.said, scheme=_shared(evidence, first.said, second.said)).discordance
        )
        if first.reader == second.reader or severity is None:
            continue
        compared += 1
        if severity is not Severity.NONE:
            told = f"{first.reader} reads {_word(first.said)}, {second.reader} {_word(second.said)}"
            differing.append((severity, told))
    if not differing:
        return ()
    severity, told = max(differing, key=lambda one: one[0].rank)
    more = f" {len(differing)} of {compared} pairs of readers differ." if compared > 1 else ""
    return (
        Flag(
            kind=FlagKind.READER_DISAGREEMENT,
            direction=FlagDirection.NONE,
            reason=f"{told} ({severity.value} difference).{more}",
            score=len(differing) / compared,
            slide_id=None,
            location=None,
            rule_version=rules.version,
            severity=severity,
        ),
    )


def model_disagreement(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Two models differ about a slide, both clearly; or the model and another system differ about the case."""
    slides = (_models_of_slide(slide, rules) for slide in evidence.called)
    systems = _systems_of_case(evidence, rules)
    return tuple(flag for flag in (*slides, *systems) if flag is not None)


def aggregation_disagreement(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """What decides a slide and another aggregation with a threshold of its own differ, both clearly."""
    found: list[Flag] = []
    for slide in evidence.called:
        against = [one for one in slide.aggregations if _opposed(slide, one.score, one.threshold, rules)]
        if against:
            told = ", ".join(f"{one.name} {one.score:.2f} (threshold {one.threshold:.2f})" for one in against)
            reason = f"On {slide.slide_id} the deciding score is {_score(slide)}, but {told}."
            score = max(abs(margin_of(one.score, one.threshold)) for one in against)
            found.append(slide_flag(FlagKind.AGGREGATION_DISAGREEMENT, slide, rules, reason=reason, score=score))
    return tuple(found)


def _models_of_slide(slide: SlideEvidence, rules: RuleSet) -> Flag | None:
    against = [one for one in slide.other_models if _opposed(slide, one.score, one.threshold, rules)]
    if not against:
        return None
    told = ", ".join(f"{one.model} {one.score:.2f} (threshold {one.threshold:.2f})" for one in against)
    reason = f"On {slide.slide_id} {slide.model} scores {_score(slide)}, but {told}."
    score = max(abs(margin_of(one.score, one.threshold)) for one in against)
    return slide_flag(FlagKind.MODEL_DISAGREEMENT, slide, rules, reason=reason, score=score)


def _systems_of_case(evidence: CaseEvidence, rules: RuleSet) -> list[Flag]:
    call = _call_of_case(evidence, rules)
    if call is None:
        return []
    worst = evidence.called[0]
    found: list[Flag] = []
    for system in evidence.systems:
        said = system.category
        if said is None or said is ReadCategory.INDETERMINATE or said is call:
            continue
        reason = (
            f"{worst.model} calls the case {call.value} ({_score(worst)} on {worst.slide_id}), "
            f"{system.system} calls it {said.value}."
        )
        score = abs(margin_of(worst.score or 0.0, worst.threshold))
        found.append(slide_flag(FlagKind.MODEL_DISAGREEMENT, worst, rules, reason=reason, score=score))
    return found


def _call_of_case(evidence: CaseEvidence, rules: RuleSet) -> ReadCategory | None:
    """Return what the model clearly says of the case; benign only if every slide has a result."""
    if not evidence.called:
        return None
    if clearly_above(evidence.called[0], rules):
        return ReadCategory.MALIGNANT
    return ReadCategory.BENIGN if clearly_below(evidence.called[0], rules) and evidence.complete else None


def _opposed(slide: SlideEvidence, score: float, threshold: float, rules: RuleSet) -> bool:
    """Say whether another score of a slide says clearly the opposite of the deciding one, which is clear too."""
    if abs(score - threshold) < rules.abstain_band:
        return False
    return clearly_below(slide, rules) if score >= threshold else clearly_above(slide, rules)


def _shared(evidence: CaseEvidence, first: Said, second: Said) -> Scheme | None:
    scheme = evidence.schemes.get(first.scheme or "") if first.scheme == second.scheme else None
    known = scheme is not None and {first.code, second.code} <= {*scheme.codes, "indeterminate"}
    return scheme if known else None


def _word(said: Said) -> str:
    return said.code or said.grade or said.category.value


def _score(slide: SlideEvidence) -> str:
    return f"{slide.score:.2f} (threshold {slide.threshold:.2f})"
