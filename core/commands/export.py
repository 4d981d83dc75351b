"""`second-read export`: results and log as files other programs read."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands.options import actor, home_option, settings_for


@click.command("export")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--case", "case_ids", multiple=True, help="Only this case; may be given several times.")
@home_option
def command(out: Path, *, case_ids: tuple[str, ...], home: Path | None) -> None:
    """Write the worklist, scores, flags, diagnoses and the log into the folder OUT.

    Tile results follow the layout of WSInfer (model-outputs-csv, model-outputs-geojson for QuPath). Label and macro
    images are never exported.
    """
    from core.services.export import export

    written = export(settings_for(home), out, case_ids=case_ids, actor=actor())
    click.echo(f"Wrote {len(written)} files to {out}")
