"""`second-read qc-export`: the quality of all slides as a table, or of one slide as a report."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands.options import actor, home_option, settings_for

NOTHING_IN_IT = (
    " without a row: no slide here is measured. Add slides with second-read add, and have them measured by "
    "second-read worker."
)


@click.command("qc-export")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--slide", "slide_id", help="The report of this slide instead: OUT ends in .html or .pdf.")
@home_option
def command(out: Path, *, slide_id: str | None, home: Path | None) -> None:
    """Write the quality of the slides to OUT: HistoQC's layout if it ends in .tsv, every part if it ends in .csv.

    Shares of artefacts are of tissue. With --slide, OUT is the report of that slide, as one HTML page or as PDF.
    """
    from core.services.quality.document import qc_report_html, qc_report_pdf
    from core.services.quality.export import cohort_csv, histoqc_table

    settings, suffix, note = settings_for(home), out.suffix.lower(), ""
    if suffix not in ((".html", ".pdf") if slide_id else (".tsv", ".csv")):
        wanted = ".html or .pdf with --slide" if slide_id else ".tsv or .csv"
        raise click.BadParameter(f"the name of the file must end in {wanted}", param_hint="OUT")
    if slide_id is None:
        table = histoqc_table if suffix == ".tsv" else cohort_csv
        text = table(settings, actor=actor())
        content, note = text.encode(), "" if _rows(text) > (suffix == ".csv") else NOTHING_IN_IT
    elif suffix == ".pdf":
        content = qc_report_pdf(settings, slide_id, actor=actor())
    else:
        content = qc_report_html(settings, slide_id, actor=actor()).encode()
    try:
        out.write_bytes(content)
    except OSError as err:
        raise click.BadParameter(f"{out} cannot be written ({err.strerror})", param_hint="OUT") from err
    click.echo(f"Wrote {out}{note}")


def _rows(table: str) -> int:
    """Lines without a mark: HistoQC's line of names has one, that of CSV has none."""
    return sum(not line.startswith("#") for line in table.splitlines())
