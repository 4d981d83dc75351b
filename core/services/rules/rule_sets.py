"""Which rule set counts: rule sets live in the log, in the events that draft and activate them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from core.rules import RuleSet, parse_rules
from core.settings import Settings
from core.store.connection import Log
from core.store.events import Action, events_of_kind, rules_entity


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetState:
    """A rule set and what became of it."""

    rules: RuleSet
    text: str
    """As it was drafted; empty for the built-in one."""
    active: bool
    drafted_by: str | None
    drafted_at: datetime | None
    activated_by: str | None = None
    activated_at: datetime | None = None
    """The last time; None = never."""
    reason: str = ""
    """Why it was activated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """One thing that was done with a rule set."""

    version: str
    activated: bool
    """False = drafted."""
    by: str
    at: datetime
    reason: str = ""
    before: str = ""
    """The set that counted until then."""


def changes_in(database: Log) -> tuple[RuleChange, ...]:
    """Return every draft and activation in the order they happened; inside a transaction."""
    return tuple(
        RuleChange(
            version=event.entity.removeprefix(rules_entity("")),
            activated=event.action == Action.RULES_ACTIVATED,
            by=event.actor,
            at=event.at_utc,
            reason=str(event.payload.get("reason", "")),
            before=str(event.payload.get("before", "")),
        )
        for event in events_of_kind(database, "rules")
    )


def built_in(settings: Settings) -> RuleSet:
    """Return the rule set that counts until another is activated."""
    flags = settings.flags
    return RuleSet(version=flags.version, title="Built in", abstain_band=flags.abstain_band, qc_limit=flags.qc_limit)


def states_in(database: Log, settings: Settings) -> Mapping[str, RuleSetState]:
    """Return every rule set by its version, the built-in one first; inside a transaction."""
    own = built_in(settings)
    found = {
        own.version: RuleSetState(rules=own, text="", active=True, drafted_by=None, drafted_at=None),
    }
    active = own.version
    for event in events_of_kind(database, "rules"):
        version = event.entity.removeprefix(rules_entity(""))
        if event.action == Action.RULES_DRAFTED:
            text = str(event.payload["text"])
            rules = parse_rules(text)
            found[version] = RuleSetState(
                rules=rules, text=text, active=False, drafted_by=event.actor, drafted_at=event.at_utc
            )
        else:
            active = version
            # A capacity became a probability on the cohort of that day; the event keeps what it became.
            settled = event.payload.get("settled")
            rules = parse_rules(str(settled)) if settled else found[version].rules
            found[version] = replace(
                found[version],
                rules=rules,
                activated_by=event.actor,
                activated_at=event.at_utc,
                reason=str(event.payload["reason"]),
            )
    return {version: replace(state, active=version == active) for version, state in found.items()}


def active_rules(database: Log, settings: Settings) -> RuleSet:
    """Return the rule set that counts now, inside a transaction."""
    return next(state.rules for state in states_in(database, settings).values() if state.active)
