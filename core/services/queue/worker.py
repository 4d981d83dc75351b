"""The worker: a process that takes one job after the other until it is told to stop or its parent dies.

A job survives any kill. Its run id follows from the job, so whoever begins it again goes on from the same folder and
writes the same run; run and end of job are one transaction, so there is one result or none.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from core.domain import JobKind, JobState, SlideStatus
from core.errors import CancelledError, SecondReadError
from core.roles import SYSTEM
from core.services.analysis.fit import Override
from core.services.analysis.outcomes import status_of
from core.services.queue.processes import process_alive
from core.services.queue.pulse import Pulse
from core.services.queue.supervisor import supervise
from core.services.queue.tasks import COUNTED, run_task
from core.settings import Settings
from core.store import jobs as queue
from core.store import results
from core.store.connection import Log, open_log, writing
from core.store.records import JobRecord, RunResult
from core.store.values import utc_now

__all__ = ["Analyse", "run_worker", "supervise"]

log = logging.getLogger(__name__)

POLL_S = 0.5
"""How often an idle worker looks for work."""

PROGRESS_EVERY_S = 0.5
"""Shortest time between two notes of progress; a batch may take a hundredth of that."""


class Analyse(Protocol):
    """Analyses one slide and writes its result files; the log is left to the worker."""

    def __call__(
        self,
        settings: Settings,
        slide_id: str,
        *,
        run_id: str,
        model_name: str | None,
        override: Override | None,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> RunResult:
        """Return the run; raise `CancelledError` soon after `cancelled` says so."""
        ...


def run_worker(
    settings: Settings, *, once: bool = False, parent_pid: int | None = None, analyse: Analyse | None = None
) -> int:
    """Work off the queue until stopped by a signal, by the death of the parent, or, with `once`, by an empty queue.

    Args:
        settings: Where the log is, and how the slides are to be analysed.
        once: Stop when no job is queued.
        parent_pid: Process whose death ends the worker; None = nobody's.
        analyse: The analysis; by default `core.services.analysis.analyse.analyse_slide`.

    Returns:
        0, the exit code of a worker that ended in order.

    Raises:
        StorageError: the log cannot be used any more.
    """
    work = analyse or _default_analyse()
    with open_log(settings) as database, writing(database):
        worker_id = queue.register_worker(database, pid=os.getpid(), host=socket.gethostname())
    with Pulse(settings, worker_id=worker_id, parent_pid=parent_pid) as pulse:
        _refresh_due(settings)
        while not pulse.stopping:
            if _take_back(settings):
                _refresh_due(settings)
            job = _claim(settings, worker_id)
            if job is not None and job.kind is JobKind.ANALYSE:
                _carry_out(settings, job, worker_id=worker_id, pulse=pulse, analyse=work)
            elif job is not None:
                _carry_out_task(settings, job, worker_id=worker_id, pulse=pulse)
            elif once:
                break
            else:
                pulse.wait(POLL_S)
    with open_log(settings) as database, writing(database):
        queue.end_worker(database, worker_id=worker_id)
    return 0


def _default_analyse() -> Analyse:
    # Imported late: it brings torch, which neither the dashboard nor the command line's help needs.
    from core.services.analysis.analyse import analyse_slide

    return analyse_slide


def _claim(settings: Settings, worker_id: int) -> JobRecord | None:
    with open_log(settings) as database:
        if not queue.has_queued(database):
            return None
        with writing(database):
            return queue.claim(database, worker_id=worker_id)


def _take_back(settings: Settings) -> bool:
    """Take back what dead workers left behind, and say whether there was anything."""
    silent_since = utc_now() - timedelta(seconds=settings.stale_after_s)
    host = socket.gethostname()
    with open_log(settings) as database:
        if not queue.abandoned(database, silent_since=silent_since, host=host, alive=process_alive):
            return False
        with writing(database):
            # Asked again under the lock: another worker may have been first.
            for job in queue.abandoned(database, silent_since=silent_since, host=host, alive=process_alive):
                _settle(database, job)
    return True


def _settle(database: Log, job: JobRecord) -> None:
    """Re-queue the job of a dead worker, or end it if it was cancelled or begun too often."""
    log.warning("The worker of job %d (slide %s, attempt %d) is gone.", job.job_id, job.slide_id, job.attempts)
    if job.cancel_requested:
        queue.finish(database, job, JobState.CANCELLED, message="Cancelled.", actor=SYSTEM)
    elif job.attempts < queue.MAX_ATTEMPTS:
        queue.requeue(database, job, because="Its worker died; it goes on where it stopped.", count_attempt=True)
    else:
        message = (
            f"The worker died {job.attempts} times while it worked on {job.slide_id}, perhaps for lack of memory. "
            "Retry the job to try again."
        )
        if job.kind is JobKind.ANALYSE:
            results.save_run(database, _run_without_result(job, SlideStatus.FAILED, message))
        queue.finish(database, job, JobState.FAILED, message=message, actor=SYSTEM)


def _carry_out(settings: Settings, job: JobRecord, *, worker_id: int, pulse: Pulse, analyse: Analyse) -> None:
    """Analyse the slide of one job. This is the boundary at which any error becomes a visible state of the slide."""
    log.info("Job %d: slide %s, attempt %d.", job.job_id, job.slide_id, job.attempts)
    with pulse.of_job(job.job_id):
        try:
            run = analyse(
                settings,
                job.slide_id,
                run_id=job.run_id,
                model_name=job.model,
                override=_override(job),
                progress=_throttled(settings, job, worker_id),
                cancelled=pulse.interrupted,
            )
        except CancelledError:
            _interrupted(settings, job, worker_id=worker_id, pulse=pulse)
            return
        except SecondReadError as err:
            run, state = _run_without_result(job, status_of(err), str(err)), JobState.FAILED
        except Exception as err:
            log.exception("Job %d: the analysis of slide %s broke.", job.job_id, job.slide_id)
            message = f"The analysis of {job.slide_id} broke unexpectedly ({type(err).__name__}: {err})."
            run, state = _run_without_result(job, SlideStatus.FAILED, message), JobState.FAILED
        else:
            run = replace(run, run_id=job.run_id, job_id=job.job_id)
            state = JobState.FAILED if run.status is SlideStatus.FAILED else JobState.DONE
        _save(settings, job, run, state, worker_id=worker_id)
    _refresh_due(settings)


def _carry_out_task(settings: Settings, job: JobRecord, *, worker_id: int, pulse: Pulse) -> None:
    """Carry out one job that is no analysis; what it found is written by the task itself."""
    log.info("Job %d: %s of slide %s, attempt %d.", job.job_id, job.kind.value, job.slide_id, job.attempts)
    with pulse.of_job(job.job_id):
        progress = _throttled(settings, job, worker_id)
        try:
            state, message = run_task(settings, job, progress=progress, cancelled=pulse.interrupted)
        except CancelledError:
            _interrupted(settings, job, worker_id=worker_id, pulse=pulse)
            return
        with open_log(settings) as database, writing(database):
            if queue.owns(database, job.job_id, worker_id=worker_id):
                queue.finish(database, job, state, message=message, actor=SYSTEM)


def _override(job: JobRecord) -> Override | None:
    """Return why and by whose word the job runs a model on a slide it is not made for; it is kept with the job."""
    return None if job.override_reason is None else Override(job.override_reason, job.override_by or "unknown")


def _save(settings: Settings, job: JobRecord, run: RunResult, state: JobState, *, worker_id: int) -> None:
    """Write the run and end the job in one transaction, unless the job belongs to somebody else by now."""
    with open_log(settings) as database, writing(database):
        if not queue.owns(database, job.job_id, worker_id=worker_id):
            log.warning("Job %d went to another worker meanwhile; this result is dropped.", job.job_id)
            return
        results.save_run(database, run)
        queue.finish(database, job, state, message=run.message, actor=SYSTEM)


def _interrupted(settings: Settings, job: JobRecord, *, worker_id: int, pulse: Pulse) -> None:
    """End a job that its user cancelled; give back one that stops only because the worker stops."""
    with open_log(settings) as database, writing(database):
        if not queue.owns(database, job.job_id, worker_id=worker_id):
            return
        if pulse.stopping and not queue.get_job(database, job.job_id).cancel_requested:
            because = "Its worker was stopped; it goes on where it stopped."
            queue.requeue(database, job, because=because, count_attempt=False)
        else:
            queue.finish(database, job, JobState.CANCELLED, message="Cancelled.", actor=SYSTEM)


def _refresh_due(settings: Settings) -> None:
    """Bring flags up to date wherever a result or a diagnosis is newer, also those that a kill left behind."""
    from core.services.rules.flagging import cases_due, refresh_flags

    for case_id in cases_due(settings):
        try:
            refresh_flags(settings, case_id, actor=SYSTEM)
        except Exception:
            # Part of the job boundary: one case must not keep the queue from going on. It stays due.
            log.exception("The flags of case %s could not be brought up to date.", case_id)


def _throttled(settings: Settings, job: JobRecord, worker_id: int) -> Callable[[int, int], None]:
    """Return a progress callback that writes to the log about twice a second, and at the end."""
    last = 0.0

    def note(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PROGRESS_EVERY_S and done < total:
            return
        last = now
        with open_log(settings) as database:
            queue.save_progress(
                database, job.job_id, worker_id=worker_id, stage=COUNTED[job.kind], done=done, total=total
            )

    return note


def _run_without_result(job: JobRecord, status: SlideStatus, message: str) -> RunResult:
    return RunResult(
        run_id=job.run_id,
        job_id=job.job_id,
        slide_id=job.slide_id,
        model=job.model,
        status=status,
        message=message,
        created_at=utc_now(),
    )
