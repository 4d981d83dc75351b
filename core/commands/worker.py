"""`second-read worker`: work off the queue."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.commands.options import batch_option, device_option, home_option, settings_for, stride_option


@click.command("worker")
@click.option("--once", is_flag=True, help="Stop when the queue is empty.")
@click.option("--parent", type=int, hidden=True, help="Process id whose end ends the worker (set by the dashboard).")
@device_option
@batch_option
@stride_option
@home_option
def command(
    *,
    once: bool,
    parent: int | None,
    device: str | None,
    batch_size: int | None,
    stride_um: float | None,
    home: Path | None,
) -> None:
    """Analyse queued slides until stopped with Ctrl+C.

    The dashboard starts a worker of its own; start more by hand on the same machine if it has cores or GPUs to spare.
    A worker that is killed loses nothing: the next one takes its slide over where it stopped.
    """
    from core.services.queue.worker import run_worker

    settings = settings_for(home, device=device, batch_size=batch_size, stride_um=stride_um)
    sys.exit(run_worker(settings, once=once, parent_pid=parent))
