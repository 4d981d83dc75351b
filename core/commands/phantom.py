"""`second-read phantom`: generate slides with known truth."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands.options import say_progress


@click.command("phantom")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same slides.")
@click.option(
    "--cases",
    type=click.IntRange(1, 1000),
    help="Number of cases to generate. [default: the demonstration cohort of about ten]",
)
def command(out: Path, *, seed: int, cases: int | None) -> None:
    """Write generated H&E and IHC slides with planted lesions and artefacts into the folder OUT.

    Each slide is a tiled pyramidal TIFF with its scale; beside it lies the truth as GeoJSON in full-resolution
    pixels. manifest.csv and diagnoses.csv describe the cohort. Phantoms test the software; they say nothing about
    clinical accuracy.
    """
    from core.services.story.demo import write_phantoms

    manifest = write_phantoms(
        out, seed=seed, cases=cases, progress=lambda done, total, name: say_progress(name, done, total)
    )
    click.echo(f"Wrote {manifest}")
