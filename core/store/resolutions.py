"""Resolutions and signatures in the log. Writers must be called inside `writing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from core.errors import NotFoundError
from core.store.connection import insert_rows, rows_of
from core.store.consult_records import NewResolution, ResolutionRecord, SignatureRecord
from core.store.events import Action, append_event, case_entity
from core.store.seals import Sealed, digest_of, seal
from core.store.values import time_of, time_or_none, time_text, utc_now
from core.vocabulary import ReportAction, ResolutionMethod, SignatureMeaning, SignedKind


def insert_resolution(database: Database, case_id: str, new: NewResolution, *, actor: str) -> ResolutionRecord:
    """Write how a case was settled; it supersedes the resolution before."""
    earlier = database.conn.execute(
        "SELECT max(resolution_id) FROM resolutions WHERE case_id = ?", (case_id,)
    ).fetchone()[0]
    row = {
        "case_id": case_id,
        "method": new.method.value,
        "diagnosis_id": new.diagnosis_id,
        "report_action": new.report_action.value,
        "communicated_to": new.communicated_to,
        "communicated_at": None if new.communicated_at is None else time_text(new.communicated_at),
        "learning_note": new.learning_note,
        "author": actor,
        "supersedes": earlier,
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "resolutions", [row])
    resolution_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "resolution_id": resolution_id,
        "method": new.method.value,
        "report_action": new.report_action.value,
        "supersedes": earlier,
        "sealed": seal(database, Sealed.RESOLUTION, resolution_id),
    }
    append_event(database, Action.RESOLUTION_RECORDED, entity=case_entity(case_id), actor=actor, payload=payload)
    return get_resolution(database, resolution_id)


def get_resolution(database: Database, resolution_id: int) -> ResolutionRecord:
    """Return a resolution.

    Raises:
        NotFoundError: there is none of that number.
    """
    rows = rows_of(database, "SELECT * FROM resolutions WHERE resolution_id = ?", (resolution_id,))
    if not rows:
        raise NotFoundError(f"There is no resolution of number {resolution_id}.")
    return _resolution(rows[0])


def resolutions_of_case(database: Database, case_id: str) -> tuple[ResolutionRecord, ...]:
    """Return every resolution of a case in order; the last one stands."""
    rows = rows_of(database, "SELECT * FROM resolutions WHERE case_id = ? ORDER BY resolution_id", (case_id,))
    return tuple(_resolution(row) for row in rows)


def record_digest(database: Database, kind: SignedKind, record_id: int) -> str | None:
    """Return the SHA-256 of a record as it stands, the same that its event seals; None if there is no such record."""
    if kind is SignedKind.RESOLUTION:
        return digest_of(database, Sealed.RESOLUTION, record_id)
    row = database.conn.execute("SELECT role FROM diagnoses WHERE diagnosis_id = ?", (record_id,)).fetchone()
    return None if row is None else digest_of(database, Sealed.READ if row[0] else Sealed.DIAGNOSIS, record_id)


def insert_signature(
    database: Database,
    case_id: str,
    *,
    kind: SignedKind,
    record_id: int,
    record_sha256: str,
    printed_name: str,
    meaning: SignatureMeaning,
    actor: str,
) -> SignatureRecord:
    """Write a signature over a record."""
    row = {
        "case_id": case_id,
        "kind": kind.value,
        "record_id": record_id,
        "record_sha256": record_sha256,
        "signer": actor,
        "printed_name": printed_name,
        "meaning": meaning.value,
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "signatures", [row])
    signature_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "signature_id": signature_id,
        "kind": kind.value,
        "record_id": record_id,
        "record_sha256": record_sha256,
        "meaning": meaning.value,
        "sealed": seal(database, Sealed.SIGNATURE, signature_id),
    }
    append_event(database, Action.SIGNATURE_RECORDED, entity=case_entity(case_id), actor=actor, payload=payload)
    return get_signature(database, signature_id)


def get_signature(database: Database, signature_id: int) -> SignatureRecord:
    """Return a signature.

    Raises:
        NotFoundError: there is none of that number.
    """
    rows = rows_of(database, "SELECT * FROM signatures WHERE signature_id = ?", (signature_id,))
    if not rows:
        raise NotFoundError(f"There is no signature of number {signature_id}.")
    return _signature(rows[0])


def signatures_of_case(database: Database, case_id: str) -> tuple[SignatureRecord, ...]:
    """Return every signature on a case, in the order they were given."""
    rows = rows_of(database, "SELECT * FROM signatures WHERE case_id = ? ORDER BY signature_id", (case_id,))
    return tuple(_signature(row) for row in rows)


def reads_that_stand(database: Database) -> frozenset[int]:
    """Return the reads that stand by the latest resolution of their cases."""
    rows = database.conn.execute(
        """SELECT diagnosis_id FROM resolutions WHERE diagnosis_id IS NOT NULL AND resolution_id =
           (SELECT max(resolution_id) FROM resolutions AS newer WHERE newer.case_id = resolutions.case_id)"""
    )
    return frozenset(int(number) for (number,) in rows)


def _resolution(row: Mapping[str, Any]) -> ResolutionRecord:
    values = dict(row)
    values["method"] = ResolutionMethod(row["method"])
    values["report_action"] = ReportAction(row["report_action"])
    values["communicated_at"] = time_or_none(row["communicated_at"])
    values["created_at"] = time_of(row["created_at"])
    return ResolutionRecord(**values)


def _signature(row: Mapping[str, Any]) -> SignatureRecord:
    values = dict(row)
    values["kind"] = SignedKind(row["kind"])
    values["meaning"] = SignatureMeaning(row["meaning"])
    values["created_at"] = time_of(row["created_at"])
    return SignatureRecord(**values)
