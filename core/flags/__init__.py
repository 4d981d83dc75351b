"""Why a case deserves a second pair of eyes: one small function for each rule.

A rule looks at a `CaseEvidence` and returns the flags it raises, each with its reason in words, its direction, a score
for ordering and, where there is one, the place on the slide to look at first. A flag says "look again", never "wrong".
"""

from __future__ import annotations

from collections.abc import Callable

from core.domain import FlagDirection, FlagKind
from core.flags.against_read import (
    abstained,
    model_higher,
    model_lower,
    other_category,
    system_probability,
    systems_against_read,
)
from core.flags.differing import aggregation_disagreement, model_disagreement, reader_disagreement
from core.flags.evidence import (
    AggregationCall,
    CaseEvidence,
    ModelCall,
    ReadEvidence,
    SlideEvidence,
    SystemCall,
    disagreement_probability,
    margin,
    margin_of,
)
from core.flags.flag import Flag
from core.flags.limits import no_result, out_of_distribution, qc_limited
from core.flags.sampling import is_drawn
from core.rules import RuleSet

__all__ = [
    "RULES",
    "AggregationCall",
    "CaseEvidence",
    "Flag",
    "ModelCall",
    "ReadEvidence",
    "SlideEvidence",
    "SystemCall",
    "case_flags",
    "disagreement_probability",
    "is_drawn",
    "margin",
    "margin_of",
    "system_probability",
]

Rule = Callable[[CaseEvidence, RuleSet], tuple[Flag, ...]]

RULES: tuple[Rule, ...] = (
    model_higher,
    model_lower,
    reader_disagreement,
    other_category,
    systems_against_read,
    model_disagreement,
    abstained,
    aggregation_disagreement,
    out_of_distribution,
    qc_limited,
    no_result,
)


def case_flags(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Apply every rule that is on, in the order of `RULES`; a case that none flags may be drawn for the audit."""
    raised = (flag for rule in RULES for flag in rule(evidence, rules))
    found = tuple(flag for flag in raised if flag.kind in rules.on)
    return found or _audit(evidence, rules)


def _audit(evidence: CaseEvidence, rules: RuleSet) -> tuple[Flag, ...]:
    """Flag a case that was drawn, by hand or by the rules, if it could have been flagged: read, with a result."""
    if FlagKind.AUDIT_SAMPLE not in rules.on or evidence.read is None or not evidence.called:
        return ()
    by_rule = is_drawn(evidence.case_id, share=rules.audit_share, seed=rules.audit_seed)
    if not (by_rule or evidence.drawn):
        return ()
    how = f"share {rules.audit_share:.1%}, seed {rules.audit_seed}" if by_rule else evidence.drawn
    return (
        Flag(
            kind=FlagKind.AUDIT_SAMPLE,
            direction=FlagDirection.NONE,
            reason=f"Drawn at random from the unflagged cases ({how}), to see what the rules miss.",
            score=0.0,
            slide_id=None,
            location=None,
            rule_version=rules.version,
        ),
    )
