"""Whole copies of the log, made and put back by SQLite itself, whoever else has it open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from core.errors import StorageError
from core.settings import Settings
from core.store.connection import open_log

_WORKERS = "SELECT worker_id, pid, host, started_at, heartbeat_at, ended_at FROM workers"


def copy_log(settings: Settings, to: Path) -> None:
    """Write a copy of the log as it is now; under a temporary name first, so that no half copy is taken for one.

    Raises:
        StorageError: the log cannot be read or the copy not written.
    """
    partial = to.with_name(f".{to.name}.partial")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with open_log(settings) as database, closing(sqlite3.connect(partial)) as copy:
            database.conn.backup(copy)
            # One file without a write-ahead log beside it: it is never written to.
            copy.execute("PRAGMA journal_mode = DELETE")
        partial.replace(to)
    except OSError as err:
        raise StorageError(f"{to} cannot be written ({err.strerror}). Free some space and try again.") from err


def restore_log(settings: Settings, source: Path) -> None:
    """Put a copy in the place of the log, in one transaction that other processes see before or after, never half.

    The worker processes that are running stay known, so that they can go on.

    Raises:
        StorageError: the copy cannot be read, or the log not written.
    """
    if not source.is_file():
        raise StorageError(f"The copy {source} is not there any more.")
    with open_log(settings) as database:
        workers = database.conn.execute(_WORKERS).fetchall()
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as copy:
            copy.backup(database.conn)
    with open_log(settings) as database:
        _keep_workers(database, workers)


def _keep_workers(database: Database, workers: list[tuple[object, ...]]) -> None:
    database.conn.executemany(
        """INSERT OR IGNORE INTO workers (worker_id, pid, host, started_at, heartbeat_at, ended_at)
           VALUES (?, ?, ?, ?, ?, ?)""",
        workers,
    )
