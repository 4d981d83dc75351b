"""Rule sets: draft one, see on the cohort what it would change, activate it with a reason, and apply it.

Drafting changes nothing. Activating is an event with a reason; from then on every evaluation carries the new version,
and `apply_rules`, or the worker at its next turn, evaluates the cases that were judged by another.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.domain import FlagKind, ReadCategory
from core.errors import ConflictError, InputError, NotFoundError
from core.flags import CaseEvidence, case_flags, disagreement_probability, system_probability
from core.roles import Permission
from core.rules import ANY, RuleSet, Threshold, parse_rules, rules_text
from core.services.cases.visibility import blinds_of
from core.services.consultations.answers import plain_text
from core.services.people.authority import ActorKind, kind_of, require, require_now
from core.services.rules.evidence import evidence_of
from core.services.rules.flagging import cases_due, refresh_flags
from core.services.rules.rule_sets import RuleChange, RuleSetState, active_rules, built_in, changes_in, states_in
from core.settings import Settings
from core.store.connection import Log, open_log, reading, writing
from core.store.events import Action, append_event, rules_entity
from core.store.summary_lists import hidden_unread
from core.triage import threshold_for_capacity

__all__ = [
    "ANY",
    "CaseChange",
    "RuleChange",
    "RuleSet",
    "RulesPreview",
    "RuleSetState",
    "Threshold",
    "activate_rules",
    "apply_rules",
    "draft_rules",
    "list_rules",
    "parse_rules",
    "preview_rules",
    "rule_history",
    "rules_text",
]

SIZE_LIMIT = 100_000
"""Characters of a rule set."""
_AT_ONCE = 500
"""Cases whose evidence is in memory together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChange:
    """A case on which two rule sets differ."""

    case_id: str
    before: frozenset[FlagKind]
    after: frozenset[FlagKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesPreview:
    """What a rule set would change on the cohort as it stands."""

    rules: RuleSet
    """With its capacities turned into probabilities."""
    compared_with: str
    """Version of the rule set that counts now."""
    cases: int
    """Cases compared."""
    hidden: int
    """Cases left out because the person may not see the model's result on them now."""
    flagged_before: int
    flagged_after: int
    before: Mapping[FlagKind, int]
    """Cases with a flag of each kind."""
    after: Mapping[FlagKind, int]
    entering: tuple[CaseChange, ...]
    """Cases that would become flagged."""
    leaving: tuple[CaseChange, ...]
    """Cases that would no longer be flagged."""
    changed: tuple[CaseChange, ...]
    """Cases flagged either way, for other kinds."""


def list_rules(settings: Settings) -> tuple[RuleSetState, ...]:
    """Return every rule set, the built-in one first, then in the order they were drafted."""
    with open_log(settings) as database, reading(database):
        return tuple(states_in(database, settings).values())


def rule_history(settings: Settings) -> tuple[RuleChange, ...]:
    """Return every draft and activation of a rule set, the latest first."""
    with open_log(settings) as database, reading(database):
        return changes_in(database)[::-1]


def draft_rules(settings: Settings, text: str, *, actor: str) -> RuleSetState:
    """Keep a rule set under its version, without using it.

    Raises:
        NotAllowedError: the actor may not change rules.
        InputError: it is no usable rule set; the sentence names every problem.
        ConflictError: another rule set bears the same version.
    """
    rules = _checked(text)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_RULES)
        known = states_in(database, settings).get(rules.version)
        if known is not None:
            if known.text == text:
                return known
            raise ConflictError(f"There is another rule set of version {rules.version}. Give this one a new version.")
        payload = {"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        entity = rules_entity(rules.version)
        append_event(database, Action.RULES_DRAFTED, entity=entity, actor=actor, payload=payload)
        return states_in(database, settings)[rules.version]


def preview_rules(settings: Settings, text: str, *, actor: str) -> RulesPreview:
    """Say which cases a rule set would flag and which it would let go, without keeping anything.

    Cases on which the model's result is hidden from the actor are left out: a change would tell of it.

    Raises:
        NotAllowedError: the actor may not change rules.
        InputError: it is no usable rule set, or a capacity cannot be settled on this cohort.
    """
    draft = _checked(text)
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.MANAGE_RULES)
        now = active_rules(database, settings)
        rules = settle(draft, database)
        hidden = _hidden(database, actor)
        compared = [
            CaseChange(case_id=case_id, before=_kinds(one, now), after=_kinds(one, rules))
            for case_id, one in _cohort(database)
            if case_id not in hidden
        ]
    changes = [one for one in compared if one.before != one.after]
    return RulesPreview(
        rules=rules,
        compared_with=now.version,
        cases=len(compared),
        hidden=len(hidden),
        flagged_before=sum(bool(one.before) for one in compared),
        flagged_after=sum(bool(one.after) for one in compared),
        before=Counter(kind for one in compared for kind in one.before),
        after=Counter(kind for one in compared for kind in one.after),
        entering=tuple(one for one in changes if not one.before),
        leaving=tuple(one for one in changes if not one.after),
        changed=tuple(one for one in changes if one.before and one.after),
    )


