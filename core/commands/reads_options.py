"""Options of the commands that take tables of reads, and how their words become values."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from core.schemes import Scheme
    from core.services.imports.report import ImportReport

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

REFUSED = 2
"""Exit code if rows cannot be taken: nothing was written."""

file_argument: Decorator = click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
case_option: Decorator = click.option("--id", "case", default="case", show_default=True, help="Column with the case.")
layout_option: Decorator = click.option(
    "--layout",
    type=click.Choice(["auto", "wide", "long"]),
    default="auto",
    show_default=True,
    help="wide: a row a case, a column a reader. long: a row a read.",
)
readers_option: Decorator = click.option(
    "--readers", help="Wide: columns of the readers, with commas. [default: found by their names and values]"
)
reader_option: Decorator = click.option("--reader", help="Long: column with the reader.")
category_option: Decorator = click.option("--category", help="Long: column with the result.")
confidence_option: Decorator = click.option("--confidence", help="Long: column with the confidence, 1 to 5.")
stage_option: Decorator = click.option("--stage", help="Long: column with before_model or after_model.")
scheme_option: Decorator = click.option(
    "--scheme", help="Reading scheme: the name of a shipped one, or a TOML file (ends in .toml)."
)
add_cases_option: Decorator = click.option(
    "--add-cases", is_flag=True, help="Add cases that are not in the log. [default: they are errors]"
)
dry_run_option: Decorator = click.option("--dry-run", is_flag=True, help="Only say what would happen.")
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def words(text: str | None) -> tuple[str, ...]:
    """Return the words between commas; none for None."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def scheme_of(text: str | None) -> Scheme | None:
    """Return the scheme that an option names, or None for None."""
    from core.schemes import load_scheme, read_scheme

    if text is None:
        return None
    return read_scheme(Path(text)) if text.endswith(".toml") else load_scheme(text)


def say_import(report: ImportReport, *, as_json: bool) -> None:
    """Print what an import did; rows that cannot be taken end the command with `REFUSED`."""
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        click.echo(_sentence(report))
        for error in report.errors:
            click.echo(f"Row {error.row}, column {error.column}: {error.message}", err=True)
    if report.errors:
        sys.exit(REFUSED)


def _sentence(report: ImportReport) -> str:
    if report.errors:
        count = len(report.errors)
        what = "1 row or cell" if count == 1 else f"{count} rows or cells"
        return f"{report.file}: {what} cannot be taken, so nothing was written."
    verb = "would be added" if report.dry_run else "added"
    cases = f", {len(report.cases_added)} of their cases too" if report.cases_added else ""
    return f"{report.file}: {report.added} of {report.found} {verb}{cases}; {report.known} were known already."
