"""Running `second-read` in this process, as its entry point does, and as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from core.__main__ import main

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What `--json` printed, one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def only(self) -> dict[str, Any]:
        """The single object that `--json` printed."""
        (line,) = self.lines
        return line

    def refusal(self, *, code: int = 2) -> str:
        """The one sentence with which the command refused; fails if it said anything else."""
        assert self.code == code, self
        assert "Traceback" not in self.err, self.err
        said = [line for line in self.err.splitlines() if line and not line.startswith(("Usage:", "Try "))]
        assert len(said) == 1, self.err
        assert said[0].startswith(("second-read: ", "Error: ")), said
        assert self.out == ""
        return said[0]


def second_read(*arguments: object) -> Done:
    """Run the entry point in this process; it always ends in an exit code."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["second-read", *(str(argument) for argument in arguments)]
    code = 0
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def second_read_process(*arguments: object, timeout_s: float = 60) -> Done:
    """Run the command line as a user does, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "core", *(str(argument) for argument in arguments)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    return Done(ended.returncode, ended.stdout, ended.stderr)
