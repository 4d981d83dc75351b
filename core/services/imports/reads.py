"""Taking in reads of others from CSV: checked as a whole, written in one transaction, never twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConflictError
from core.interop.csv_table import CsvTable, read_csv
from core.interop.csv_upload import with_prefix
from core.interop.reads_csv import ReadRow, RowError, parse
from core.interop.reads_layout import ReadsMapping
from core.roles import Permission
from core.schemes import Scheme, load_scheme
from core.services.agreement.read_tables import Duplicates
from core.services.cases.progress import expect
from core.services.imports.report import ImportReport, import_key, missing_cases, unknown_case_errors
from core.services.people.authority import require
from core.services.rules.flagging import refresh_flags_in
from core.settings import Settings
from core.states import Step, advance
from core.store import cases, imports, reviews
from core.store.connection import Log, open_log, writing
from core.store.records import NewRead, ReadStage
from core.store.values import time_text
from core.vocabulary import COUNTING_ROLES, ReadRole

PLAIN = "plain"
"""The scheme whose codes are the categories that every case has; its reads bear no scheme in the log."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A read of the file, ready to be written."""

    row: ReadRow
    new: NewRead


def import_reads(
    settings: Settings,
    path: Path,
    mapping: ReadsMapping,
    *,
    scheme: Scheme | None = None,
    role: ReadRole | None = None,
    duplicates: Duplicates = Duplicates.REFUSE,
    add_cases: bool = False,
    case_prefix: str = "",
    dry_run: bool,
    actor: str,
) -> ImportReport:
    """Take in the reads of a CSV file; see `import_read_table`. The prefix is put before every case id of the file.

    Raises:
        InputError: the file or a column cannot be used at all; bad rows are in the report instead.
        NotAllowedError: the actor may not import.
    """
    return import_read_table(
        settings,
        with_prefix(read_csv(path), mapping.case, case_prefix),
        mapping,
        scheme=scheme,
        role=role,
        duplicates=duplicates,
        add_cases=add_cases,
        dry_run=dry_run,
        actor=actor,
    )


def import_read_table(
    settings: Settings,
    table: CsvTable,
    mapping: ReadsMapping,
    *,
    scheme: Scheme | None = None,
    role: ReadRole | None = None,
    duplicates: Duplicates = Duplicates.REFUSE,
    add_cases: bool = False,
    dry_run: bool,
    actor: str,
) -> ImportReport:
    """Take in the reads of a table: all of them or, if one cannot be taken, none.

    A read that is in the log already (same case, reader, result and circumstances) is left alone; another result of
    the same imported reader supersedes the earlier one. A read that a person recorded here is never superseded.

    Args:
        settings: Where the log is.
        table: Wide or long.
        mapping: Which column is what.
        scheme: What the cells may say; None = benign, malignant, indeterminate.
        role: Of reads whose role the file does not state; None = the first read of a case in the file is primary, the
            others second.
        duplicates: Which read counts where the table has several of one reader on one case that differ.
        add_cases: Whether cases that are not in the log are added; otherwise they are errors.
        dry_run: Only report.
        actor: Who imports; needs the permission to.

    Raises:
        InputError: a column cannot be used at all; bad rows are in the report instead.
        NotAllowedError: the actor may not import.
    """
    parsed = parse(table, mapping, scheme=scheme or load_scheme(PLAIN))
    reads, repeated, errors = _unique(_ready(parsed.rows, scheme, role=role, source=table.name), duplicates)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.IMPORT_READS)
        known = imports.known_reads(database, (str(read.new.import_key) for read in reads))
        fresh = [read for read in reads if read.new.import_key not in known]
        missing = missing_cases(database, [read.row.case for read in fresh])
        errors += [*parsed.errors, *_recorded_here(database, fresh), *_closed(database, fresh, missing)]
        if not add_cases:
            errors += unknown_case_errors(mapping.case, [(read.row.row, read.row.case) for read in fresh], missing)
        if not (dry_run or errors):
            _write(database, settings, fresh, missing, actor=actor)
    return ImportReport(
        file=table.name,
        dry_run=dry_run,
        found=len(parsed.rows),
        added=0 if errors else len(fresh),
        known=len(reads) - len(fresh) + repeated,
        empty=parsed.empty,
        cases_added=missing if add_cases and not errors else (),
        errors=tuple(sorted(errors, key=lambda error: error.row)),
    )


