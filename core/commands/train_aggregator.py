"""`second-read train-aggregator`: train what turns the tiles of a slide into one score."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.commands.options import device_option, home_option, model_option, say_progress, settings_for, stride_option

_SHOWN = 5
"""So many slides that were left out are named with their reason."""


@click.command("train-aggregator")
@click.argument("kind", type=click.Choice(["logistic", "svm", "forest", "abmil"]))
@click.option("--name", required=True, help="Name to keep it under, and of its row among the scores of a slide.")
@click.option(
    "--labels",
    required=True,
    help='"reads" (diagnoses in the log), "truth" (planted in phantoms), or a CSV: slide_id, label, group (optional).',
)
@model_option
@click.option("--encoder", help="Encoder for abmil, e.g. model:idc or efficientnet_lite0. [default: the tile model]")
@click.option("--split", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CSV group, part to obey.")
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Of the cross-validation.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option(
    "--few-slides-accepted", is_flag=True, help="Train on fewer than 1,000 slides, with a warning on results."
)
@click.option("--resume", is_flag=True, help="Go on with a training of this name that was stopped.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder. [default: home/aggregators/NAME]"
)
@device_option
@stride_option
@home_option
def command(
    kind: str,
    *,
    name: str,
    labels: str,
    model: str | None,
    encoder: str | None,
    split: Path | None,
    folds: int,
    seed: int,
    few_slides_accepted: bool,
    resume: bool,
    out: Path | None,
    device: str | None,
    stride_um: float | None,
    home: Path | None,
) -> None:
    """Train a slide aggregator of KIND on slides of the catalogue, split by case, and keep it under its name.

    logistic, svm and forest learn from statistics of the tile probabilities of runs that are in the log; abmil (gated
    attention) learns from embeddings of the tiles. Activate the result with SECOND_READ_AGGREGATORS=NAME, or with
    `second-read analyse --aggregator NAME`.
    """
    from core.services.training.aggregator_training import TrainingRequest, train_aggregator

    settings = settings_for(home, device=device, stride_um=stride_um)
    request = TrainingRequest(
        kind=kind,
        name=name,
        labels=labels,
        model=model or settings.model,
        encoder=encoder,
        folder=out,
        seed=seed,
        folds=folds,
        split=split,
        few_slides_accepted=few_slides_accepted,
        resume=resume,
        command=_as_typed(),
    )
    trained = train_aggregator(settings, request, progress=say_progress)
    card = trained.result.card
    if card.warning:
        click.echo(f"Warning: {card.warning}", err=True)
    for slide_id, reason in list(trained.left_out.items())[:_SHOWN]:
        click.echo(f"Left out: {slide_id}: {reason}", err=True)
    if len(trained.left_out) > _SHOWN:
        click.echo(f"Left out: {len(trained.left_out) - _SHOWN} more slides.", err=True)
    measured = ", ".join(
        f"{metric.replace('_', ' ')} {card.metrics[metric]['value']:.3f} "
        f"({card.metrics[metric]['low']:.3f} to {card.metrics[metric]['high']:.3f})"
        for metric in ("auc", "balanced_accuracy", "sensitivity", "specificity")
    )
    click.echo(
        f"Trained {card.name} ({card.kind}) on {card.slides} slides of {card.groups} groups, {card.positives} with the "
        f"target, in {trained.result.seconds:.0f} s.\nOn held-out slides: {measured}.\nCard: {trained.result.path}"
    )


def _as_typed() -> str:
    """Return the command for the card, with files by their names: folders of this machine are nobody's business."""
    words = [Path(word).name if Path(word).exists() else word for word in sys.argv[1:]]
    return f"second-read {' '.join(words)}"
