"""`second-read import-reads`: take in reads that were made elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands import reads_options as options
from core.commands.options import actor, home_option, settings_for


@click.command("import-reads")
@options.file_argument
@options.case_option
@options.layout_option
@options.readers_option
@options.reader_option
@options.category_option
@options.confidence_option
@options.stage_option
@click.option("--grade", help="Long: column with the grade, in words.")
@click.option("--text", help="Long: column with free text.")
@click.option("--role-column", help="Long: column with primary, second, adjudicator, consensus or report.")
@click.option("--blinded", help="Long: column with yes or no, whether the reader was blinded to the model.")
@click.option("--time", "submitted_at", help="Long: column with the time of the read (ISO 8601; UTC if no zone).")
@click.option("--seconds", help="Long: column with the seconds spent on the case.")
@click.option(
    "--role",
    type=click.Choice(["primary", "second", "adjudicator", "consensus", "report"]),
    help="Role of all reads. [default: the first read of a case is primary, the others second]",
)
@options.scheme_option
@click.option(
    "--duplicates",
    type=click.Choice(["refuse", "first", "last"]),
    default="refuse",
    show_default=True,
    help="Which read counts where one reader read a case twice with different results.",
)
@click.option("--case-prefix", default="", help="Put before every case id: ids of one study are not those of another.")
@options.add_cases_option
@options.dry_run_option
@options.json_option
@home_option
def command(
    table: Path,
    *,
    case: str,
    layout: str,
    readers: str | None,
    reader: str | None,
    category: str | None,
    confidence: str | None,
    stage: str | None,
    grade: str | None,
    text: str | None,
    role_column: str | None,
    blinded: str | None,
    submitted_at: str | None,
    seconds: str | None,
    role: str | None,
    scheme: str | None,
    duplicates: str,
    case_prefix: str,
    add_cases: bool,
    dry_run: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """Take in the reads of a CSV TABLE: all of them or, if one cannot be taken, none.

    Without --scheme the results are benign, malignant or indeterminate. The same table again adds nothing. Exit code
    2 if rows cannot be taken; each is named with its column and the reason.
    """
    from core.interop.reads_layout import Layout, ReadsMapping
    from core.services.agreement.read_tables import Duplicates
    from core.services.imports.reads import import_reads
    from core.vocabulary import ReadRole

    mapping = ReadsMapping(
        case=case,
        layout=Layout(layout),
        readers=options.words(readers),
        reader=reader,
        category=category,
        grade=grade,
        confidence=confidence,
        text=text,
        stage=stage,
        role=role_column,
        blinded=blinded,
        submitted_at=submitted_at,
        seconds=seconds,
    )
    report = import_reads(
        settings_for(home),
        table,
        mapping,
        scheme=options.scheme_of(scheme),
        role=ReadRole(role) if role else None,
        duplicates=Duplicates(duplicates),
        case_prefix=case_prefix,
        add_cases=add_cases,
        dry_run=dry_run,
        actor=actor(),
    )
    options.say_import(report, as_json=as_json)
