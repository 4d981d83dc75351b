"""The event log: a chain in which every row carries the hash of the row before it.

hash = SHA-256(prev_hash + "|" + canonical JSON of {seq, at_utc, actor, action, entity, payload}), as audit-trail rules
such as 21 CFR 11.10(e) ask that a change cannot hide an earlier entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import cast

from sqlite_utils import Database

from core.errors import ConflictError, NotFoundError
from core.store.records import EventRecord, Json
from core.store.values import canonical_json, json_object, quoted, time_of, time_text, utc_now

GENESIS = "0" * 64
"""prev_hash of the first event."""

COLUMNS = "seq, at_utc, actor, action, entity, payload, prev_hash, hash"


class Action(StrEnum):
    """What happened."""

    CASE_ADDED = "case.added"
    CASE_ASSIGNED = "case.assigned"
    SLIDE_ADDED = "slide.added"
    SLIDE_CHANGED = "slide.changed"
    JOB_QUEUED = "job.queued"
    JOB_STARTED = "job.started"
    JOB_REQUEUED = "job.requeued"
    JOB_CANCEL_REQUESTED = "job.cancel_requested"
    JOB_CANCELLED = "job.cancelled"
    JOB_DONE = "job.done"
    JOB_FAILED = "job.failed"
    OVERRIDE_GIVEN = "override.given"
    RUN_SAVED = "run.saved"
    FLAGS_EVALUATED = "flags.evaluated"
    DIAGNOSIS_RECORDED = "diagnosis.recorded"
    MODEL_REVEALED = "model.revealed"
    REVIEW_RECORDED = "review.recorded"
    ANNOTATION_RECORDED = "annotation.recorded"
    ANNOTATION_REMOVED = "annotation.removed"
    CONSULTATION_REQUESTED = "consultation.requested"
    CONSULTATION_CHANGED = "consultation.changed"
    OPINION_RECORDED = "opinion.recorded"
    OPINION_COMPARED = "opinion.compared"
    RESOLUTION_RECORDED = "resolution.recorded"
    SIGNATURE_RECORDED = "signature.recorded"
    CASE_STATE_CHANGED = "case.state_changed"
    PERSON_ADDED = "person.added"
    PERSON_CHANGED = "person.changed"
    SESSION_OPENED = "session.opened"
    SESSION_REVOKED = "session.revoked"
    SCHEME_ADDED = "scheme.added"
    SCHEME_OFFERED = "scheme.offered"
    SCHEME_WITHDRAWN = "scheme.withdrawn"
    PREDICTION_IMPORTED = "prediction.imported"
    RULES_DRAFTED = "rules.drafted"
    RULES_ACTIVATED = "rules.activated"
    CALIBRATION_ADDED = "calibration.added"
    AUDIT_DRAWN = "audit.drawn"
    REFERENCE_FITTED = "reference.fitted"
    LABELS_IMPORTED = "labels.imported"
    ERROR_CODED = "error.coded"
    OVERLAP_SCORED = "overlap.scored"
    DEMONSTRATION_STARTED_OVER = "demonstration.started_over"
    QC_MEASURED = "qc.measured"
    QC_VERDICT_RECORDED = "qc.verdict_recorded"
    QC_VERDICT_REVEALED = "qc.verdict_revealed"
    QC_SECOND_READ_ASKED = "qc.second_read_asked"
    QC_REFERENCE_RECORDED = "qc.reference_recorded"
    QC_LIMITS_DRAFTED = "qc_limits.drafted"
    QC_LIMITS_ACTIVATED = "qc_limits.activated"


def case_entity(case_id: str) -> str:
    """Return how events name a case."""
    return f"case:{case_id}"


def slide_entity(slide_id: str) -> str:
    """Return how events name a slide."""
    return f"slide:{slide_id}"


def person_entity(person_id: int) -> str:
    """Return how events name a person."""
    return f"person:{person_id}"


def scheme_entity(name: str) -> str:
    """Return how events name a reading scheme."""
    return f"scheme:{name}"


def rules_entity(version: str) -> str:
    """Return how events name a rule set."""
    return f"rules:{version}"


def quality_entity(slide_id: str) -> str:
    """Return how events name the quality of a slide; a name of its own, since verdicts may be hidden from a reader."""
    return f"quality:{slide_id}"


def limits_entity(version: str) -> str:
    """Return how events name a set of limits of quality control."""
    return f"qc_limits:{version}"


def calibration_entity(weights_sha256: str) -> str:
    """Return how events name the calibration of a model."""
    return f"calibration:{weights_sha256}"


def audit_entity(draw: int) -> str:
    """Return how events name a draw of unflagged cases."""
    return f"audit:{draw}"


def reference_entity(weights_sha256: str) -> str:
    """Return how events name what usual slides of a model look like."""
    return f"reference:{weights_sha256}"


def append_event(database: Database, action: str, *, entity: str, actor: str, payload: Json | None = None) -> int:
    """Append one event to the chain, inside the transaction of the change that it tells of.

    Args:
        database: Log with an open write transaction (`writing`).
        action: What happened, usually an `Action`.
        entity: What it happened to, from `case_entity` or `slide_entity`.
        actor: Who did it.
        payload: Details; plain JSON values.

    Returns:
        The event's number; numbers have no gaps.

    Raises:
        ConflictError: no transaction is open, so the event could be separated from its change.
    """
    if not database.conn.in_transaction:
        raise ConflictError("An event can only be written inside the transaction of the change it tells of.")
    last = database.conn.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    seq, prev_hash = (last[0] + 1, last[1]) if last else (1, GENESIS)
    row = (seq, time_text(utc_now()), actor, str(action), entity, canonical_json(payload or {}))
    digest = event_hash(prev_hash, row)
    database.conn.execute(f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, prev_hash, digest))  # noqa: S608
    return seq


def event_hash(prev_hash: str, row: Sequence[object]) -> str:
    """Return the hash of an event from the hash before it and (seq, at_utc, actor, action, entity, payload text)."""
    seq, at_utc, actor, action, entity, payload = cast("tuple[int, str, str, str, str, str]", tuple(row))
    return hashlib.sha256(chained_text(prev_hash, seq, at_utc, actor, action, entity, payload).encode()).hexdigest()


def chained_text(prev_hash: str, seq: int, at_utc: str, actor: str, action: str, entity: str, payload: str) -> str:
    """Return what is hashed: the hash before and the canonical JSON of the event.

    Written out key by key, in the order of the alphabet: checking a million events is three times as fast as through
    the general encoder, and a test holds the two equal.
    """
    return (
        f'{prev_hash}|{{"action":{quoted(action)},"actor":{quoted(actor)},"at_utc":{quoted(at_utc)},'
        f'"entity":{quoted(entity)},"payload":{quoted(payload)},"seq":{seq}}}'
    )


def last_event(database: Database) -> EventRecord:
    """Return the newest event.

    Raises:
        NotFoundError: nothing has happened yet.
    """
    row = database.conn.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq DESC LIMIT 1").fetchone()  # noqa: S608
    if row is None:
        raise NotFoundError("The log holds no event yet.")
    return _record(row)


def events_of(database: Database, entities: Sequence[str], *, action: str | None = None) -> list[EventRecord]:
    """Return the events of some entities in the order they happened, of one kind only if `action` is given."""
    marks = ", ".join("?" * len(entities))
    condition = "" if action is None else " AND action = ?"
    parameters = (*entities, *(() if action is None else (str(action),)))
    rows = database.conn.execute(
        f"SELECT {COLUMNS} FROM events WHERE entity IN ({marks}){condition} ORDER BY seq",  # noqa: S608
        parameters,
    )
    return [_record(row) for row in rows]


def events_of_kind(database: Database, prefix: str) -> list[EventRecord]:
    """Return the events of every entity of a kind, such as "person", in the order they happened."""
    # From "person:" to before "person;": a range of the index over entities.
    rows = database.conn.execute(
        f"SELECT {COLUMNS} FROM events WHERE entity >= ? AND entity < ? ORDER BY seq",  # noqa: S608 - constants
        (f"{prefix}:", f"{prefix};"),
    )
    return [_record(row) for row in rows]


def _record(row: tuple[int, str, str, str, str, str, str, str]) -> EventRecord:
    seq, at_utc, actor, action, entity, payload, prev_hash, digest = row
    return EventRecord(
        seq=seq,
        at_utc=time_of(at_utc),
        actor=actor,
        action=action,
        entity=entity,
        payload=json_object(payload),
        prev_hash=prev_hash,
        hash=digest,
    )
