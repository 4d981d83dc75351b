"""`second-read convert-weights`: from a PyTorch pickle to safetensors."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("convert-weights")
@click.argument("source", metavar="IN.pth", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", metavar="OUT.safetensors", type=click.Path(path_type=Path))
@click.option("--key", help="Entry of the checkpoint that holds the weights, where it holds several.")
def command(source: Path, target: Path, *, key: str | None) -> None:
    """Convert weights that PyTorch saved as a pickle into safetensors.

    Weights are used only as safetensors, since loading a pickle can run code. This command reads tensors and nothing
    else, keeps their names and number formats, and refuses files that hold more than tensors and plain containers.
    """
    from models.conversion import convert_weights

    done = convert_weights(source, target, key=key)
    where = f" from its entry {done.taken_from!r}" if done.taken_from else ""
    click.echo(f"Read {source.name} as tensors only; no code of it was run.")
    click.echo(f"Took {done.tensors} tensors ({done.numbers:,} numbers){where}.")
    if done.prefix_removed:
        click.echo(f"Removed {done.prefix_removed!r} from the beginning of every name.")
    if done.left_out:
        click.echo(f"Left out, since they are no weights: {', '.join(done.left_out)}.")
    click.echo(f"Wrote {target}, {target.stat().st_size / 1e6:.1f} MB, SHA-256 {done.sha256}")
