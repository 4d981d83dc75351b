"""`second-read log`: the append-only log."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from core.commands import FullHelpGroup
from core.commands.options import home_option, settings_for

BROKEN = 1
"""Exit code of a log whose chain does not hold."""


@click.group("log", cls=FullHelpGroup)
def command() -> None:
    """Check the append-only log, and rebuild what is derived from it."""


@command.command("verify")
@home_option
def verify(*, home: Path | None) -> None:
    """Recompute the hash chain of the whole log and name the first row that was altered.

    Exit code 0 if the chain holds, 1 if it is broken.
    """
    from core.services.catalogue import verify_log

    result = verify_log(settings_for(home))
    click.echo(result.message, err=not result.ok)
    if not result.ok:
        sys.exit(BROKEN)


@command.command("rebuild")
@home_option
def rebuild(*, home: Path | None) -> None:
    """Derive the summaries behind the worklist anew from the log; the log itself is not changed.

    They are kept up to date by themselves: this is for a file that was repaired by hand.
    """
    from core.services.catalogue import rebuild_summaries

    count = rebuild_summaries(settings_for(home))
    click.echo(f"Rebuilt the summaries of {count:,} cases.")
