"""Runs, flags and events without what a person may not see: see `core.services.cases.visibility`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.domain import FlagKind
from core.roles import SYSTEM
from core.services.analysis.aggregation_facts import AGGREGATORS, DECISION_CHOSEN, REFUSED
from core.services.cases.visibility import HIDDEN, Visibility
from core.store.events import Action
from core.store.people import name_key
from core.store.records import (
    CARRYING_ARTEFACT,
    CLASSES_PRESENT,
    WITHOUT_ARTEFACT,
    EventRecord,
    FlagRecord,
    RunRecord,
)
from core.vocabulary import COUNTING_ROLES, ReadRole

SAYS_NOTHING_OF_THE_CALL = frozenset({FlagKind.QC_LIMITED, FlagKind.NO_RESULT, FlagKind.AUDIT_SAMPLE})
"""Flags that may stand in a list although the model's result is hidden."""
BLINDED_MAY_SEE = frozenset({FlagKind.NO_RESULT})
"""A limit by quality names the tissue that carries the call, and an audit sample is drawn from unflagged cases."""

_OF_THE_MODEL = frozenset({Action.FLAGS_EVALUATED, Action.REVIEW_RECORDED, Action.CASE_STATE_CHANGED})
_OF_THE_CATALOGUE = frozenset(
    {
        *(Action.CASE_ADDED, Action.SLIDE_ADDED, Action.SLIDE_CHANGED, Action.RUN_SAVED),
        *(Action.JOB_QUEUED, Action.JOB_STARTED, Action.JOB_REQUEUED, Action.JOB_CANCEL_REQUESTED),
        *(Action.JOB_CANCELLED, Action.JOB_DONE, Action.JOB_FAILED),
    }
)
_OF_OTHERS = frozenset({Action.ANNOTATION_RECORDED, Action.ANNOTATION_REMOVED, Action.CASE_ASSIGNED})
_SETTINGS_OF_THE_RESULT = frozenset({CLASSES_PRESENT, AGGREGATORS, REFUSED, DECISION_CHOSEN, WITHOUT_ARTEFACT})
_OPEN_OF_A_RUN = ("run_id", "job_id", "model", "weights_sha256", "status")
"""What an event may tell of a run whose result is hidden."""


def shown_flags(flags: Iterable[FlagRecord], seen: Visibility) -> tuple[FlagRecord, ...]:
    """Return the flags that may be shown; where the model is hidden, without a place: it is the model's."""
    if seen.flags:
        return tuple(flags)
    allowed = BLINDED_MAY_SEE if seen.is_blinded else SAYS_NOTHING_OF_THE_CALL
    return tuple(replace(flag, x=None, y=None, width=None, height=None) for flag in flags if flag.kind in allowed)


def shown_run(run: RunRecord, seen: Visibility) -> RunRecord:
    """Return a run with its result only if that may be shown; what was measured of the slide always is."""
    if seen.model:
        return run
    qc = None if run.qc is None else {name: value for name, value in run.qc.items() if name != CARRYING_ARTEFACT}
    return replace(
        run,
        scores={},
        label=None,
        decision_aggregation=None,
        decision_score=None,
        peak=None,
        qc=qc,
        settings={name: value for name, value in run.settings.items() if name not in _SETTINGS_OF_THE_RESULT},
    )


def shown_events(events: Iterable[EventRecord], seen: Visibility, *, actor: str | None) -> list[EventRecord]:
    """Return the events that may be shown, without the names and payloads that may not.

    Their hashes stay those of the log, so that an excerpt still names its rows.
    """
    if actor is None or (seen.model and not seen.is_blinded):
        return list(events)
    return [_event(event, seen, actor=actor) for event in events if _may_see(event, seen, actor=actor)]


def _may_see(event: EventRecord, seen: Visibility, *, actor: str) -> bool:
    if not seen.is_blinded:
        return event.action not in _OF_THE_MODEL
    if event.action in _OF_THE_CATALOGUE:
        return True
    if event.action in _OF_THE_MODEL:
        return False
    if name_key(event.actor) == name_key(actor):
        return True
    if event.action == Action.DIAGNOSIS_RECORDED:
        role = ReadRole(str(event.payload.get("role", ReadRole.PRIMARY)))
        return seen.first_read and role in COUNTING_ROLES
    return seen.first_read and event.action in _OF_OTHERS


def _event(event: EventRecord, seen: Visibility, *, actor: str) -> EventRecord:
    payload = event.payload
    if event.action == Action.RUN_SAVED:
        payload = {name: payload[name] for name in _OPEN_OF_A_RUN if name in payload}
    known = seen.authors or event.actor == SYSTEM or name_key(event.actor) == name_key(actor)
    return replace(event, payload=payload, actor=event.actor if known else HIDDEN)
