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
    from models.training.config import read_config
    from models.training.run import train

    plan = read_config(config)
    result = train(
        plan,
        resume=resume,
        progress=lambda moment: click.echo(moment.sentence, err=True) if moment.sentence else None,
    )
    click.echo(
        f"Trained {result.card.name}: epoch {result.best_epoch} of {result.epochs_run} was best, with a validation "
        f"{plan.criterion} of {result.criterion_value:.4f}; {result.seconds:.0f} s of training.\n"
        f"Weights, log and record: {result.output}\n"
        f"Card: {result.output / 'cards' / f'{result.card.name}.toml'}"
    )
