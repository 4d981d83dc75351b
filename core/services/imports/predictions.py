"""Taking in what other systems say about cases: checked as a whole, written in one transaction, never twice."""

from __future__ import annotations

from pathlib import Path

from core.errors import InputError
from core.interop.csv_table import CsvTable, read_csv
from core.interop.predictions_csv import PredictionRow, PredictionsMapping, parse_predictions
from core.roles import Permission
from core.services.imports.report import ImportReport, import_key, missing_cases, unknown_case_errors
from core.services.people.authority import require
from core.settings import Settings
from core.store import cases, imports
from core.store.connection import open_log, writing


def import_predictions(
    settings: Settings,
    path: Path,
    mapping: PredictionsMapping,
    *,
    system: str,
    version: str,
    add_cases: bool = False,
    dry_run: bool,
    actor: str,
) -> ImportReport:
    """Take in what another system says about cases from a CSV file; see `import_prediction_table`.

    Raises:
        InputError: the file, a column or the system's name cannot be used; bad rows are in the report instead.
        NotAllowedError: the actor may not import.
    """
    return import_prediction_table(
        settings,
        read_csv(path),
        mapping,
        system=system,
        version=version,
        add_cases=add_cases,
        dry_run=dry_run,
        actor=actor,
    )


def import_prediction_table(
    settings: Settings,
    table: CsvTable,
    mapping: PredictionsMapping,
    *,
    system: str,
    version: str,
    add_cases: bool = False,
    dry_run: bool,
    actor: str,
) -> ImportReport:
    """Take in what another system says about cases: all of the table or, if a row cannot be taken, none.

    A prediction that is in the log already is left alone; another one of the same system stands beside it.

    Args:
        settings: Where the log is.
        table: Wide or long.
        mapping: Which column is what.
        system: Name of the other system.
        version: Of the other system.
        add_cases: Whether cases that are not in the log are added; otherwise they are errors.
        dry_run: Only report.
        actor: Who imports; needs the permission to.

    Raises:
        InputError: a column or the system's name cannot be used; bad rows are in the report instead.
        NotAllowedError: the actor may not import.
    """
    if not (system.strip() and version.strip()):
        raise InputError("Name the other system and its version, so that its predictions can be told apart.")
    parsed = parse_predictions(table, mapping)
    new = [_prediction(row, system=system.strip(), version=version.strip(), source=table.name) for row in parsed.rows]
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.IMPORT_READS)
        known = imports.known_predictions(database, (prediction.import_key for prediction in new))
        fresh = [prediction for prediction in new if prediction.import_key not in known]
        missing = missing_cases(database, [prediction.case_id for prediction in fresh])
        errors = list(parsed.errors)
        if not add_cases:
            errors += unknown_case_errors(mapping.case, [(row.row, row.case) for row in parsed.rows], missing)
        if not (dry_run or errors):
            for case_id in missing:
                cases.ensure_case(database, case_id, site=None, actor=actor)
            for prediction in fresh:
                imports.insert_prediction(database, prediction, actor=actor)
    return ImportReport(
        file=table.name,
        dry_run=dry_run,
        found=len(new),
        added=0 if errors else len(fresh),
        known=len(new) - len(fresh),
        empty=0,
        cases_added=missing if add_cases and not errors else (),
        errors=tuple(sorted(errors, key=lambda error: error.row)),
    )


def _prediction(row: PredictionRow, *, system: str, version: str, source: str) -> imports.NewPrediction:
    return imports.NewPrediction(
        case_id=row.case,
        system=system,
        system_version=version,
        probabilities=row.probabilities,
        label=row.label,
        source=source,
        import_key=import_key(row.case, system, version, dict(row.probabilities), row.label),
    )
