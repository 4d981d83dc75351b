"""SIGKILL of the worker, of its parent and of the dashboard: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest
from store_kit import PROJECT, add_slide

from core.domain import JobState, SlideStatus
from core.services import catalogue
from core.services.cases import review
from core.services.queue import jobs
from core.services.queue.processes import process_alive
from core.services.queue.supervisor import supervise
from core.settings import Settings
from core.store.verification import verify

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")

WORKER = """
import sys, time; from pathlib import Path
sys.path[:0] = ["tests/core", "tests"]
from store_kit import run_of
from core.errors import CancelledError
from core.services.queue.worker import run_worker
from core.settings import Settings

home, parent, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def analyse(settings, slide_id, *, run_id, model_name, override, progress, cancelled):
    # One line a step in the run's folder is the checkpoint; a redo goes on after the last line.
    folder = home / "results" / slide_id / run_id
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "steps").open("a+") as file:
        file.seek(0)
        for step in range(len(file.readlines()), steps):
            if cancelled():
                raise CancelledError("Cancelled.")
            time.sleep(0.05)
            print(step, file=file, flush=True)
            progress(step + 1, steps)
    return run_of(slide_id)

settings = Settings(home=home, heartbeat_s=0.1, stale_after_s=30.0)
run_worker(settings, once=parent == 0, parent_pid=parent or None, analyse=analyse)
"""

PARENT = """
import os, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2], str(os.getpid()), "2000"])
print(worker.pid, flush=True)
time.sleep(120)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Generator[Start, None, None]:
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", *(str(argument) for argument in arguments)]
        started.append(subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def queued(settings: Settings) -> int:
    return jobs.enqueue(settings, [add_slide(settings, "a")], actor="ann")[0]


def steps_of(settings: Settings, job_id: int) -> list[str]:
    path = settings.results_dir / "a" / jobs.get_job(settings, job_id).run_id / "steps"
    return path.read_text().split() if path.is_file() else []


def test_sigkill_of_the_worker_loses_and_doubles_nothing(settings: Settings, start: Start) -> None:
    job_id = queued(settings)
    first = start(WORKER, settings.home, 0, 40)
    until(lambda: jobs.get_job(settings, job_id).done > 0)
    first.kill()
    first.wait()
    assert jobs.get_job(settings, job_id).state is JobState.RUNNING
    half = len(steps_of(settings, job_id))
    assert 0 < half < 40

    assert start(WORKER, settings.home, 0, 40).wait(timeout=20) == 0
    job = jobs.get_job(settings, job_id)
    assert (job.state, job.attempts, job.done) == (JobState.DONE, 2, 40)
    assert steps_of(settings, job_id) == [str(step) for step in range(40)]
    assert [run.run_id for run in catalogue.slide_runs(settings, "a")] == [job.run_id]
    told = [event.action for event in review.case_history(settings, "a")]
    assert [action for action in told if action.startswith(("job", "run"))] == [
        "job.queued",
        "job.started",
        "job.requeued",
        "job.started",
        "run.saved",
        "job.done",
    ]
    assert verify(settings).ok


def test_a_worker_killed_three_times_gives_up_with_a_reason(settings: Settings, start: Start) -> None:
    job_id = queued(settings)
    for attempt in (1, 2, 3):
        worker = start(WORKER, settings.home, 0, 2000)
        until(lambda attempt=attempt: jobs.get_job(settings, job_id).attempts == attempt)
        worker.kill()
        worker.wait()
    assert start(WORKER, settings.home, 0, 2000).wait(timeout=20) == 0
    job = jobs.get_job(settings, job_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 3)
    assert "died 3 times" in job.message
    assert [run.status for run in catalogue.slide_runs(settings, "a")] == [SlideStatus.FAILED]


def test_sigkill_of_the_parent_ends_the_worker_and_keeps_the_job(settings: Settings, start: Start) -> None:
    job_id = queued(settings)
    parent = start(PARENT, WORKER, settings.home)
    assert parent.stdout is not None
    worker_pid = int(parent.stdout.readline())
    until(lambda: jobs.get_job(settings, job_id).done > 0)
    assert jobs.get_job(settings, job_id).worker_pid == worker_pid
    parent.kill()
    parent.wait()
    until(lambda: not process_alive(worker_pid), seconds=8)
    job = jobs.get_job(settings, job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    done = len(steps_of(settings, job_id))
    assert start(WORKER, settings.home, 0, done + 2).wait(timeout=20) == 0
    assert jobs.get_job(settings, job_id).state is JobState.DONE
    assert len(steps_of(settings, job_id)) == done + 2
    assert len(catalogue.slide_runs(settings, "a")) == 1


def test_a_terminated_worker_gives_its_job_back(settings: Settings, start: Start) -> None:
    job_id = queued(settings)
    worker = start(WORKER, settings.home, 0, 2000)
    until(lambda: jobs.get_job(settings, job_id).done > 0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
    job = jobs.get_job(settings, job_id)
    assert (job.state, job.attempts, job.worker_pid) == (JobState.QUEUED, 0, None)


async def _found(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.05)


def _living(settings: Settings) -> set[int]:
    return {worker.pid for worker in jobs.workers(settings) if worker.alive}


def _worker_command(settings: Settings) -> list[str]:
    return [sys.executable, "-c", WORKER, str(settings.home), str(os.getpid()), "40"]


def test_the_supervisor_restarts_a_killed_worker_and_ends_it_at_last(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.queue.supervisor.BACK_OFF_S", (0.1,))
    job_id = queued(settings)

    async def scenario() -> int:
        async with supervise(settings, command=_worker_command(settings)):
            await _found(lambda: jobs.get_job(settings, job_id).done > 0)
            (first,) = _living(settings)
            os.kill(first, signal.SIGKILL)
            await _found(lambda: bool(_living(settings) - {first}))
            (second,) = _living(settings)
            await _found(lambda: jobs.get_job(settings, job_id).state is JobState.DONE)
            return second

    last = asyncio.run(scenario())
    assert not process_alive(last)
    assert steps_of(settings, job_id) == [str(step) for step in range(40)]
    assert len(catalogue.slide_runs(settings, "a")) == 1


def test_two_dashboards_on_one_home_have_one_worker_and_the_second_takes_over(settings: Settings) -> None:
    command = _worker_command(settings)

    async def scenario() -> None:
        async with supervise(settings, command=command):
            await _found(lambda: len(_living(settings)) == 1)
            (first,) = _living(settings)
            async with supervise(settings, command=command):
                await asyncio.sleep(1.5)
                assert _living(settings) == {first}
        async with supervise(settings, command=command):
            await _found(lambda: bool(_living(settings) - {first}))

    asyncio.run(scenario())


def test_a_home_that_cannot_be_used_leaves_the_dashboard_without_a_worker(
    tmp_path: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    async def scenario() -> None:
        async with supervise(replace(settings, home=tmp_path / "file"), command=["/nonexistent"]):
            await _found(lambda: "No worker is started" in caplog.text)

    asyncio.run(scenario())
