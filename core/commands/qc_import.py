"""`second-read qc-import`: what other systems say about the quality of slides."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands import reads_options as options
from core.commands.options import actor, home_option, settings_for


@click.command("qc-import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--grandqc-version", default="", help="Version of GrandQC, to tell results of two versions apart.")
@options.dry_run_option
@options.json_option
@home_option
def command(source: Path, *, grandqc_version: str, dry_run: bool, as_json: bool, home: Path | None) -> None:
    """Take in HistoQC's results.tsv, or masks of GrandQC: all of SOURCE or, if a part cannot be taken, nothing.

    SOURCE is a .tsv file, one mask (case.svs_mask.png), or the folder mask_qc. They are kept beside our own results and
    compared with them. The same again adds nothing. Exit code 2 if rows or masks cannot be taken; each is named.
    """
    from core.services.quality.grandqc import import_grandqc, masks_at
    from core.services.quality.histoqc import import_histoqc

    settings = settings_for(home)
    if source.suffix.lower() == ".tsv":
        report = import_histoqc(settings, source, dry_run=dry_run, actor=actor())
    else:
        masks = masks_at(source)
        report = import_grandqc(settings, masks, version=grandqc_version, dry_run=dry_run, actor=actor())
    options.say_import(report, as_json=as_json)
