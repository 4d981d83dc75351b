"""The README against the program: every command, option, column and state that it names exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from core.commands import COMMANDS, cli
from core.domain import NOT_FOR_DIAGNOSIS, SlideStatus
from core.settings import HOME_VARIABLE
from core.slides.manifest import read_manifest

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def calls(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every call of the program in code blocks and inline code."""
    for block in re.findall(r"```.*?\n(.*?)```|`([^`\n]+)`", text, re.S):
        for line in "\n".join(block).splitlines():
            found = re.search(r"second-read( .*)?$", line.split("#")[0].strip())
            if found and not line.strip().startswith(("git", "cd")):
                yield shlex.split(found.group(1) or "")


def resolve(arguments: list[str]) -> tuple[click.Command, list[str]]:
    """Follow the arguments down to the command they name; return it with what is left."""
    command: click.Command = cli
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        sub = command.get_command(click.Context(command), arguments[0])
        assert sub is not None, f"there is no command {arguments[0]!r}"
        command, arguments = sub, arguments[1:]
    return command, arguments


CALLS = list(calls(README))


def test_the_readme_shows_how_to_call_the_program() -> None:
    assert len(CALLS) >= 5
    named = {call[0] for call in CALLS if call and not call[0].startswith("-")}
    assert {"add", "serve", "analyse", "demo", "export", "log"} <= named


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call) or "alone")
def test_every_call_in_the_readme_is_one_the_program_takes(call: list[str]) -> None:
    command, rest = resolve([argument for argument in call if "..." not in argument])
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help"}
    for argument in rest:
        if argument.startswith("-"):
            assert argument.split("=")[0] in known, f"second-read {' '.join(call)}"


def test_the_help_of_every_command_names_only_commands_there_are() -> None:
    for name in COMMANDS:
        command, _ = resolve([name])
        for words in re.findall(r"`second-read ([a-z]+)", command.help or ""):
            assert words in COMMANDS, f"the help of {name} names {words}"


def test_every_state_of_a_slide_is_in_the_readme() -> None:
    for status in SlideStatus:
        assert f"`{status.value}`" in README


def test_the_columns_of_a_manifest_in_the_readme_are_taken(tmp_path: Path) -> None:
    found = re.search(r"columns ((?:\w+, )+\w+)", README)
    assert found is not None
    columns = found.group(1).split(", ")
    assert set(columns) == {"path", "case", "mpp", "stain", "tissue", "site", "scanner"}
    manifest = tmp_path / "manifest.csv"
    values = {"path": "a.svs", "mpp": "0.5", "stain": "he"}
    manifest.write_text(f"{','.join(columns)}\n{','.join(values.get(column, 'x') for column in columns)}\n")
    assert len(read_manifest(manifest)) == 1


def test_the_make_targets_of_the_readme_are_in_the_makefile() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"make ([a-z]+)", "".join(re.findall(r"```.*?```|`[^`]+`", README, re.S))))
    assert {"demo", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_files_that_the_readme_shows_are_there() -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert linked
    for path in linked:
        assert (PROJECT / path).is_file(), path
    assert (PROJECT / "constraints.txt").is_file()


def test_the_readme_says_what_the_tool_is_not_for_and_where_data_lie() -> None:
    assert NOT_FOR_DIAGNOSIS in README
    assert HOME_VARIABLE in README
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert f"Python {wanted.removeprefix('>=')} or newer" in README
