"""`second-read demo`: prepare the demonstration cohort and show it."""

from __future__ import annotations

from pathlib import Path

import click

from core.commands.options import say_progress, settings_for
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
    from core.services.story.demo import prepare_demo

    settings = settings_for(home)
    prepare_demo(settings, seed=seed, progress=say_progress)
    if not prepare_only:
        serve(settings, port=port, address=address)
