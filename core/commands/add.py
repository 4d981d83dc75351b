"""`second-read add`: put slides into the catalogue and queue their analysis."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands.options import (
    actor,
    home_option,
    model_option,
    mpp_option,
    settings_for,
    stain_option,
    tissue_option,
)
from core.domain import Stain


@click.command("add")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--case", "case_id", help="Case (a pseudonym) that all these slides belong to. [default: one per slide]")
@click.option("--no-analysis", is_flag=True, help="Only add; do not queue the analysis.")
@mpp_option
@stain_option
@tissue_option
@model_option
@home_option
def command(
    paths: tuple[Path, ...],
    *,
    case_id: str | None,
    no_analysis: bool,
    mpp: float | None,
    stain: str,
    tissue: str | None,
    model: str | None,
    home: Path | None,
) -> None:
    """Add slides, folders of slides, or manifests (CSV), and queue their analysis.

    A manifest has the column `path` and, where known, `case`, `mpp`, `stain`, `tissue`, `site` and `scanner`; relative
    paths are relative to the manifest. The queue is worked off by the dashboard's worker or by `second-read worker`.
    """
    from core.services import catalogue
    from core.services.queue import jobs

    settings = settings_for(home)
    who = actor()
    result = catalogue.add_paths(
        settings, paths, case_id=case_id, mpp=mpp, stain=Stain(stain), tissue=tissue, actor=who
    )
    for warning in result.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(f"Added {len(result.added)} slides; {len(result.existing)} were known already.")
    if not no_analysis and result.added:
        queued = jobs.enqueue(settings, result.added, model=model, actor=who)
        click.echo(f"Queued {len(queued)} analyses. They run while the dashboard or `second-read worker` runs.")
