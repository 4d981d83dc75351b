"""`second-read train`: train a patch classifier."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from core.commands.options import say_progress, settings_for

if TYPE_CHECKING:  # it needs torch, which takes seconds to import
    from models.training.progress import Moment

BAR_CELLS = 24
REDRAW_SECONDS = 0.1
CLEAR = "\r\x1b[K"
"""Back to the start of the line, and nothing on it."""


@click.command("train")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the output folder.")
def command(config: Path, *, resume: bool) -> None:
    """Train a patch classifier as CONFIG (TOML) describes, split by patient, and write weights, card and log.

    The patches come from folders (Kaggle IDC layout, class folders, class and group folders) or are cut from slides
    with QuPath annotations. Example: models/configs/idc.toml, with which the shipped model was trained.
    """
    from core.services.training.patch_cutting import patches_of
    from models.training.run import train_from_config

    settings = settings_for(None)
    result = train_from_config(
        config,
        resume=resume,
        progress=TrainingBar(sys.stderr),
        read=lambda plan: patches_of(settings, plan, progress=say_progress),
    )
    criterion = result.criterion.replace("_", " ")
    several = f" (the first of {len(result.card.members)} networks)" if len(result.card.members) > 1 else ""
    click.echo(
        f"Trained {result.card.name}{several}: epoch {result.best_epoch} of {result.epochs_run} was best, with a "
        f"validation {criterion} of {result.criterion_value:.4f}; {result.seconds:.0f} s of training.\n"
        f"Weights, log and record: {result.output}\n"
        f"Card: {result.output / 'cards' / f'{result.card.name}.toml'}"
    )


class TrainingBar:
    """Tells how far a training is: every epoch on a line, and on a terminal a bar that moves with every step."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._first: tuple[float, float] | None = None
        self._drawn = 0.0

    def __call__(self, moment: Moment) -> None:
        """Print what an epoch brought, and redraw the bar at most ten times a second."""
        terminal = self._stream.isatty()
        if moment.sentence:
            click.echo((CLEAR if terminal else "") + moment.sentence, file=self._stream)
        if not terminal or moment.steps == 0:
            return
        now, done = self._clock(), _share_done(moment)
        if self._first is None:
            self._first = (now, done)
        if moment.step == 0 or now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            line = bar_line(moment, seconds_left=self._left(now, done)) if done < 1 else ""
            click.echo(CLEAR + line, file=self._stream, nl=False)

    def _left(self, now: float, done: float) -> float | None:
        """Seconds until the last epoch at the pace of this session; None before there is a pace."""
        started, done_then = self._first or (now, done)
        return (now - started) * (1 - done) / (done - done_then) if done > done_then else None


def bar_line(moment: Moment, *, seconds_left: float | None) -> str:
    """Return one line: a bar over all epochs, the step of this one, and the time left if no epoch is saved."""
    filled = round(BAR_CELLS * _share_done(moment))
    network = f"network {moment.member}/{moment.members}, " if moment.members > 1 else ""
    epoch = min(moment.epoch + 1, moment.epochs)
    left = ""
    if seconds_left is not None:
        minutes, seconds = divmod(round(seconds_left), 60)
        left = f", at most {minutes // 60}:{minutes % 60:02}:{seconds:02} left"
    return (
        f"[{'#' * filled}{'-' * (BAR_CELLS - filled)}] {network}epoch {epoch}/{moment.epochs}, "
        f"step {moment.step}/{moment.steps}{left}"
    )


def _share_done(moment: Moment) -> float:
    epochs = (moment.member - 1) * moment.epochs + moment.epoch + moment.step / moment.steps
    return epochs / (moment.members * moment.epochs)