def _write(database: Log, settings: Settings, fresh: Sequence[_Read], missing: Sequence[str], *, actor: str) -> None:
    for case_id in missing:
        cases.ensure_case(database, case_id, site=None, actor=actor)
    # A read after the model supersedes that reader's read before it, in whatever order the file lists them.
    for read in sorted(fresh, key=lambda read: read.new.stage is ReadStage.AFTER_MODEL):
        reviews.insert_read(database, read.row.case, read.new, actor=actor, reader=read.row.reader)
    for case_id in dict.fromkeys(read.row.case for read in fresh):
        refresh_flags_in(database, settings, case_id, actor=actor)


def _ready(rows: Sequence[ReadRow], scheme: Scheme | None, *, role: ReadRole | None, source: str) -> list[_Read]:
    spoken = scheme or load_scheme(PLAIN)
    first: dict[str, str] = {}
    ready: list[_Read] = []
    for row in rows:
        leading = first.setdefault(row.case, row.reader)
        usual = ReadRole.PRIMARY if leading == row.reader else ReadRole.SECOND
        given = row.details.role or role or usual
        ready.append(_Read(row, _new_read(row, spoken, role=given, source=source)))
    return ready


def _new_read(row: ReadRow, scheme: Scheme, *, role: ReadRole, source: str) -> NewRead:
    details, place, named = row.details, scheme.index(row.category), scheme.name != PLAIN
    stage = ReadStage.AFTER_MODEL if details.after_model else ReadStage.BEFORE_MODEL
    moment = time_text(details.submitted_at) if details.submitted_at else None
    said = (row.category, details.grade, details.text, details.confidence)
    title = scheme.categories[place].title if named and place is not None else None
    return NewRead(
        category=scheme.read_category(row.category),
        grade=details.grade or title,
        text=details.text,
        confidence=details.confidence,
        stage=stage,
        role=role,
        scheme=scheme.name if named else None,
        scheme_version=scheme.version if named else None,
        code=row.category if named else None,
        ordinal=place if named else None,
        blinded_to_model=details.blinded,
        submitted_at=details.submitted_at,
        seconds_on_case=details.seconds,
        source=source,
        import_key=import_key(row.case, row.reader, role.value, scheme.name, *said, stage.value, moment),
    )


def _unique(reads: Sequence[_Read], duplicates: Duplicates) -> tuple[list[_Read], int, list[RowError]]:
    """Return one read a case, reader, role and stage; how many more there are; errors where none is chosen."""
    kept: dict[tuple[str, str, ReadRole, ReadStage], _Read] = {}
    errors: list[RowError] = []
    repeated = 0
    for read in reads:
        row = read.row
        place = (row.case, row.reader, read.new.role, read.new.stage)
        earlier = kept.setdefault(place, read)
        if earlier is read:
            continue
        if duplicates is Duplicates.LAST:
            kept[place] = read
        if duplicates is not Duplicates.REFUSE or earlier.new.import_key == read.new.import_key:
            repeated += 1
        else:
            words = f"{row.reader} read case {row.case} already in row {earlier.row.row}, with another result."
            errors.append(RowError(row.row, row.reader, words))
    return list(kept.values()), repeated, errors


def _recorded_here(database: Log, fresh: Sequence[_Read]) -> list[RowError]:
    recorded = imports.readers_recorded_here(database, (read.row.case for read in fresh))
    words = "{} recorded a read of case {} here, which an import never supersedes."
    return [
        RowError(read.row.row, read.row.reader, words.format(read.row.reader, read.row.case))
        for read in fresh
        if (read.row.case, read.row.reader) in recorded
    ]


def _closed(database: Log, fresh: Sequence[_Read], missing: Sequence[str]) -> list[RowError]:
    """Return an error for each case whose state takes no further diagnosis."""
    counting = {read.row.case: read.row for read in fresh if read.new.role in COUNTING_ROLES}
    errors: list[RowError] = []
    for case_id, row in counting.items():
        if case_id in missing:
            continue
        try:
            advance(expect(database, case_id, None), Step.LOCK_READ)
        except ConflictError as err:
            errors.append(RowError(row.row, row.reader, f"Case {case_id}: {err}"))
    return errors
