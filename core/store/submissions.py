"""What was taken in under the key of a form, so that a form sent twice is taken in once."""

from __future__ import annotations

import hashlib

from sqlite_utils import Database

from core.errors import ConflictError
from core.store.values import canonical_json, time_text, utc_now


def earlier_record(database: Database, key: str | None, *, action: str, actor: str, content: object) -> int | None:
    """Return the number of the record that the same content left under this key, or None if the key is new.

    Raises:
        ConflictError: the key was used for something else.
    """
    if key is None:
        return None
    row = database.conn.execute(
        "SELECT action, actor, content_sha256, record_id FROM submissions WHERE key = ?", (key,)
    ).fetchone()
    if row is None:
        return None
    if row[:3] != (action, actor, _digest(content)):
        raise ConflictError("This form was sent before with other content; what came first stands. Reload the page.")
    return int(row[3])


def keep_record(
    database: Database, key: str | None, *, action: str, actor: str, content: object, record_id: int
) -> None:
    """Remember which record a form left."""
    if key is not None:
        database.conn.execute(
            """INSERT INTO submissions (key, action, actor, content_sha256, record_id, created_at)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (key, action, actor, _digest(content), record_id, time_text(utc_now())),
        )


def _digest(content: object) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
