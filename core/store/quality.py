"""Quality verdicts and asked second reads in the log. Writers must be called inside `writing`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from core.errors import NotFoundError
from core.store.connection import insert_rows, rows_of
from core.store.events import Action, append_event, quality_entity
from core.store.quality_records import NewQcVerdict, QcVerdictRecord, SecondReadRecord, SlideQuality
from core.store.seals import Sealed, seal
from core.store.values import time_of, time_text, utc_now
from core.vocabulary import QcDisposition, QcOrigin, QcReason, QcRole

STANDING = "withdrawn = 0 AND verdict_id NOT IN (SELECT supersedes FROM qc_verdicts WHERE supersedes IS NOT NULL)"
"""Condition of the verdicts that stand."""
OPEN_ASKS = """withdraws IS NULL
    AND NOT EXISTS (SELECT 1 FROM qc_second_reads AS later WHERE later.withdraws = qc_second_reads.ask_id)
    AND NOT EXISTS (SELECT 1 FROM qc_verdicts WHERE qc_verdicts.ask_id = qc_second_reads.ask_id)"""
"""Condition of the second reads that are still awaited."""


def insert_verdict(
    database: Database,
    slide_id: str,
    new: NewQcVerdict | None,
    *,
    role: QcRole,
    seen: SlideQuality | None,
    blinded_to_first: bool | None = None,
    batch: str | None = None,
    ask_id: int | None = None,
    actor: str,
) -> QcVerdictRecord:
    """Write a verdict; it supersedes the same reader's earlier one on the slide.

    Args:
        database: Log with an open write transaction.
        slide_id: The slide, which exists.
        new: What is decided; None takes the reader's verdict back.
        role: Whether it is the first read or a second one.
        seen: The measurement that lay before the reader.
        blinded_to_first: Whether the verdicts of others were hidden.
        batch: Of the action that judges many slides at once.
        ask_id: The asked second read that it answers.
        actor: The reader.
    """
    earlier = last_verdict(database, slide_id, reader=actor)
    row = {
        "slide_id": slide_id,
        "reader": actor,
        "role": role.value,
        "withdrawn": int(new is None),
        "disposition": new.disposition.value if new else None,
        "reason": new.reason.value if new and new.reason else None,
        "origin": new.origin.value if new and new.origin else None,
        "note": new.note if new else "",
        "blinded_to_first": None if blinded_to_first is None else int(blinded_to_first),
        "source_id": seen.source_id if seen else None,
        "suggested": seen.disposition.value if seen and seen.disposition else None,
        "score": seen.score if seen else None,
        "limits_version": seen.limits_version if seen else None,
        "batch": batch,
        "ask_id": ask_id,
        "supersedes": earlier,
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "qc_verdicts", [row])
    verdict_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "verdict_id": verdict_id,
        **{key: row[key] for key in ("role", "disposition", "reason", "batch", "supersedes", "limits_version")},
        "sealed": seal(database, Sealed.QC_VERDICT, verdict_id),
    }
    append_event(database, Action.QC_VERDICT_RECORDED, entity=quality_entity(slide_id), actor=actor, payload=payload)
    return get_verdict(database, verdict_id)


def get_verdict(database: Database, verdict_id: int) -> QcVerdictRecord:
    """Return a verdict.

    Raises:
        NotFoundError: there is none of that number.
    """
    rows = rows_of(database, "SELECT * FROM qc_verdicts WHERE verdict_id = ?", (verdict_id,))
    if not rows:
        raise NotFoundError(f"There is no quality verdict of number {verdict_id}.")
    return _verdict(rows[0])


def last_verdict(database: Database, slide_id: str, *, reader: str) -> int | None:
    """Return the number of a reader's latest verdict on a slide, withdrawn or not; None if there never was one."""
    query = "SELECT max(verdict_id) FROM qc_verdicts WHERE slide_id = ? AND reader = ?"
    return database.conn.execute(query, (slide_id, reader)).fetchone()[0]


def verdicts_of_slide(database: Database, slide_id: str) -> tuple[QcVerdictRecord, ...]:
    """Return every verdict on a slide, superseded ones too, in the order they were given."""
    rows = rows_of(database, "SELECT * FROM qc_verdicts WHERE slide_id = ? ORDER BY verdict_id", (slide_id,))
    return tuple(map(_verdict, rows))


def verdicts_of_batch(database: Database, batch: str) -> tuple[QcVerdictRecord, ...]:
    """Return the verdicts of one action on many slides."""
    rows = rows_of(database, "SELECT * FROM qc_verdicts WHERE batch = ? ORDER BY verdict_id", (batch,))
    return tuple(map(_verdict, rows))


def standing_verdicts(database: Database, slide_ids: Sequence[str] | None = None) -> tuple[QcVerdictRecord, ...]:
    """Return the verdicts that stand, of some slides or all: one a slide and reader, in the order they were given."""
    chosen = "" if slide_ids is None else " AND slide_id IN (SELECT value FROM json_each(?))"
    parameters = () if slide_ids is None else (json.dumps(list(slide_ids)),)
    query = f"SELECT * FROM qc_verdicts WHERE {STANDING}{chosen} ORDER BY verdict_id"  # noqa: S608 - constants
    return tuple(_verdict(row) for row in rows_of(database, query, parameters))


