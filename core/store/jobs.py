"""The queue in the log: jobs and the workers that carry them out. Writers must be called inside `writing`.

A job belongs to the worker row that claimed it. Every later write names that worker, so one that was thought dead and
wakes up again can change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from sqlite_utils import Database

from core.domain import JobKind, JobState
from core.errors import ConflictError, NotFoundError
from core.store.connection import rows_of
from core.store.events import Action, append_event, slide_entity
from core.store.records import JobRecord, Json
from core.store.values import time_of, time_or_none, time_text, utc_now

MAX_ATTEMPTS = 3
"""How often a job is begun before it is given up."""

_JOBS = """
    SELECT jobs.job_id, jobs.slide_id, slides.case_id, jobs.kind, jobs.model, jobs.payload, jobs.state, jobs.stage,
           jobs.done, jobs.total, jobs.attempts, jobs.message, jobs.created_at, jobs.started_at, jobs.finished_at,
           jobs.heartbeat_at, workers.pid AS worker_pid, jobs.cancel_requested, jobs.override_reason,
           CASE WHEN jobs.override_reason IS NOT NULL THEN (
               SELECT events.actor FROM events WHERE events.entity = 'slide:' || jobs.slide_id
               AND events.action = 'override.given' AND json_extract(events.payload, '$.job_id') = jobs.job_id
           ) END AS override_by
    FROM jobs JOIN slides USING (slide_id) LEFT JOIN workers USING (worker_id)
