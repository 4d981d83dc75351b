"""Opening the log: short connections, WAL, foreign keys, and one plain sentence for whatever SQLite refuses."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from core.errors import StorageError
from core.settings import Settings
from core.store.migrations import SCHEMA_VERSION, migrate

Log = Database
"""An open log. Services name it by this, so that only the store knows the library."""

BUSY_TIMEOUT_S = 10.0
"""How long a call waits for another process's write before it gives up."""

_SENTENCES: dict[int, str] = {
    sqlite3.SQLITE_FULL: "The disk is full, so nothing more can be written to {path}. Free some space and try again.",
    sqlite3.SQLITE_READONLY: "{path} is read-only. Make the file and its folder writable, or choose another home.",
    sqlite3.SQLITE_PERM: "{path} may not be opened. Check who owns the file and its folder.",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened. Check that its folder exists and is writable.",
    sqlite3.SQLITE_BUSY: "{path} is locked by another program. Close whatever holds it and try again.",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program. Close whatever holds it and try again.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database file. Move it away or choose another home.",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged. Restore it from a backup, then run `second-read log verify`.",
    sqlite3.SQLITE_IOERR: "{path} could not be read or written (disk error). Check the disk and its free space.",
    sqlite3.SQLITE_CONSTRAINT: "The log refused the change and kept what it had: {detail}.",
}


@contextmanager
def open_log(settings: Settings) -> Generator[Database]:
    """Open the log for a few statements, creating or upgrading it when needed.

    Raises:
        StorageError: the home folder or the log cannot be used, or SQLite refused a statement; the text says why.
    """
    path = settings.log_path
    _make_home(settings.home)
    with _plain_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            database = Database(connection, execute_plugins=False)
            _prepare(database, path)
            yield database
        finally:
            connection.close()


@contextmanager
def writing(database: Database) -> Generator[Database]:
    """Hold the write lock for one transaction: all of it is kept, or nothing.

    The lock is taken at once (BEGIN IMMEDIATE), so what is read inside, such as the last hash of the chain, cannot be
    overtaken by another process. Inside an open transaction it is a savepoint of that one.
    """
    if database.conn.in_transaction:
        with database.atomic():
            yield database
        return
    database.conn.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.conn.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise


@contextmanager
def reading(database: Database) -> Generator[Database]:
    """Let several queries see one and the same state of the log."""
    with database.atomic():
        yield database


def rows_of(database: Database, query: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
    """Return the rows of a query as dictionaries by column name."""
    cursor = database.conn.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def insert_rows(database: Database, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows that have the same columns, in the order given; table and columns are names of our own schema."""
    if not rows:
        return
    columns = ", ".join(rows[0])
    marks = ", ".join("?" * len(rows[0]))
    statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608
    database.conn.executemany(statement, [tuple(row.values()) for row in rows])


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as err:
        raise StorageError(
            f"The home {home} is a file or lies below one. Set SECOND_READ_HOME to a folder, existing or new."
        ) from err
    except OSError as err:
        raise StorageError(
            f"The home {home} cannot be created ({err.strerror}). Set SECOND_READ_HOME to a folder that can be written."
        ) from err


def _prepare(database: Database, path: Path) -> None:
    """Set up a fresh connection; upgrade the schema if it is behind."""
    database.conn.execute("PRAGMA foreign_keys = ON")
    version = int(database.conn.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StorageError(f"{path} was written by a newer Second Read. Update Second Read, or choose another home.")
    if version < SCHEMA_VERSION:
        _enable_wal(database)
        with writing(database):
            migrate(database)


def _enable_wal(database: Database) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself if two processes do so on a new file at once."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            database.enable_wal()
        except sqlite3.OperationalError as err:
            if _primary_code(err) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def _plain_errors(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as err:
        sentence = _SENTENCES.get(_primary_code(err), "The log {path} could not be used: {detail}.")
        raise StorageError(sentence.format(path=path, detail=err)) from err


def _primary_code(err: sqlite3.Error) -> int:
    """Return SQLite's primary result code (the low byte of the extended one)."""
    code = getattr(err, "sqlite_errorcode", None)
    return int(code) & 0xFF if code is not None else sqlite3.SQLITE_ERROR
