"""Checking the whole log: every link of the chain, its end, and the rows that the events seal."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from sqlite_utils import Database

from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.events import GENESIS, chained_text
from core.store.people_check import altered_people
from core.store.records import VerifyResult
from core.store.seals import Sealed, count_of, digest_of
from core.store.values import json_object

_Row = tuple[int, str, str, str, str, str, str, str]
_SEAL_MARK = '"sealed":'
_SEALED_TABLES = {
    Sealed.DIAGNOSIS: "diagnoses",
    Sealed.REVIEW: "reviews",
    Sealed.RUN: "runs",
    Sealed.EVALUATION: "evaluations",
    Sealed.RATED_EVALUATION: "evaluations",
    Sealed.ANNOTATION: "annotations",
    Sealed.READ: "diagnoses",
    Sealed.CONSULTATION: "consultations",
    Sealed.CONSULTATION_STEP: "consultation_steps",
    Sealed.OPINION: "opinions",
    Sealed.COMPARISON: "comparisons",
    Sealed.RESOLUTION: "resolutions",
    Sealed.SIGNATURE: "signatures",
    Sealed.CASE_STATE: "case_states",
    Sealed.IMPORTED_PREDICTION: "imported_predictions",
    Sealed.QC_MEASUREMENT: "qc_measurements",
    Sealed.QC_VERDICT: "qc_verdicts",
    Sealed.QC_SECOND_READ: "qc_second_reads",
    Sealed.QC_REFERENCE: "qc_references",
    Sealed.ERROR_REVIEW: "error_reviews",
    Sealed.OVERLAP_SCORE: "overlap_scores",
}


class _BrokenError(Exception):
    """Carries the first broken place out of the checks."""

    def __init__(self, seq: int | None, message: str) -> None:
        super().__init__(message)
        self.seq = seq


def verify(settings: Settings) -> VerifyResult:
    """Recompute the hash chain from its first event to its last and compare every sealed row.

    Events are read as a stream, so memory does not grow with the log. A log cut off at its end is found by SQLite's own
    counter of the highest event number; somebody who also resets that counter can only be found by comparing with an
    export made earlier.

    Returns:
        `ok`, or the number of the first event that is altered, missing or out of order, or whose rows were changed.

    Raises:
        StorageError: the log cannot be read at all.
    """
    with open_log(settings) as database, reading(database):
        rows = 0
        seals: Counter[Sealed] = Counter()
        try:
            for row in _chain(database):
                rows += 1
                if _SEAL_MARK in row[5]:
                    seals[_check_seal(database, row)] += 1
            _check_end(database, rows)
            _check_counts(database, seals)
            _check_people(database)
        except _BrokenError as err:
            return VerifyResult(ok=False, rows=rows, first_broken_seq=err.seq, message=str(err))
    return VerifyResult(
        ok=True, rows=rows, first_broken_seq=None, message=f"The log is whole: {rows:,} events checked."
    )


def _chain(database: Database) -> Iterator[_Row]:
    """Yield the events in order; raise at the first one that does not continue the chain."""
    cursor = database.conn.execute(
        "SELECT seq, at_utc, actor, action, entity, payload, prev_hash, hash FROM events ORDER BY seq"
    )
    sha256 = hashlib.sha256
    last, expected = GENESIS, 1
    for row in cursor:
        seq, at_utc, actor, action, entity, payload, prev_hash, digest = row
        if seq != expected:
            missing = f"Event {expected} is" if seq == expected + 1 else f"Events {expected} to {seq - 1} are"
            raise _BrokenError(expected, f"{missing} missing: the log goes on with event {seq}.")
        if prev_hash != last:
            raise _BrokenError(
                seq, f"Event {seq} does not follow the event before it: it was reordered, replaced or inserted."
            )
        text = chained_text(prev_hash, seq, at_utc, actor, action, entity, payload)
        if sha256(text.encode()).hexdigest() != digest:
            raise _BrokenError(seq, f"Event {seq} ({action} of {entity}) was altered: its hash no longer fits.")
        last, expected = digest, expected + 1
        yield row


def _check_seal(database: Database, row: _Row) -> Sealed:
    sealed = cast("Mapping[str, str]", json_object(row[5])["sealed"])
    kind, key = Sealed(sealed["kind"]), sealed["key"]
    found = digest_of(database, kind, key)
    if found != sealed["sha256"]:
        what = "are missing" if found is None else "were altered"
        raise _BrokenError(row[0], f"The rows of event {row[0]} ({kind.value} {key}, {row[4]}) {what}.")
    return kind


def _check_people(database: Database) -> None:
    altered = altered_people(database)
    if altered is not None:
        raise _BrokenError(None, altered)


def _check_end(database: Database, rows: int) -> None:
    found = database.conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    written = int(found[0]) if found else 0
    if written > rows:
        raise _BrokenError(
            rows + 1, f"The log was cut off: it ends with event {rows}, but {written} events had been written."
        )


def _check_counts(database: Database, seals: Counter[Sealed]) -> None:
    told: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for kind in Sealed:
        told[_SEALED_TABLES[kind]] += seals[kind]
        counts[_SEALED_TABLES[kind]] += count_of(database, kind)
    for table, count in counts.items():
        if count != told[table]:
            raise _BrokenError(
                None,
                f"The table {table} holds {count} entries, but the log tells of {told[table]}: "
                "rows were added past the log.",
            )
