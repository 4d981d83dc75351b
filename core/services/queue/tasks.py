"""What a worker can do with a slide besides analysing it, and who may ask for it.

A task computes something that is not a run: it writes its own results, as files beside the slide's runs or through the
store, and may be begun again after a kill without harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol, cast

from core.domain import JobKind, JobState
from core.errors import CancelledError, SecondReadError
from core.roles import Permission
from core.settings import Settings
from core.store.records import JobRecord, Json

log = logging.getLogger(__name__)

TASKS: Mapping[JobKind, str] = {
    JobKind.QC: "core.services.quality.task:run",
    JobKind.EXPLAIN: "core.services.explanation.task:run",
    JobKind.ROBUSTNESS: "core.services.evaluation.robustness_run:run",
}
"""Kind -> "module:function". Imported when a worker begins one: most bring torch, which the dashboard never needs."""

MAY_ASK: Mapping[JobKind, Permission] = {
    JobKind.QC: Permission.OPERATE,
    JobKind.EXPLAIN: Permission.SEE_CASES,
    JobKind.ROBUSTNESS: Permission.OPERATE,
}
"""What somebody must be allowed to do to queue a task."""

COUNTED: Mapping[JobKind, str] = {
    JobKind.ANALYSE: "tiles",
    JobKind.QC: "blocks",
    JobKind.EXPLAIN: "steps",
    JobKind.ROBUSTNESS: "tiles",
}
"""What the progress of a job counts."""


class Task(Protocol):
    """Carries out one request on one slide."""

    def __call__(
        self,
        settings: Settings,
        slide_id: str,
        payload: Json,
        *,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> str:
        """Return a sentence for the list of jobs; raise `CancelledError` soon after `cancelled` says so."""
        ...


def run_task(
    settings: Settings, job: JobRecord, *, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
) -> tuple[JobState, str]:
    """Carry out a job that is no analysis. This is the boundary at which any error becomes a sentence.

    Returns:
        How the job ends, and what its row says.

    Raises:
        CancelledError: the user cancelled, or the worker stops.
    """
    try:
        return JobState.DONE, _task_of(job.kind)(
            settings, job.slide_id, job.payload, progress=progress, cancelled=cancelled
        )
    except CancelledError:
        raise
    except SecondReadError as err:
        return JobState.FAILED, str(err)
    except Exception as err:
        log.exception("Job %d: %s of slide %s broke.", job.job_id, job.kind.value, job.slide_id)
        return JobState.FAILED, f"{job.kind.value} of {job.slide_id} broke unexpectedly ({type(err).__name__}: {err})."


def _task_of(kind: JobKind) -> Task:
    module, function = TASKS[kind].split(":")
    return cast("Task", getattr(import_module(module), function))
