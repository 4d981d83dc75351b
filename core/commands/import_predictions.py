"""`second-read import-predictions`: take in what another system says about cases."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands import reads_options as options
from core.commands.options import actor, home_option, settings_for


@click.command("import-predictions")
@options.file_argument
@options.case_option
@click.option("--system", required=True, help="Name of the other system.")
@click.option("--system-version", required=True, help="Its version, so that results of two versions stay apart.")
@click.option("--scores", help="Wide: columns with a probability each, with commas.")
@click.option("--classes", help="Wide: classes in the order of --scores. [default: the names of the columns]")
@click.option("--class-name", help="Long: column with the class.")
@click.option("--probability", help="Long: column with the probability.")
@click.option("--label", help="Column with the class that the system calls.")
@click.option("--overlapping", is_flag=True, help="Classes do not exclude each other; they may sum to more than 1.")
@options.add_cases_option
@options.dry_run_option
@options.json_option
@home_option
def command(
    table: Path,
    *,
    case: str,
    system: str,
    system_version: str,
    scores: str | None,
    classes: str | None,
    class_name: str | None,
    probability: str | None,
    label: str | None,
    overlapping: bool,
    add_cases: bool,
    dry_run: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """Take in another system's predictions from a CSV TABLE: all of them or, if a row cannot be taken, none.

    The same table again adds nothing. Exit code 2 if rows cannot be taken; each is named with its column and the
    reason.
    """
    from core.interop.predictions_csv import PredictionsMapping
    from core.services.imports.predictions import import_predictions

    columns = options.words(scores)
    names = options.words(classes) or columns
    if len(names) != len(columns) or len(set(names)) != len(names):
        raise click.BadParameter(f"name {len(columns)} different classes, one for each score", param_hint="--classes")
    report = import_predictions(
        settings_for(home),
        table,
        PredictionsMapping(
            case=case,
            scores=dict(zip(names, columns, strict=True)) or None,
            class_name=class_name,
            probability=probability,
            label=label,
            exclusive=not overlapping,
        ),
        system=system,
        version=system_version,
        add_cases=add_cases,
        dry_run=dry_run,
        actor=actor(),
    )
    options.say_import(report, as_json=as_json)
