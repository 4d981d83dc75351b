"""Options and small helpers that several commands share."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from core.domain import Mpp, MppSource, Stain
from core.errors import InvalidMppError
from core.roles import COMMAND_LINE_MARK
from core.settings import Settings

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def settings_for(
    home: Path | None, *, device: str | None = None, batch_size: int | None = None, stride_um: float | None = None
) -> Settings:
    """Settings of the environment, overridden by what the command line gave."""
    settings = Settings.from_environment()
    return replace(
        settings,
        home=home.expanduser().absolute() if home else settings.home,
        device=device or settings.device,
        batch_size=batch_size or settings.batch_size,
        stride_um=stride_um or settings.stride_um,
    )


def actor() -> str:
    """Who runs the command, for the log."""
    try:
        return f"{getpass.getuser()}{COMMAND_LINE_MARK}"
    except (OSError, KeyError):
        return f"unknown{COMMAND_LINE_MARK}"


def check_mpp(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse a scale that no scanner produces."""
    if value is None:
        return None
    try:
        Mpp(value, value, MppSource.USER)
    except InvalidMppError as err:
        raise click.BadParameter(str(err)) from err
    return value


def say_progress(step: str, done: int, total: int) -> None:
    """One line that is rewritten on a terminal, one line a step in a log file."""
    line = f"{step}: {done} of {total}"
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", err=True, nl=done >= total)
    else:
        click.echo(line, err=True)


home_option: Decorator = click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="Folder of the log and the results. [default: $SECOND_READ_HOME or ./second-read-data]",
)
mpp_option: Decorator = click.option(
    "--mpp",
    type=float,
    callback=check_mpp,
    help="Micrometres per pixel at full resolution, for slides that state none or a wrong one.",
)
stain_option: Decorator = click.option(
    "--stain",
    type=click.Choice([stain.value for stain in Stain]),
    default=Stain.UNKNOWN.value,
    show_default=True,
    help="How the slides are stained. It is never guessed.",
)
tissue_option: Decorator = click.option(
    "--tissue", help='Organ the tissue comes from, e.g. "breast", for slides that are all of one. It is never guessed.'
)
model_option: Decorator = click.option("--model", help="Name of the model card. [default: idc]")
device_option: Decorator = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where the network runs. [default: auto]"
)
batch_option: Decorator = click.option(
    "--batch-size", type=click.IntRange(1, 4096), help="Tiles per forward pass. [default: 32]"
)
stride_option: Decorator = click.option(
    "--stride-um",
    type=click.FloatRange(min=0, min_open=True),
    help="Step from tile to tile in micrometres; less than the tile size makes tiles overlap. [default: tile size]",
)
