"""Jobs that are no analysis: queued once, carried out by the same worker, every end visible, nothing of them a run."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from people_kit import CLERK, enrol
from store_kit import add_slide

from core.domain import JobKind, JobState
from core.errors import CancelledError, InputError, NotAllowedError, NotFoundError
from core.roles import Role
from core.services import catalogue
from core.services.queue import jobs, tasks
from core.services.queue.worker import run_worker
from core.settings import Settings
from core.store import jobs as queue
from core.store.connection import open_log, writing
from core.store.records import Json
from core.store.verification import verify


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Json]]:
    """Register a task of a test and return the list of what it was asked."""
    asked: list[tuple[str, Json]] = []

    def work(
        settings: Settings,
        slide_id: str,
        payload: Json,
        *,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],  # noqa: ARG001
    ) -> str:
        asked.append((slide_id, payload))
        progress(1, 2)
        match payload.get("outcome"):
            case "refused":
                raise InputError("That cannot be explained.")
            case "broken":
                raise ZeroDivisionError("oops")
            case "cancelled":
                raise CancelledError("The user cancelled.")
            case "look":
                (job,) = jobs.list_jobs(settings)
                return f"{job.stage}: {job.done} of {job.total}"
        return "Four maps."

    module = types.ModuleType("a_task_of_a_test")
    module.work = work  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(tasks, "TASKS", {JobKind.EXPLAIN: f"{module.__name__}:work"})
    return asked


def ask(settings: Settings, slide_id: str, payload: Json) -> int:
    return jobs.enqueue_task(settings, slide_id, kind=JobKind.EXPLAIN, payload=payload, actor=CLERK)


def test_the_same_request_is_queued_once_and_another_beside_an_analysis(settings: Settings) -> None:
    slide = add_slide(settings, "a")
    (analysis,) = jobs.enqueue(settings, [slide], model="idc", actor=CLERK)
    first = ask(settings, slide, {"x": 1, "y": 2})
    assert ask(settings, slide, {"y": 2, "x": 1}) == first
    assert len({analysis, first, ask(settings, slide, {"x": 2, "y": 2})}) == 3
    assert jobs.get_job(settings, first).payload == {"x": 1, "y": 2}
    assert verify(settings).ok


def test_what_somebody_waits_for_is_taken_first(settings: Settings) -> None:
    slide = add_slide(settings, "a")
    jobs.enqueue(settings, [slide], model="idc", actor=CLERK)
    explain = ask(settings, slide, {"x": 1})
    with open_log(settings) as database, writing(database):
        worker = queue.register_worker(database, pid=1, host="here")
        job = queue.claim(database, worker_id=worker)
    assert job is not None
    assert job.job_id == explain


@pytest.mark.parametrize(
    ("outcome", "state", "words"),
    [
        (None, JobState.DONE, "Four maps."),
        ("refused", JobState.FAILED, "That cannot be explained."),
        ("broken", JobState.FAILED, "broke unexpectedly (ZeroDivisionError: oops)"),
        ("cancelled", JobState.CANCELLED, "Cancelled."),
    ],
)
def test_every_end_is_visible_and_none_is_a_run(
    settings: Settings, done: list[tuple[str, Json]], outcome: str | None, state: JobState, words: str
) -> None:
    slide = add_slide(settings, "a")
    job_id = ask(settings, slide, {"outcome": outcome})
    assert run_worker(settings, once=True) == 0
    job = jobs.get_job(settings, job_id)
    assert done == [(slide, {"outcome": outcome})]
    assert job.state is state
    assert words in job.message
    assert catalogue.get_slide(settings, slide).run_id is None
    assert verify(settings).ok


@pytest.mark.usefixtures("done")
def test_the_row_says_how_far_it_is_and_in_what(settings: Settings) -> None:
    add_slide(settings, "s1")
    number = ask(settings, "s1", {"outcome": "look"})
    run_worker(settings, once=True)
    assert jobs.get_job(settings, number).message == "steps: 1 of 2"


def test_a_failed_task_is_tried_again_as_the_same_task(settings: Settings, done: list[tuple[str, Json]]) -> None:
    slide = add_slide(settings, "a")
    job_id = ask(settings, slide, {"outcome": "refused"})
    run_worker(settings, once=True)
    again = jobs.get_job(settings, jobs.retry(settings, job_id, actor=CLERK))
    assert (again.kind, again.payload, again.state) == (JobKind.EXPLAIN, {"outcome": "refused"}, JobState.QUEUED)
    assert len(done) == 1


def test_who_may_ask(settings: Settings) -> None:
    slide = add_slide(settings, "a")
    enrol(settings, "Vera", roles=(Role.VIEWER,))
    enrol(settings, "Quinn", roles=(Role.QC,))
    with pytest.raises(NotAllowedError, match="manage jobs"):
        jobs.enqueue_task(settings, slide, kind=JobKind.ROBUSTNESS, payload={}, actor="Vera")
    assert jobs.enqueue_task(settings, slide, kind=JobKind.ROBUSTNESS, payload={}, actor="Quinn")
    with pytest.raises(NotFoundError):
        jobs.enqueue_task(settings, "nowhere", kind=JobKind.QC, payload={}, actor="Quinn")


def test_every_registered_task_exists() -> None:
    for target in tasks.TASKS.values():
        module, function = target.split(":")
        path = Path(__file__).resolve().parents[2].joinpath(*module.split(".")).with_suffix(".py")
        assert f"def {function}(" in path.read_text()
