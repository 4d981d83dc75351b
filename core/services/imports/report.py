"""What an import did, and checks that imports of reads and of predictions share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.interop.reads_csv import RowError
from core.store import imports
from core.store.connection import Log
from core.store.values import canonical_json


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or with `dry_run` would do. With an error nothing is written."""

    file: str
    dry_run: bool
    found: int
    """Reads or predictions in the file."""
    added: int
    known: int
    """Already in the log, or twice in the file; left as they are."""
    empty: int
    """Cells without a read."""
    cases_added: tuple[str, ...]
    errors: tuple[RowError, ...]

    @property
    def written(self) -> bool:
        """Whether the log was changed."""
        return not self.dry_run and not self.errors and self.added > 0

    def to_dict(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return {
            "file": self.file,
            "dry_run": self.dry_run,
            "written": self.written,
            "found": self.found,
            "added": self.added,
            "known": self.known,
            "empty": self.empty,
            "cases_added": list(self.cases_added),
            "errors": [{"row": error.row, "column": error.column, "message": error.message} for error in self.errors],
        }


def import_key(*content: object) -> str:
    """Tell imported rows apart by what they say, whatever the file is called and in whatever order it lists them."""
    return hashlib.sha256(canonical_json(list(content)).encode()).hexdigest()


def missing_cases(database: Log, case_ids: Sequence[str]) -> tuple[str, ...]:
    """Return those cases that are not in the log, each once."""
    known = imports.known_cases(database, case_ids)
    return tuple(dict.fromkeys(case_id for case_id in case_ids if case_id not in known))


def unknown_case_errors(column: str, places: Sequence[tuple[int, str]], missing: Sequence[str]) -> tuple[RowError, ...]:
    """Return one error for each (row, case) whose case is missing."""
    absent = set(missing)
    return tuple(
        RowError(row, column, f"Case {case} is not in the log. Add its slides first, or let the import add cases.")
        for row, case in dict.fromkeys(places)
        if case in absent
    )
