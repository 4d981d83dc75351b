"""What was imported before: files of reads and predictions of other systems, with how many and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.roles import Permission
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import open_log, reading, rows_of
from core.store.values import time_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """Rows that came from one file."""

    file: str
    what: str
    """"reads" with their scheme, or the system and version of predictions."""
    rows: int
    cases: int
    readers: int
    """0 for predictions."""
    superseded: int
    """Reads of it that later ones replaced; both stay in the log."""
    latest: datetime


def imported_files(settings: Settings, *, actor: str) -> tuple[ImportedFile, ...]:
    """Return every file that was imported, the latest first.

    Raises:
        NotAllowedError: the actor may not import.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.IMPORT_READS)
        reads = rows_of(
            database,
            """SELECT source AS file, coalesce(scheme, 'plain') AS what, count(*) AS rows,
                   count(DISTINCT case_id) AS cases, count(DISTINCT reader) AS readers, max(created_at) AS latest,
                   sum(EXISTS (SELECT 1 FROM diagnoses AS newer WHERE newer.supersedes = diagnoses.diagnosis_id))
                       AS superseded
               FROM diagnoses WHERE source IS NOT NULL GROUP BY source, scheme""",
        )
        predictions = rows_of(
            database,
            """SELECT source AS file, system || ' ' || system_version AS what, count(*) AS rows,
                   count(DISTINCT case_id) AS cases, 0 AS readers, max(created_at) AS latest, 0 AS superseded
               FROM imported_predictions GROUP BY source, system, system_version""",
        )
    found = [
        ImportedFile(
            file=row["file"],
            what=f"reads, {row['what']}" if row["readers"] else f"predictions, {row['what']}",
            rows=row["rows"],
            cases=row["cases"],
            readers=row["readers"],
            superseded=row["superseded"],
            latest=time_of(row["latest"]),
        )
        for row in (*reads, *predictions)
    ]
    return tuple(sorted(found, key=lambda one: one.latest, reverse=True))
