"""What somebody began to fill in and has not sent: one row a person and form, changed and deleted freely.

Drafts are no part of the log: nothing of them is sealed, exported or shown to anybody but who writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlite_utils import Database

from core.store.connection import rows_of
from core.store.values import canonical_json, json_object, time_of, time_text, utc_now

KEPT_DAYS = 30
"""A draft that was not touched for so long is deleted when its writer next keeps one."""


class DraftForm(StrEnum):
    """Which form a draft is of."""

    READ = "read"
    CONSENSUS = "consensus"
    OPINION = "opinion"
    ANSWER = "answer"
    """The note to an answer to the model's result."""


@dataclass(frozen=True, slots=True)
class DraftPlace:
    """Where a draft belongs."""

    case_id: str
    form: DraftForm
    about: int = 0
    """The request an opinion answers, or the read that is corrected; 0 = neither."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was filled in."""

    content: Mapping[str, object]
    """Field -> plain value."""
    saved_at: datetime


def find_draft(database: Database, place: DraftPlace, *, author: str) -> Draft | None:
    """Return the author's draft of a form, or None."""
    rows = rows_of(
        database,
        "SELECT content, saved_at FROM drafts WHERE author = ? AND case_id = ? AND form = ? AND about = ?",
        (author, place.case_id, place.form.value, place.about),
    )
    return Draft(json_object(rows[0]["content"]), time_of(rows[0]["saved_at"])) if rows else None


def save_draft(database: Database, place: DraftPlace, content: Mapping[str, object], *, author: str) -> Draft:
    """Keep a draft in place of the author's earlier one of the same form; forget those long untouched."""
    now = utc_now()
    database.conn.execute(
        "DELETE FROM drafts WHERE author = ? AND saved_at < ?", (author, time_text(now - timedelta(days=KEPT_DAYS)))
    )
    database.conn.execute(
        """INSERT INTO drafts (author, case_id, form, about, content, saved_at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (author, case_id, form, about)
           DO UPDATE SET content = excluded.content, saved_at = excluded.saved_at""",
        (author, place.case_id, place.form.value, place.about, canonical_json(dict(content)), time_text(now)),
    )
    return Draft(content, now)


def delete_draft(database: Database, place: DraftPlace, *, author: str) -> None:
    """Forget the author's draft of a form; there need be none."""
    database.conn.execute(
        "DELETE FROM drafts WHERE author = ? AND case_id = ? AND form = ? AND about = ?",
        (author, place.case_id, place.form.value, place.about),
    )


def delete_drafts_of(database: Database, case_id: str, form: DraftForm, *, author: str) -> None:
    """Forget every draft of the author of one kind on a case, whatever it is about."""
    database.conn.execute(
        "DELETE FROM drafts WHERE author = ? AND case_id = ? AND form = ?", (author, case_id, form.value)
    )
