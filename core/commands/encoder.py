"""`second-read encoder`: encoders, their licences, and embeddings of slides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.commands import FullHelpGroup
from core.commands.options import actor, batch_option, device_option, home_option, say_progress, settings_for

if TYPE_CHECKING:
    from core.services.training.encoders import ListedEncoder

MIB = 2**20


@click.group("encoder", cls=FullHelpGroup)
def command() -> None:
    """Encoders, which describe tiles by vectors: their licences, and embeddings of slides.

    ENCODER is a tile model (model:idc), a backbone (efficientnet_lite0, resnet50=FILE.safetensors), or a folder with
    the files of a published encoder: its path, or its name below `encoders` in the home. Weights are never downloaded.
    """


@command.command("list")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def list_command(*, home: Path | None, as_json: bool) -> None:
    """List the encoders of this installation with licence and acceptance, and the size of the embedding cache."""
    from core.services.training.embedding_cache import cache_size
    from core.services.training.encoders import list_encoders

    settings = settings_for(home)
    for encoder in list_encoders(settings):
        click.echo(json.dumps(_plain(encoder)) if as_json else _line(encoder))
    size = cache_size(settings)
    if not as_json:
        click.echo(f"Cached embeddings: {size.files} files, {size.bytes / MIB:.1f} MiB")


@command.command("accept")
@click.argument("encoder")
@click.option("--yes", is_flag=True, help="Accept without being asked; for scripts of somebody who has read the terms.")
@home_option
def accept(encoder: str, *, yes: bool, home: Path | None) -> None:
    """Show an encoder's licence and record that you accept it.

    The acceptance is an event of the log: who, when, and the digest of the terms shown.
    """
    from core.services.training.encoders import accept_licence, facts_of

    settings = settings_for(home)
    facts = facts_of(settings, encoder)
    licence = facts.licence
    click.echo(f"{facts.title}\n{facts.source}\n\nLicence: {licence.name} {licence.url}\n\n{licence.terms}\n")
    if not licence.must_be_accepted:
        click.echo("Nothing has to be accepted.")
        return
    if not yes:
        click.confirm("Do you accept these terms, for yourself and for the use of this installation?", abort=True)
    accept_licence(settings, encoder, shown_sha256=licence.sha256, actor=actor())
    click.echo(f"Accepted by {actor()}.")


@command.command("embed")
@click.argument("encoder")
@click.argument("slide_ids", nargs=-1)
@click.option("--mpp", type=click.FloatRange(min=0, min_open=True), help="um/px for an encoder without a scale.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@home_option
@device_option
@batch_option
def embed(
    encoder: str,
    slide_ids: tuple[str, ...],
    *,
    mpp: float | None,
    as_json: bool,
    home: Path | None,
    device: str | None,
    batch_size: int | None,
) -> None:
    """Embed slides of the catalogue, all or those named, and keep the vectors for the next time.

    A slide that cannot be embedded is named with the reason; the others go on.
    """
    from core.services.training.embeddings import embed_slides, tile_spec
    from core.services.training.encoders import open_encoder

    settings = settings_for(home, device=device, batch_size=batch_size)
    opened = open_encoder(settings, encoder)
    failed = 0
    outcomes = embed_slides(
        settings,
        opened,
        slide_ids=slide_ids or None,
        spec=tile_spec(settings, opened, mpp=mpp),
        progress=lambda slide, done, total: say_progress(slide, done, total),
    )
    for outcome in outcomes:
        failed += not outcome.ok
        click.echo(json.dumps(outcome.to_dict()) if as_json else outcome.sentence)
    if failed:
        raise click.exceptions.Exit(1)


@command.command("clear")
@home_option
def clear(*, home: Path | None) -> None:
    """Remove all cached embeddings; they are computed again when they are needed."""
    from core.services.training.embedding_cache import clear_cache

    size = clear_cache(settings_for(home))
    click.echo(f"Removed {size.files} files, {size.bytes / MIB:.1f} MiB.")


@command.command("train-head")
@click.argument("encoder")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Of the head: lower-case letters, digits, - and _.")
@click.option("--classes", required=True, help="Class names in order, with commas; folder names of the layout.")
@click.option("--tile-px", type=click.IntRange(8, 4096), required=True, help="Side of the patches.")
@click.option(
    "--layout", type=click.Choice(["idc", "class_folders", "class_group"]), default="class_group", show_default=True
)
@click.option("--groups", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CSV with file and group.")
@click.option("--kind", type=click.Choice(["linear_probe", "prototypes"]), default="linear_probe", show_default=True)
@click.option("--balanced", is_flag=True, help="Linear probe: weigh all classes alike.")
@click.option("--shots", type=click.IntRange(1), help="Prototypes: examples a class. [default: all]")
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Of the evaluation by patient.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@home_option
@device_option
@batch_option
def train_head_command(
    encoder: str,
    data: Path,
    *,
    name: str,
    classes: str,
    tile_px: int,
    layout: str,
    groups: Path | None,
    kind: str,
    balanced: bool,
    shots: int | None,
    folds: int,
    seed: int,
    home: Path | None,
    device: str | None,
    batch_size: int | None,
) -> None:
    """Train a linear probe or prototypes on a folder of patches, and evaluate it by patient.

    The head lies below `heads` in the home: numbers as safetensors and a card that names encoder, data and metrics.
    """
    from core.services.training.heads import HeadPlan, train_head

    plan = HeadPlan(
        name=name,
        encoder=encoder,
        data=data,
        layout=layout,
        classes=tuple(part.strip() for part in classes.split(",")),
        tile_px=tile_px,
        groups=groups,
        kind=kind,
        balanced=balanced,
        shots=shots,
        folds=folds,
        seed=seed,
    )
    settings = settings_for(home, device=device, batch_size=batch_size)
    done = train_head(settings, plan, progress=lambda count, total: say_progress("embedded", count, total))
    for metric in ("macro_auc", "balanced_accuracy", "macro_f1"):
        found = done.card.metrics[metric]
        click.echo(f"{metric} {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})")
    click.echo(f"Card: {done.path}")


def _plain(encoder: ListedEncoder) -> dict[str, object]:
    facts, accepted = encoder.facts, encoder.acceptance
    if facts is None:
        return {"encoder": encoder.spec, "usable": False, "problem": encoder.problem}
    return {
        "encoder": encoder.spec,
        "name": facts.name,
        "title": facts.title,
        "embedding_size": facts.embedding_size,
        "tile_px": facts.input.tile_px,
        "mpp": facts.input.mpp,
        "licence": facts.licence.name,
        "licence_url": facts.licence.url,
        "source": facts.source,
        "usable": encoder.usable,
        "accepted_by": accepted.actor if accepted else None,
        "accepted_at_utc": accepted.at_utc.isoformat() if accepted else None,
    }


def _line(encoder: ListedEncoder) -> str:
    facts = encoder.facts
    if facts is None:
        return f"{encoder.spec}: cannot be used. {encoder.problem}"
    scale = f"{facts.input.mpp:g} um/px" if facts.input.mpp else "any scale"
    accepted = encoder.acceptance
    state = f"accepted by {accepted.actor}" if accepted else "not accepted yet"
    state = state if facts.licence.must_be_accepted else "nothing to accept"
    return (
        f"{encoder.spec}: {facts.title}; vectors of {facts.embedding_size}, "
        f"tiles of {facts.input.tile_px} px at {scale}; licence {facts.licence.name} ({state})"
    )