def activate_rules(
    settings: Settings, version: str, *, reason: str, expected: str | None = None, actor: str
) -> RuleSetState:
    """Let a rule set count from now on; capacities become probabilities on the cohort as it stands, for good.

    Args:
        settings: Names the home folder.
        version: Of a rule set that was drafted, or the built-in one.
        reason: Why.
        expected: The version that the page showed as active; None where there is no page.
        actor: Who decides it.

    Raises:
        NotAllowedError: the actor may not change rules.
        NotFoundError: there is no such rule set.
        InputError: no reason is given, or a capacity cannot be settled on this cohort.
        ConflictError: another rule set was activated since the page was shown.
    """
    why = plain_text(reason, what="A reason", needed=True)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_RULES)
        known = states_in(database, settings)
        if version not in known:
            raise NotFoundError(f"There is no rule set {version!r}. There are {', '.join(known)}.")
        now = active_rules(database, settings).version
        if expected is not None and expected != now:
            raise ConflictError(f"The rule set {now} counts by now; the page still showed {expected}. Reload it.")
        drafted = parse_rules(known[version].text) if known[version].text else built_in(settings)
        settled = settle(drafted, database)
        payload = {
            "reason": why,
            "before": now,
            "settled": rules_text(settled) if known[version].text else None,
        }
        append_event(database, Action.RULES_ACTIVATED, entity=rules_entity(version), actor=actor, payload=payload)
        return states_in(database, settings)[version]


def apply_rules(settings: Settings, *, limit: int | None = None, actor: str) -> int:
    """Evaluate the cases whose flags are behind, each in a transaction of its own; return how many were left.

    Args:
        settings: Names the home folder.
        limit: At most so many; None = all.
        actor: Who has it done.

    Raises:
        NotAllowedError: the actor may not do this.
    """
    require_now(settings, actor, Permission.REFRESH_FLAGS)
    due = cases_due(settings)
    now = due if limit is None else due[:limit]
    for case_id in now:
        refresh_flags(settings, case_id, actor=actor)
    return len(due) - len(now)


def settle(rules: RuleSet, database: Log) -> RuleSet:
    """Return a rule set whose capacities are probabilities, judged on the cohort; call inside a transaction.

    Raises:
        InputError: no case can say which probability a capacity means.
    """
    if not any(one.by_capacity for one in rules.thresholds):
        return rules
    found: dict[Threshold, list[float]] = {one: [] for one in rules.thresholds if one.by_capacity}
    for _, evidence in _cohort(database):
        for threshold, probability in _judged(evidence, rules):
            if threshold in found:
                found[threshold].append(probability)
    return replace(rules, thresholds=tuple(_settled(one, found.get(one)) for one in rules.thresholds))


def _settled(one: Threshold, past: list[float] | None) -> Threshold:
    if past is None or one.reviews_a_day is None or one.cases_a_day is None:
        return one
    if not past:
        raise InputError(
            f"No case with a read and a result of model {one.model} and scheme {one.scheme} says which probability "
            f"{one.reviews_a_day:g} reviews a day mean. Give a cost or a probability instead."
        )
    scores = np.array(past)
    limit = threshold_for_capacity(scores, reviews_a_day=one.reviews_a_day, cases_a_day=one.cases_a_day)
    # None: not even the most probable ones fit, so only certainty is flagged.
    return replace(one, from_probability=1.0 if limit is None else limit)


def _judged(evidence: CaseEvidence, rules: RuleSet) -> Iterator[tuple[Threshold | None, float]]:
    """Yield every probability of a difference on a case with the threshold that decides on it."""
    scheme = evidence.scheme.name if evidence.scheme else None
    own = disagreement_probability(evidence)
    if own is not None:
        yield rules.threshold_for(model=evidence.called[0].model, scheme=scheme), own
    if evidence.read not in (None, ReadCategory.INDETERMINATE):
        for system in evidence.systems:
            if system.category is not None:
                yield rules.threshold_for(model=system.system, scheme=scheme), system_probability(evidence, system)


def _cohort(database: Log) -> Iterator[tuple[str, CaseEvidence]]:
    names = [case_id for (case_id,) in database.conn.execute("SELECT case_id FROM cases ORDER BY case_id")]
    for start in range(0, len(names), _AT_ONCE):
        yield from evidence_of(database, names[start : start + _AT_ONCE]).items()


def _hidden(database: Log, actor: str) -> frozenset[str]:
    """Return the cases on which the model's result is hidden from an actor."""
    if kind_of(actor) is not ActorKind.PERSON:
        return frozenset()
    return hidden_unread(database, actor=actor) | frozenset(blinds_of(database, actor=actor))


def _kinds(evidence: CaseEvidence, rules: RuleSet) -> frozenset[FlagKind]:
    return frozenset(flag.kind for flag in case_flags(evidence, rules))


def _checked(text: str) -> RuleSet:
    if len(text) > SIZE_LIMIT:
        raise InputError(f"The rule set has more than {SIZE_LIMIT:,} characters.")
    return parse_rules(text)
