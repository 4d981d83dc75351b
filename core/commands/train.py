"""`second-read train`: train a patch classifier."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("train")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the output folder.")
def command(config: Path, *, resume: bool) -> None:
    """Train a patch classifier as CONFIG (TOML) describes, split by patient, and write weights, card and log.

    Example: models/configs/idc.toml, with which the shipped model was trained.
    """
    from models.training import train_from_config

    result = train_from_config(
        config,
        resume=resume,
        progress=lambda _done, _total, sentence: click.echo(sentence, err=True),
    )
    click.echo(
        f"Trained {result.card.name}: epoch {result.best_epoch} of {result.epochs_run} was best, "
        f"{result.seconds:.0f} s of training. Card, weights and log: {result.output}"
    )
