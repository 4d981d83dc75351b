"""`second-read demo`: prepare the demonstration cohort and show it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.commands.options import settings_for
from core.commands.serve import address_option, port_option, serve

DEMO_HOME = "second-read-demo"


@click.command("demo")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the generated slides.")
@click.option("--prepare-only", is_flag=True, help="Prepare the cohort and stop.")
@port_option
@address_option
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=DEMO_HOME,
    show_default=True,
    help="Folder of the demonstration, apart from real data.",
)
def command(*, seed: int, prepare_only: bool, port: int, address: str, home: Path) -> None:
    """Prepare the demonstration cohort (generated phantom slides) and serve the dashboard.

    The first time takes one to three minutes; what is there already is kept. Phantom slides say nothing about
    clinical accuracy.
    """
    from core.services.demo import prepare_demo

    settings = settings_for(home)
    prepare_demo(settings, seed=seed, progress=_say_progress)
    if not prepare_only:
        serve(settings, port=port, address=address)


def _say_progress(step: str, done: int, total: int) -> None:
    """One line that is rewritten on a terminal, one line a step in a log file."""
    line = f"{step}: {done} of {total}"
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", err=True, nl=done >= total)
    else:
        click.echo(line, err=True)
