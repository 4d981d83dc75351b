"""Bringing a case's flags up to date whenever a result arrives or a diagnosis is recorded."""

from __future__ import annotations

from datetime import UTC, datetime

from core.flags import Flag, case_flags
from core.roles import Permission
from core.rules import RuleSet
from core.services.cases.progress import note_arrivals
from core.services.people.authority import require
from core.services.rules.evidence import case_evidence
from core.services.rules.rule_sets import active_rules, built_in
from core.settings import Settings
from core.store.connection import Log, open_log, reading, writing
from core.store.records import FlagRecord
from core.store.results import cases_to_evaluate, save_flags


def refresh_flags(settings: Settings, case_id: str, *, actor: str) -> tuple[FlagRecord, ...]:
    """Apply the flag rules to a case as it stands and append the outcome; earlier evaluations stay in the log.

    Raises:
        NotFoundError: no such case.
        NotAllowedError: the actor may not do this.
        StorageError: the log cannot be written.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.REFRESH_FLAGS)
        return refresh_flags_in(database, settings, case_id, actor=actor)


def refresh_flags_in(database: Log, settings: Settings, case_id: str, *, actor: str) -> tuple[FlagRecord, ...]:
    """Do as `refresh_flags` inside the transaction of the change that makes it due."""
    rules = active_rules(database, settings)
    records = evaluated(database, case_id, rules)
    save_flags(database, case_id, records, rule_version=rules.version, actor=actor)
    note_arrivals(database, case_id, actor=actor)
    return records


def evaluated(database: Log, case_id: str, rules: RuleSet) -> tuple[FlagRecord, ...]:
    """Return the flags that a rule set raises on a case as it stands, without keeping them."""
    return tuple(record_of(flag) for flag in case_flags(case_evidence(database, case_id), rules))


def cases_due(settings: Settings) -> tuple[str, ...]:
    """Return the cases whose flags are not up to date: something newer is there, or other rules count by now."""
    with open_log(settings) as database, reading(database):
        version = active_rules(database, settings).version
        return cases_to_evaluate(database, rule_version=version, unnamed=built_in(settings).version)


def record_of(flag: Flag) -> FlagRecord:
    """Return a flag as it stands in the log."""
    place = flag.location
    return FlagRecord(
        kind=flag.kind,
        direction=flag.direction,
        reason=flag.reason,
        rule_version=flag.rule_version,
        created_at=datetime.now(UTC),
        score=flag.score,
        slide_id=flag.slide_id,
        x=place.x if place else None,
        y=place.y if place else None,
        width=place.width if place else None,
        height=place.height if place else None,
        model=flag.model or None,
        weights_sha256=flag.weights_sha256 or None,
        severity=flag.severity.value if flag.severity else None,
    )
