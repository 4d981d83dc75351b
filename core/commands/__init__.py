"""The commands, one module each. Heavy libraries are imported inside the commands that need them."""

from __future__ import annotations

import importlib
import logging

import click

from core.domain import NOT_FOR_DIAGNOSIS

COMMANDS = (
    *("add", "analyse", "worker", "serve", "demo", "phantom", "train", "evaluate"),
    *(
        "convert-weights",
        "encoder",
        "train-aggregator",
        "conformal",
        "agreement",
        "import-reads",
        "import-predictions",
        "qc",
        "qc-import",
        "qc-compare",
        "qc-export",
        "log",
        "people",
        "export",
    ),
)
"""In the order in which `--help` lists them; each lives in the module of its name, dashes as underscores (`log` in
`log_commands`)."""


class FullHelpGroup(click.Group):
    """A group that lists every command with the whole first sentence of its help; click would cut it off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section of `--help` that lists the commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command)) for name, command in commands if command is not None])


class LazyGroup(FullHelpGroup):
    """A group that imports a command only when it is used, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Name the commands in their order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module and return the command in it."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(
            f"core.commands.{'log_commands' if cmd_name == 'log' else cmd_name.replace('-', '_')}"
        )
        return module.command


def _first_sentence(command: click.Command) -> str:
    paragraph = (command.help or "").split("\n\n")[0]
    return " ".join(paragraph.split()).split(". ")[0].removesuffix(".") + "."


@click.group(cls=LazyGroup, epilog=NOT_FOR_DIAGNOSIS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="second-read")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what happens, on standard error.")
def cli(*, verbose: bool) -> None:
    """Second Read: which cases deserve a second pair of eyes.

    Reads whole-slide images, runs patch models and quality control over them, compares the result with the recorded
    diagnosis, and keeps an auditable log. The log and the results lie in the folder that SECOND_READ_HOME names
    (default: ./second-read-data); slides stay where they are and are never changed.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