def seconds_without_first(database: Database) -> frozenset[str]:
    """Return the slides on which a second verdict stands and no first one."""
    query = f"""SELECT slide_id FROM qc_verdicts WHERE {STANDING}
                GROUP BY slide_id HAVING sum(role = 'first') = 0"""  # noqa: S608 - constants
    return frozenset(slide_id for (slide_id,) in database.conn.execute(query))


def verdicts_ever_doubled(database: Database) -> tuple[QcVerdictRecord, ...]:
    """Return every verdict on the slides that ever had a second read, slide by slide in the order they were given."""
    query = """SELECT * FROM qc_verdicts WHERE slide_id IN (SELECT slide_id FROM qc_verdicts WHERE role = 'second')
               ORDER BY slide_id, verdict_id"""
    return tuple(map(_verdict, rows_of(database, query)))


def standing(verdicts: Sequence[QcVerdictRecord]) -> tuple[QcVerdictRecord, ...]:
    """Return those of a slide's verdicts that no other supersedes or takes back, in their order."""
    superseded = {verdict.supersedes for verdict in verdicts}
    return tuple(one for one in verdicts if one.verdict_id not in superseded and not one.withdrawn)


def insert_ask(
    database: Database, slide_id: str, *, reader: str | None, reason: str, seed: int | None, actor: str
) -> int:
    """Write that a second read of a slide is asked for; return its number."""
    return _insert_ask(database, slide_id, reader=reader, reason=reason, seed=seed, withdraws=None, actor=actor)


def withdraw_ask(database: Database, ask: SecondReadRecord, *, reason: str, actor: str) -> None:
    """Write that a second read is no longer asked for."""
    _insert_ask(database, ask.slide_id, reader=ask.reader, reason=reason, seed=None, withdraws=ask.ask_id, actor=actor)


def open_asks(database: Database, *, slide_id: str | None = None) -> tuple[SecondReadRecord, ...]:
    """Return the second reads that are still awaited, of one slide or of all, in the order they were asked for."""
    chosen, parameters = ("", ()) if slide_id is None else (" AND slide_id = ?", (slide_id,))
    query = f"SELECT * FROM qc_second_reads WHERE {OPEN_ASKS}{chosen} ORDER BY ask_id"  # noqa: S608 - constants
    return tuple(_ask(row) for row in rows_of(database, query, parameters))


def slides_judged_by(database: Database, *, reader: str) -> frozenset[str]:
    """Return the slides that somebody ever gave a verdict on."""
    rows = database.conn.execute("SELECT DISTINCT slide_id FROM qc_verdicts WHERE reader = ?", (reader,))
    return frozenset(slide_id for (slide_id,) in rows)


def missing_slides(database: Database, slide_ids: Sequence[str]) -> tuple[str, ...]:
    """Return those of some slides that there are not."""
    query = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT slide_id FROM slides)"
    return tuple(slide_id for (slide_id,) in database.conn.execute(query, (json.dumps(list(slide_ids)),)))


def revealed_to(database: Database, *, actor: str) -> Mapping[str, int]:
    """Return the slides whose verdicts were revealed to a reader, each with the number of the last such event."""
    start = len(quality_entity(""))
    rows = database.conn.execute(
        "SELECT entity, max(seq) FROM events WHERE action = ? AND actor = ? GROUP BY entity",
        (Action.QC_VERDICT_REVEALED.value, actor),
    )
    return {entity[start:]: seq for entity, seq in rows}


def _insert_ask(
    database: Database,
    slide_id: str,
    *,
    reader: str | None,
    reason: str,
    seed: int | None,
    withdraws: int | None,
    actor: str,
) -> int:
    row = {
        "slide_id": slide_id,
        "reader": reader,
        "asked_by": actor,
        "reason": reason,
        "seed": seed,
        "withdraws": withdraws,
        "created_at": time_text(utc_now()),
    }
    insert_rows(database, "qc_second_reads", [row])
    ask_id = int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    payload = {
        "ask_id": ask_id,
        "reader": reader,
        "seed": seed,
        "withdraws": withdraws,
        "sealed": seal(database, Sealed.QC_SECOND_READ, ask_id),
    }
    append_event(database, Action.QC_SECOND_READ_ASKED, entity=quality_entity(slide_id), actor=actor, payload=payload)
    return ask_id


def _verdict(row: Mapping[str, Any]) -> QcVerdictRecord:
    values = dict(row)
    values["role"] = QcRole(row["role"])
    values["withdrawn"] = bool(row["withdrawn"])
    values["disposition"] = QcDisposition(row["disposition"]) if row["disposition"] else None
    values["suggested"] = QcDisposition(row["suggested"]) if row["suggested"] else None
    values["reason"] = QcReason(row["reason"]) if row["reason"] else None
    values["origin"] = QcOrigin(row["origin"]) if row["origin"] else None
    values["blinded_to_first"] = None if row["blinded_to_first"] is None else bool(row["blinded_to_first"])
    values["created_at"] = time_of(row["created_at"])
    return QcVerdictRecord(**values)


def _ask(row: Mapping[str, Any]) -> SecondReadRecord:
    values = {name: row[name] for name in ("ask_id", "slide_id", "reader", "asked_by", "reason", "seed")}
    return SecondReadRecord(**values, created_at=time_of(row["created_at"]))
