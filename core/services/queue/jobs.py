"""The queue as people see it: put slides in, watch, cancel, try again."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from datetime import timedelta

from core.domain import JobKind, JobState
from core.errors import ConflictError, InputError
from core.roles import Permission
from core.services.analysis.fit import Override
from core.services.people.authority import require
from core.services.queue.processes import process_alive
from core.services.queue.tasks import MAY_ASK
from core.settings import Settings
from core.store import cases
from core.store import jobs as queue
from core.store.connection import open_log, writing
from core.store.records import JobRecord, Json, WorkerRecord
from core.store.values import utc_now

LIVE = (JobState.QUEUED, JobState.RUNNING)


def enqueue(
    settings: Settings,
    slide_ids: Iterable[str],
    *,
    model: str | None = None,
    override_reason: str | None = None,
    actor: str,
) -> tuple[int, ...]:
    """Queue the analysis of slides and return their jobs, in order. A slide has one live job at most: that is returned.

    Args:
        settings: Names the home folder and the model.
        slide_ids: Which slides.
        model: Name of a card; None = that of the settings.
        override_reason: Why the model is to be run on slides that it is not made for; kept with the job and, under
            the actor's name, in the log. None = such slides are refused.
        actor: Who asks.

    Raises:
        InputError: the reason is empty.
        ConflictError: a reason is given for a slide that is in the queue already.
        NotFoundError: there is no slide of that id; then none is queued.
        NotAllowedError: the actor may not do this.
    """
    reason = None if override_reason is None else Override(override_reason.strip(), actor).reason
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.OPERATE)
        wanted = [cases.get_slide(database, slide_id).slide_id for slide_id in slide_ids]
        return tuple(
            queue.enqueue(database, one, model=model or settings.model, override_reason=reason, actor=actor)
            for one in wanted
        )


def enqueue_task(settings: Settings, slide_id: str, *, kind: JobKind, payload: Json, actor: str) -> int:
    """Queue something else than the analysis of a slide and return its job; the same request that is live is kept.

    Args:
        settings: Names the home folder.
        slide_id: Which slide.
        kind: One of those in `core.services.queue.tasks.MAY_ASK`.
        payload: What the task needs to know, as JSON.
        actor: Who asks.

    Raises:
        NotFoundError: there is no slide of that id.
        NotAllowedError: the actor may not do this.
        InputError: the kind is no task.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, MAY_ASK.get(kind, Permission.OPERATE))
        if kind not in MAY_ASK:
            raise InputError(f"A job of kind {kind.value} is no task of its own. Queue the analysis of the slide.")
        slide = cases.get_slide(database, slide_id)
        return queue.enqueue_task(database, slide.slide_id, kind=kind, payload=payload, actor=actor)


def list_jobs(settings: Settings, *, live_only: bool = False, limit: int = 500) -> list[JobRecord]:
    """Return the live jobs in the order they run, then the finished ones, latest first."""
    with open_log(settings) as database:
        return queue.list_jobs(database, live_only=live_only, limit=limit)


def get_job(settings: Settings, job_id: int) -> JobRecord:
    """Return a job.

    Raises:
        NotFoundError: there is none of that number.
    """
    with open_log(settings) as database:
        return queue.get_job(database, job_id)


def cancel(settings: Settings, job_id: int, *, actor: str) -> None:
    """Cancel a job: a queued one at once, a running one as soon as its worker looks up (within a few seconds).

    Raises:
        NotFoundError: there is no such job.
        NotAllowedError: the actor may not do this.
        ConflictError: it has ended already.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.OPERATE)
        job = queue.get_job(database, job_id)
        if job.state not in LIVE:
            raise ConflictError(f"Job {job_id} has ended already ({job.state.value}), so it cannot be cancelled.")
        if job.state is JobState.QUEUED:
            queue.finish(database, job, JobState.CANCELLED, message=f"Cancelled by {actor}.", actor=actor)
        elif not job.cancel_requested:
            queue.request_cancel(database, job, actor=actor)


def retry(settings: Settings, job_id: int, *, actor: str) -> int:
    """Queue an ended job again: the same request, with the same model and reason to override, if it had one.

    Returns:
        The new job.

    Raises:
        NotFoundError: there is no such job.
        NotAllowedError: the actor may not do this.
        ConflictError: it has not ended yet.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.OPERATE)
        job = queue.get_job(database, job_id)
        if job.state in LIVE:
            raise ConflictError(f"Job {job_id} is still {job.state.value}. Cancel it first, or wait for it.")
        if job.kind is not JobKind.ANALYSE:
            return queue.enqueue_task(database, job.slide_id, kind=job.kind, payload=job.payload, actor=actor)
        return queue.enqueue(database, job.slide_id, model=job.model, override_reason=job.override_reason, actor=actor)


def workers(settings: Settings) -> list[WorkerRecord]:
    """Return the workers that have not signed off, latest first, and whether each is alive."""
    with open_log(settings) as database:
        rows = queue.open_workers(database)
    limit = utc_now() - timedelta(seconds=settings.stale_after_s)
    here = socket.gethostname()
    return [
        WorkerRecord(
            worker_id=worker_id,
            pid=pid,
            host=host,
            started_at=started,
            heartbeat_at=beat,
            alive=beat >= limit and (host != here or process_alive(pid)),
        )
        for worker_id, pid, host, started, beat in rows
    ]