"""

_FINISHED_ACTION = {
    JobState.DONE: Action.JOB_DONE,
    JobState.FAILED: Action.JOB_FAILED,
    JobState.CANCELLED: Action.JOB_CANCELLED,
}


def enqueue(database: Database, slide_id: str, *, model: str, actor: str, override_reason: str | None = None) -> int:
    """Queue the analysis of a slide and return its job; a slide that is in the queue for it keeps that one.

    Args:
        database: Log with an open write transaction.
        slide_id: Which slide.
        model: Name of the model's card.
        actor: Who asks.
        override_reason: Why the model is to be run although the slide is not one it is made for; the event of its own
            that tells of it names the actor.

    Raises:
        ConflictError: a reason is given, and the slide has a live job that does not have it.
    """
    added = database.conn.execute(
        """INSERT INTO jobs (slide_id, model, state, created_at, override_reason) VALUES (?, ?, 'queued', ?, ?)
           ON CONFLICT (slide_id, kind, payload) WHERE state IN ('queued', 'running') DO NOTHING""",
        (slide_id, model, time_text(utc_now()), override_reason),
    )
    job_id = _live(database, slide_id, kind=JobKind.ANALYSE, payload="{}")
    if added.rowcount:
        _tell(database, Action.JOB_QUEUED, slide_id, actor=actor, payload={"job_id": job_id, "model": model})
    if override_reason is not None:
        if not added.rowcount:
            raise ConflictError(f"{slide_id} is in the queue already. Cancel job {job_id} first, or wait for it.")
        payload = {"job_id": job_id, "model": model, "reason": override_reason}
        _tell(database, Action.OVERRIDE_GIVEN, slide_id, actor=actor, payload=payload)
    return job_id


def enqueue_task(database: Database, slide_id: str, *, kind: JobKind, payload: Json, actor: str) -> int:
    """Queue something else than the analysis of a slide and return its job; the same request that is live is kept.

    Args:
        database: Log with an open write transaction.
        slide_id: Which slide.
        kind: What is to be done.
        payload: With what; equal payloads are the same request.
        actor: Who asks.
    """
    text = json.dumps(payload, sort_keys=True, allow_nan=False)
    added = database.conn.execute(
        """INSERT INTO jobs (slide_id, model, state, created_at, kind, payload) VALUES (?, '', 'queued', ?, ?, ?)
           ON CONFLICT (slide_id, kind, payload) WHERE state IN ('queued', 'running') DO NOTHING""",
        (slide_id, time_text(utc_now()), kind.value, text),
    )
    job_id = _live(database, slide_id, kind=kind, payload=text)
    if added.rowcount:
        told = {"job_id": job_id, "kind": kind.value, "payload": payload}
        _tell(database, Action.JOB_QUEUED, slide_id, actor=actor, payload=told)
    return job_id


def _live(database: Database, slide_id: str, *, kind: JobKind, payload: str) -> int:
    query = "SELECT job_id FROM jobs WHERE (slide_id, kind, payload) = (?, ?, ?) AND state IN ('queued', 'running')"
    return int(database.conn.execute(query, (slide_id, kind.value, payload)).fetchone()[0])


def has_queued(database: Database) -> bool:
    """Say whether any job is queued; a cheap look before the write lock is taken."""
    query = "SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1"
    return database.conn.execute(query).fetchone() is not None


def claim(database: Database, *, worker_id: int) -> JobRecord | None:
    """Give a queued job to a worker, in one statement, and return it; None if none is queued.

    What somebody waits for at the screen comes first, then the oldest.
    """
    now = time_text(utc_now())
    row = database.conn.execute(
        """UPDATE jobs SET state = 'running', worker_id = ?, attempts = attempts + 1, started_at = ?, heartbeat_at = ?,
               stage = 'starting', message = ''
           WHERE job_id = (SELECT job_id FROM jobs WHERE state = 'queued'
                           ORDER BY kind != 'explain', job_id LIMIT 1)
           RETURNING job_id""",
        (worker_id, now, now),
    ).fetchone()
    if row is None:
        return None
    job = get_job(database, row[0])
    payload = {"job_id": job.job_id, "attempt": job.attempts, "worker": worker_id}
    _tell(database, Action.JOB_STARTED, job.slide_id, actor="system", payload=payload)
    return job


def abandoned(
    database: Database, *, silent_since: datetime, host: str, alive: Callable[[int], bool]
) -> tuple[JobRecord, ...]:
    """Return the running jobs whose worker has been silent since then, or whose process on this host is gone."""
    rows = database.conn.execute(
        """SELECT jobs.job_id, jobs.heartbeat_at, workers.host, workers.pid
           FROM jobs JOIN workers USING (worker_id) WHERE jobs.state = 'running'"""
    ).fetchall()
    limit = time_text(silent_since)
    gone = [job for job, beat, where, pid in rows if beat < limit or (where == host and not alive(pid))]
    return tuple(get_job(database, job_id) for job_id in gone)


def requeue(database: Database, job: JobRecord, *, because: str, count_attempt: bool) -> None:
    """Put a running job back into the queue; what it has computed so far is kept in its run folder."""
    database.conn.execute(
        "UPDATE jobs SET state = 'queued', worker_id = NULL, stage = '', message = ?, attempts = attempts - ? "
        "WHERE job_id = ? AND state = 'running'",
        (because, 0 if count_attempt else 1, job.job_id),
    )
    payload = {"job_id": job.job_id, "attempt": job.attempts, "because": because}
    _tell(database, Action.JOB_REQUEUED, job.slide_id, actor="system", payload=payload)


def finish(database: Database, job: JobRecord, state: JobState, *, message: str, actor: str) -> None:
    """End a live job as done, failed or cancelled."""
    database.conn.execute(
        "UPDATE jobs SET state = ?, message = ?, stage = '', finished_at = ? WHERE job_id = ?",
        (state.value, message, time_text(utc_now()), job.job_id),
    )
    payload = {"job_id": job.job_id, "message": message}
    _tell(database, _FINISHED_ACTION[state], job.slide_id, actor=actor, payload=payload)


def owns(database: Database, job_id: int, *, worker_id: int) -> bool:
    """Say whether a job is still running in the hands of a worker."""
    query = "SELECT 1 FROM jobs WHERE job_id = ? AND worker_id = ? AND state = 'running'"
    return database.conn.execute(query, (job_id, worker_id)).fetchone() is not None


def save_progress(database: Database, job_id: int, *, worker_id: int, stage: str, done: int, total: int) -> None:
    """Note how far a job is; nothing happens if it belongs to another worker by now."""
    database.conn.execute(
        """UPDATE jobs SET stage = ?, done = ?, total = ?, heartbeat_at = ?
           WHERE job_id = ? AND worker_id = ? AND state = 'running'""",
        (stage, done, total, time_text(utc_now()), job_id, worker_id),
    )


def beat(database: Database, *, worker_id: int, job_id: int | None) -> tuple[bool, bool]:
    """Say that a worker lives. Return whether it still owns its job, and whether the job is to be cancelled."""
    now = time_text(utc_now())
    database.conn.execute("UPDATE workers SET heartbeat_at = ? WHERE worker_id = ?", (now, worker_id))
    if job_id is None:
        return True, False
    row = database.conn.execute(
        "UPDATE jobs SET heartbeat_at = ? WHERE job_id = ? AND worker_id = ? AND state = 'running' "
        "RETURNING cancel_requested",
        (now, job_id, worker_id),
    ).fetchone()
    return row is not None, row is not None and bool(row[0])


def request_cancel(database: Database, job: JobRecord, *, actor: str) -> None:
    """Ask the worker of a running job to stop."""
    database.conn.execute("UPDATE jobs SET cancel_requested = 1 WHERE job_id = ?", (job.job_id,))
    _tell(database, Action.JOB_CANCEL_REQUESTED, job.slide_id, actor=actor, payload={"job_id": job.job_id})


def get_job(database: Database, job_id: int) -> JobRecord:
    """Return a job.

    Raises:
        NotFoundError: there is none of that number.
    """
    found = rows_of(database, f"{_JOBS} WHERE jobs.job_id = ?", (job_id,))
    if not found:
        raise NotFoundError(f"There is no job {job_id}.")
    return _job(found[0])


def list_jobs(database: Database, *, live_only: bool, limit: int) -> list[JobRecord]:
    """Return the live jobs in the order they will run, then the finished ones, latest first."""
    condition = "WHERE jobs.state IN ('queued', 'running')" if live_only else ""
    order = "ORDER BY jobs.state NOT IN ('queued', 'running'), jobs.finished_at DESC, jobs.job_id LIMIT ?"
    return [_job(row) for row in rows_of(database, f"{_JOBS} {condition} {order}", (limit,))]


def register_worker(database: Database, *, pid: int, host: str) -> int:
    """Enter a worker process and return its id, which no other process ever gets."""
    now = time_text(utc_now())
    cursor = database.conn.execute(
        "INSERT INTO workers (pid, host, started_at, heartbeat_at) VALUES (?, ?, ?, ?)", (pid, host, now, now)
    )
    return cast("int", cursor.lastrowid)


def end_worker(database: Database, *, worker_id: int) -> None:
    """Note that a worker ended by itself."""
    database.conn.execute("UPDATE workers SET ended_at = ? WHERE worker_id = ?", (time_text(utc_now()), worker_id))


def open_workers(database: Database, *, limit: int = 20) -> list[tuple[int, int, str, datetime, datetime]]:
    """Return (worker id, pid, host, started, last heartbeat) of workers that did not sign off, latest first."""
    rows = database.conn.execute(
        """SELECT worker_id, pid, host, started_at, heartbeat_at FROM workers WHERE ended_at IS NULL
           ORDER BY worker_id DESC LIMIT ?""",
        (limit,),
    )
    return [(worker, pid, host, time_of(start), time_of(last)) for worker, pid, host, start, last in rows]


def _tell(database: Database, action: Action, slide_id: str, *, actor: str, payload: Json) -> None:
    append_event(database, action, entity=slide_entity(slide_id), actor=actor, payload=payload)


def _job(row: dict[str, Any]) -> JobRecord:
    values = dict(row)
    values["kind"] = JobKind(row["kind"])
    values["payload"] = json.loads(row["payload"])
    values["state"] = JobState(row["state"])
    values["cancel_requested"] = bool(row["cancel_requested"])
    values["created_at"] = time_of(row["created_at"])
    for name in ("started_at", "finished_at", "heartbeat_at"):
        values[name] = time_or_none(row[name])
    return JobRecord(**values)
