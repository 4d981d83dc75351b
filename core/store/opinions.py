"""Opinions and their comparison with the first read in the log. Writers must be called inside `writing`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from core.errors import NotFoundError
from core.store.connection import insert_rows, rows_of
from core.store.consult_records import ComparisonRecord, NewComparison, OpinionRecord
from core.store.events import Action, append_event, case_entity
from core.store.reviews import get_diagnosis
from core.store.seals import Sealed, seal
from core.store.values import canonical_json, time_of, time_text, utc_now
from core.vocabulary import AdditionalWork, Basis, Discordance, ErrorType, ManagementImpact


def insert_opinion(
    database: Database,
    case_id: str,
    *,
    consultation_id: int,
    diagnosis_id: int,
    additional_work: Sequence[AdditionalWork],
    actor: str,
) -> OpinionRecord:
    """Write an opinion, whose read is in the log already. A request takes one."""
    row = {
        "consultation_id": consultation_id,
        "diagnosis_id": diagnosis_id,
        "author": actor,
        "additional_work": canonical_json([work.value for work in additional_work]),
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "opinions", [row])
    opinion_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "opinion_id": opinion_id,
        "consultation_id": consultation_id,
        "diagnosis_id": diagnosis_id,
        "sealed": seal(database, Sealed.OPINION, opinion_id),
    }
    append_event(database, Action.OPINION_RECORDED, entity=case_entity(case_id), actor=actor, payload=payload)
    return get_opinion(database, opinion_id)


def get_opinion(database: Database, opinion_id: int) -> OpinionRecord:
    """Return an opinion.

    Raises:
        NotFoundError: there is none of that number.
    """
    found = _opinions(database, "WHERE opinion_id = ?", (opinion_id,))
    if not found:
        raise NotFoundError(f"There is no opinion of number {opinion_id}.")
    return found[0]


def opinion_of_request(database: Database, consultation_id: int) -> int | None:
    """Return the number of the opinion that answers a request, or None while there is none."""
    row = database.conn.execute(
        "SELECT opinion_id FROM opinions WHERE consultation_id = ?", (consultation_id,)
    ).fetchone()
    return None if row is None else int(row[0])


def opinions_of_case(database: Database, case_id: str) -> tuple[OpinionRecord, ...]:
    """Return every opinion on a case, in the order they were given."""
    condition = "WHERE consultation_id IN (SELECT consultation_id FROM consultations WHERE case_id = ?)"
    return _opinions(database, condition, (case_id,))


def insert_comparison(
    database: Database,
    case_id: str,
    new: NewComparison,
    *,
    opinion_id: int,
    first_id: int,
    second_id: int,
    proposed: Discordance,
    actor: str,
) -> ComparisonRecord:
    """Write what was made of an opinion; it supersedes the comparison of the same opinion before."""
    earlier = database.conn.execute(
        "SELECT max(comparison_id) FROM comparisons WHERE opinion_id = ?", (opinion_id,)
    ).fetchone()[0]
    row = {
        "case_id": case_id,
        "opinion_id": opinion_id,
        "first_id": first_id,
        "second_id": second_id,
        "proposed": proposed.value,
        "discordance": new.discordance.value,
        "basis": new.basis.value if new.basis else None,
        "management_impact": new.management_impact.value,
        "error_type": new.error_type.value if new.error_type else None,
        "note": new.note,
        "author": actor,
        "supersedes": earlier,
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "comparisons", [row])
    comparison_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "comparison_id": comparison_id,
        "opinion_id": opinion_id,
        "discordance": new.discordance.value,
        "supersedes": earlier,
        "sealed": seal(database, Sealed.COMPARISON, comparison_id),
    }
    append_event(database, Action.OPINION_COMPARED, entity=case_entity(case_id), actor=actor, payload=payload)
    return get_comparison(database, comparison_id)


def get_comparison(database: Database, comparison_id: int) -> ComparisonRecord:
    """Return a comparison.

    Raises:
        NotFoundError: there is none of that number.
    """
    rows = rows_of(database, "SELECT * FROM comparisons WHERE comparison_id = ?", (comparison_id,))
    if not rows:
        raise NotFoundError(f"There is no comparison of number {comparison_id}.")
    return _comparison(rows[0])


def comparisons_of_case(database: Database, case_id: str) -> tuple[ComparisonRecord, ...]:
    """Return every comparison on a case, superseded ones too, in the order they were made."""
    rows = rows_of(database, "SELECT * FROM comparisons WHERE case_id = ? ORDER BY comparison_id", (case_id,))
    return tuple(_comparison(row) for row in rows)


def _opinions(database: Database, condition: str, parameters: Sequence[object]) -> tuple[OpinionRecord, ...]:
    rows = rows_of(database, f"SELECT * FROM opinions {condition} ORDER BY opinion_id", parameters)  # noqa: S608
    return tuple(
        OpinionRecord(
            opinion_id=row["opinion_id"],
            consultation_id=row["consultation_id"],
            author=row["author"],
            read=get_diagnosis(database, row["diagnosis_id"]),
            additional_work=tuple(AdditionalWork(work) for work in json.loads(row["additional_work"])),
            created_at=time_of(row["created_at"]),
        )
        for row in rows
    )


def _comparison(row: Mapping[str, Any]) -> ComparisonRecord:
    values = dict(row)
    values["proposed"] = Discordance(row["proposed"])
    values["discordance"] = Discordance(row["discordance"])
    values["basis"] = Basis(row["basis"]) if row["basis"] else None
    values["management_impact"] = ManagementImpact(row["management_impact"])
    values["error_type"] = ErrorType(row["error_type"]) if row["error_type"] else None
    values["created_at"] = time_of(row["created_at"])
    return ComparisonRecord(**values)
