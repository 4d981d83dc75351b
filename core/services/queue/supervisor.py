"""Keeping one worker process alive for as long as the dashboard runs."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import core
from core.errors import StorageError
from core.services.queue.processes import LockFile
from core.settings import HOME_VARIABLE, Settings
from core.store.connection import open_log

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often the supervisor looks at its worker."""
BACK_OFF_S = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Pauses before a worker that died is started again, longer each time."""
HEALTHY_S = 60.0
"""A worker that lived this long starts over with the shortest pause."""
END_S = 8.0
"""How long a worker may take to put its job back when the dashboard ends."""


@asynccontextmanager
async def supervise(settings: Settings, *, command: Sequence[str] | None = None) -> AsyncGenerator[None]:
    """Keep a worker process running while the block runs, and end it afterwards.

    Of several dashboards on one home only one has a worker; another takes over when the first ends. A home that cannot
    be used is logged and leaves the dashboard without a worker, so that its pages can say what is wrong.

    Args:
        settings: Passed on to the worker through its environment.
        command: Program and arguments of the worker instead of `python -m core worker --parent <this process>`.
    """
    task = asyncio.create_task(_keep(settings, tuple(command or _command())))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _command() -> tuple[str, ...]:
    return (sys.executable, "-m", "core", "worker", "--parent", str(os.getpid()))


async def _keep(settings: Settings, command: tuple[str, ...]) -> None:
    try:
        with open_log(settings):
            pass
    except StorageError as err:
        log.error("No worker is started: %s", err)
        return
    lock = LockFile(settings.home / "worker.lock")
    try:
        while not lock.acquire():
            await asyncio.sleep(LOOK_S * 4)
        await _restart_forever(settings, command)
    except OSError as err:
        log.error("No worker is started: %s cannot be written or the worker not be run (%s).", settings.home, err)
    finally:
        lock.release()


async def _restart_forever(settings: Settings, command: tuple[str, ...]) -> None:
    deaths = 0
    while True:
        started = time.monotonic()
        code = await _run_once(settings, command)
        deaths = 0 if time.monotonic() - started > HEALTHY_S else deaths
        pause = BACK_OFF_S[min(deaths, len(BACK_OFF_S) - 1)]
        deaths += 1
        log.warning("The worker ended with code %s; another starts in %g s.", code, pause)
        await asyncio.sleep(pause)


async def _run_once(settings: Settings, command: tuple[str, ...]) -> int:
    """Run the worker until it ends, and return its code; end it if this task is cancelled.

    The child is watched by looking at it: asyncio's own subprocesses need an event loop that can watch children, which
    neither every thread nor every system has.
    """
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, env=_environment(settings), cwd=Path(core.__file__).parents[1], stdin=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            await asyncio.sleep(LOOK_S)
        return process.returncode
    finally:
        await asyncio.shield(asyncio.ensure_future(_end(process)))


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, then make it."""
    if process.poll() is not None:
        return
    process.terminate()
    deadline = time.monotonic() + END_S
    while process.poll() is None and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    if process.poll() is None:
        process.kill()
        process.wait()


def _environment(settings: Settings) -> dict[str, str]:
    return os.environ | {
        HOME_VARIABLE: str(settings.home),
        "SECOND_READ_MODEL": settings.model,
        "SECOND_READ_DEVICE": settings.device,
        "SECOND_READ_BATCH_SIZE": str(settings.batch_size),
        "SECOND_READ_READ_THREADS": str(settings.read_threads),
    }
