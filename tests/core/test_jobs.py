"""The queue: one live job a slide, one owner a job, every end visible, whatever happens to the worker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from store_kit import PROJECT, add_slide, run_of, save

from core.domain import JobState, ReadCategory, SlideStatus
from core.errors import (
    CancelledError,
    ConflictError,
    ModelError,
    NotFoundError,
    SecondReadError,
    UnreadableSlideError,
)
from core.services import catalogue
from core.services.analysis.fit import Override
from core.services.cases import review
from core.services.queue import jobs
from core.services.queue.worker import run_worker
from core.settings import Settings
from core.store import jobs as queue
from core.store import reviews
from core.store.connection import open_log, writing
from core.store.records import NewRead, ReadStage, RunResult
from core.store.values import time_text, utc_now
from core.store.verification import verify

DEAD_PID = 2**22 + 1  # above the largest process id of Linux


@dataclass
class FakeAnalyse:
    """An analysis that does what a test tells it, and remembers what it was asked."""

    outcome: Callable[[str], RunResult] | SecondReadError | Exception = run_of
    during: Callable[[], None] | None = None
    """Done while the job runs; then the analysis looks up for a while whether it is to stop."""
    looks_up: int = 200
    asked: list[tuple[str, str]] = field(default_factory=list)
    overrides: list[Override | None] = field(default_factory=list)

    def __call__(
        self,
        settings: Settings,  # noqa: ARG002
        slide_id: str,
        *,
        run_id: str,
        model_name: str | None,  # noqa: ARG002
        override: Override | None,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> RunResult:
        assert progress is not None
        assert cancelled is not None
        self.asked.append((slide_id, run_id))
        self.overrides.append(override)
        progress(1, 2)
        if self.during is not None:
            self.during()
            for _ in range(self.looks_up):
                if cancelled():
                    raise CancelledError("Cancelled.")
                time.sleep(0.02)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome(slide_id)


@pytest.fixture
def fast(settings: Settings) -> Settings:
    return replace(settings, heartbeat_s=0.05, stale_after_s=1.0)


def actions(settings: Settings, case_id: str) -> list[str]:
    return [event.action for event in review.case_history(settings, case_id) if event.action.startswith("job.")]


def as_dead_worker(settings: Settings, *, pid: int = DEAD_PID, host: str | None = None, silent_s: float = 0) -> int:
    """Claim the next job in the name of a worker that is no more, and return the job."""
    with open_log(settings) as database, writing(database):
        worker_id = queue.register_worker(database, pid=pid, host=host or socket.gethostname())
        job = queue.claim(database, worker_id=worker_id)
        assert job is not None
        beat = time_text(utc_now() - timedelta(seconds=silent_s))
        database.conn.execute("UPDATE jobs SET heartbeat_at = ? WHERE job_id = ?", (beat, job.job_id))
        return job.job_id


def test_one_live_job_a_slide(settings: Settings) -> None:
    a, b = add_slide(settings, "a"), add_slide(settings, "b")
    first = jobs.enqueue(settings, [a, b, a], model="idc", actor="ann")
    assert first == (1, 2, 1)
    assert jobs.enqueue(settings, [b], model="other", actor="ann") == (2,)
    assert [(job.slide_id, job.state, job.model) for job in jobs.list_jobs(settings)] == [
        ("a", JobState.QUEUED, "idc"),
        ("b", JobState.QUEUED, "idc"),
    ]
    assert actions(settings, "b") == ["job.queued"]


def test_queueing_an_unknown_slide_queues_none(settings: Settings) -> None:
    with pytest.raises(NotFoundError):
        jobs.enqueue(settings, [add_slide(settings, "a"), "nobody"], actor="ann")
    assert jobs.list_jobs(settings) == []


def test_worker_empties_the_queue_in_order(fast: Settings) -> None:
    for name in ("b", "a", "c"):
        jobs.enqueue(fast, [add_slide(fast, name)], actor="ann")
    analyse = FakeAnalyse()
    assert run_worker(fast, once=True, analyse=analyse) == 0
    assert [slide for slide, _ in analyse.asked] == ["b", "a", "c"]
    for job in jobs.list_jobs(fast):
        assert (job.state, job.done, job.total, job.attempts, job.worker_pid) == (JobState.DONE, 1, 2, 1, os.getpid())
        run = catalogue.slide_runs(fast, job.slide_id)
        assert [(one.run_id, one.job_id, one.status) for one in run] == [(job.run_id, job.job_id, SlideStatus.OK)]
    assert actions(fast, "a") == ["job.queued", "job.started", "job.done"]
    assert jobs.workers(fast) == []
    assert verify(fast).ok


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ModelError("The weights are altered."), SlideStatus.FAILED, "The weights are altered."),
        (UnreadableSlideError("Not a slide."), SlideStatus.UNREADABLE, "Not a slide."),
        (ZeroDivisionError("by zero"), SlideStatus.FAILED, "broke unexpectedly (ZeroDivisionError: by zero)"),
    ],
)
def test_a_broken_slide_fails_visibly_and_the_next_is_done(
    fast: Settings, error: Exception, status: SlideStatus, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.enqueue(fast, [add_slide(fast, "a")], actor="ann")
    run_worker(fast, once=True, analyse=FakeAnalyse(error))
    jobs.enqueue(fast, [add_slide(fast, "b")], actor="ann")
    run_worker(fast, once=True, analyse=FakeAnalyse())
    failed, done = sorted(jobs.list_jobs(fast), key=lambda job: job.job_id)
    assert (failed.state, done.state) == (JobState.FAILED, JobState.DONE)
    assert words in failed.message
    slide = catalogue.get_slide(fast, "a")
    assert (slide.status, slide.message) == (status, failed.message)
    assert ("slide a" in caplog.text) == isinstance(error, ZeroDivisionError)
    flags = [event for event in review.case_history(fast, "a") if event.action == "flags.evaluated"]
    assert [event.payload["flags"] for event in flags] == [["no_result"]]


def test_a_result_without_a_call_ends_the_job_as_done(fast: Settings) -> None:
    jobs.enqueue(fast, [add_slide(fast, "a")], actor="ann")
    run_worker(fast, once=True, analyse=FakeAnalyse(lambda slide: run_of(slide, status=SlideStatus.NO_TISSUE)))
    assert jobs.get_job(fast, 1).state is JobState.DONE
    assert catalogue.get_slide(fast, "a").status is SlideStatus.NO_TISSUE


def test_cancelling_a_queued_job_is_immediate(settings: Settings) -> None:
    (job_id,) = jobs.enqueue(settings, [add_slide(settings, "a")], actor="ann")
    jobs.cancel(settings, job_id, actor="bob")
    job = jobs.get_job(settings, job_id)
    assert (job.state, job.message) == (JobState.CANCELLED, "Cancelled by bob.")
    with pytest.raises(ConflictError, match="ended already"):
        jobs.cancel(settings, job_id, actor="bob")
    analyse = FakeAnalyse()
    run_worker(settings, once=True, analyse=analyse)
    assert analyse.asked == []


def test_cancelling_a_running_job_stops_it_without_a_result(fast: Settings) -> None:
    (job_id,) = jobs.enqueue(fast, [add_slide(fast, "a")], actor="ann")
    run_worker(fast, once=True, analyse=FakeAnalyse(during=lambda: jobs.cancel(fast, job_id, actor="bob")))
    assert jobs.get_job(fast, job_id).state is JobState.CANCELLED
    assert catalogue.slide_runs(fast, "a") == ()
    assert actions(fast, "a") == ["job.queued", "job.started", "job.cancel_requested", "job.cancelled"]


def test_retry_is_a_new_job_with_a_new_run(fast: Settings) -> None:
    (job_id,) = jobs.enqueue(fast, [add_slide(fast, "a")], model="other", actor="ann")
    with pytest.raises(ConflictError, match="still queued"):
        jobs.retry(fast, job_id, actor="ann")
    run_worker(fast, once=True, analyse=FakeAnalyse(ModelError("No.")))
    again = jobs.retry(fast, job_id, actor="ann")
    assert again != job_id
    assert jobs.get_job(fast, again).model == "other"
    run_worker(fast, once=True, analyse=FakeAnalyse())
    assert [run.status for run in catalogue.slide_runs(fast, "a")] == [SlideStatus.OK, SlideStatus.FAILED]


@pytest.mark.parametrize(
    ("worker", "taken"),
    [
        ({}, True),  # its process is gone from this host
        ({"host": "elsewhere"}, False),  # nothing can be known of a process there, and it was heard a moment ago
        ({"host": "elsewhere", "silent_s": 60}, True),
        ({"pid": os.getpid(), "silent_s": 60}, True),  # the number was given to another process, or it hangs
        ({"pid": os.getpid()}, False),
    ],
)
def test_a_job_is_taken_back_only_from_a_dead_worker(fast: Settings, worker: dict[str, object], taken: bool) -> None:
    (job_id,) = jobs.enqueue(fast, [add_slide(fast, "a")], actor="ann")
    as_dead_worker(fast, **worker)
    analyse = FakeAnalyse()
    run_worker(fast, once=True, analyse=analyse)
    job = jobs.get_job(fast, job_id)
    assert len(analyse.asked) == int(taken)
    assert (job.state, job.attempts) == ((JobState.DONE, 2) if taken else (JobState.RUNNING, 1))


def test_after_three_deaths_the_job_fails_with_its_reason(fast: Settings) -> None:
    (job_id,) = jobs.enqueue(fast, [add_slide(fast, "a")], actor="ann")
    for attempt in (1, 2, 3):
        with open_log(fast) as database, writing(database):
            database.conn.execute("UPDATE jobs SET state = 'queued'")
        as_dead_worker(fast)
        assert jobs.get_job(fast, job_id).attempts == attempt
    analyse = FakeAnalyse()
    run_worker(fast, once=True, analyse=analyse)
    job = jobs.get_job(fast, job_id)
    assert analyse.asked == []
    assert job.state is JobState.FAILED
    assert "died 3 times while it worked on a" in job.message
    assert catalogue.get_slide(fast, "a").message == job.message


@pytest.mark.parametrize("looks_up", [0, 200])
def test_a_worker_that_lost_its_job_writes_nothing(fast: Settings, looks_up: int) -> None:
    """It was thought dead (say, its machine slept), another one finished the job, and then it wakes up."""
    (job_id,) = jobs.enqueue(fast, [add_slide(fast, "a")], actor="ann")

    def taken_over() -> None:
        with open_log(fast) as database, writing(database):
            database.conn.execute("UPDATE workers SET pid = ?", (DEAD_PID,))
        run_worker(fast, once=True, analyse=FakeAnalyse(lambda slide: run_of(slide, score=0.7)))

    late = FakeAnalyse(lambda slide: run_of(slide, score=0.1), during=taken_over, looks_up=looks_up)
    run_worker(fast, once=True, analyse=late)
    assert [run.decision_score for run in catalogue.slide_runs(fast, "a")] == [0.7]
    assert jobs.get_job(fast, job_id).state is JobState.DONE
    assert actions(fast, "a").count("job.done") == 1


def test_processes_that_queue_and_claim_together_never_double(fast: Settings) -> None:
    slides = [add_slide(fast, f"s{number}") for number in range(12)]
    script = (
        "import sys, time; from pathlib import Path\n"
        "sys.path[:0] = ['tests/core', 'tests']\n"
        "from store_kit import run_of\n"
        "from core.settings import Settings\n"
        "from core.services.queue import jobs\n"
        "from core.services.queue.worker import run_worker\n"
        "settings = Settings(home=Path(sys.argv[1]))\n"
        "def analyse(settings, slide_id, *, run_id, model_name, override, progress, cancelled):\n"
        "    print(slide_id, flush=True)\n"
        "    time.sleep(0.02)\n"
        "    return run_of(slide_id)\n"
        "jobs.enqueue(settings, sys.argv[2:], actor='ann')\n"
        "run_worker(settings, once=True, analyse=analyse)\n"
    )
    command = [sys.executable, "-c", script, str(fast.home), *slides]
    workers = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    worked = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    # A slide may be queued anew by a process that came when its first job had ended, never twice at the same time.
    done = [slide for part in worked for slide in part]
    assert len(done) == len(jobs.list_jobs(fast))
    for slide in slides:
        told = actions(fast, slide)
        assert told == ["job.queued", "job.started", "job.done"] * (len(told) // 3)
        assert len(catalogue.slide_runs(fast, slide)) == done.count(slide) >= 1
    assert verify(fast).ok


def test_flags_that_a_kill_left_behind_are_made_up_for_once(fast: Settings) -> None:
    """Killed after the result, or after the diagnosis, was written, but before the flags were."""
    save(fast, run_of(add_slide(fast, "a", case_id="C1"), score=0.95))

    def evaluations() -> list[object]:
        run_worker(fast, once=True, analyse=FakeAnalyse())
        told = review.case_history(fast, "C1")
        return [event.payload["flags"] for event in told if event.action == "flags.evaluated"]

    assert evaluations() == [[]]
    assert evaluations() == [[]]
    with open_log(fast) as database, writing(database):
        reviews.insert_read(
            database, "C1", NewRead(category=ReadCategory.BENIGN, stage=ReadStage.BEFORE_MODEL), actor="ann"
        )
    assert evaluations() == [[], ["model_higher"]]
    assert evaluations() == [[], ["model_higher"]]
