"""No service forgets to ask: every public function that takes an actor is called as a viewer and as a stranger.

A new function is found by itself and called with arguments made up from its annotations. It passes when it asks first.
Where made-up arguments are refused before that, its source must lead to the question, and nothing may be written.
Whatever a viewer may call stands in VIEWER_MAY, with the reason.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from people_kit import enrol

import core.services
from core.errors import NotAllowedError, SecondReadError
from core.roles import Role
from core.services.catalogue import verify_log
from core.settings import Settings
from core.store.connection import Log

VIEWER, STRANGER = "vic", "nobody known"

VIEWER_MAY = {
    "cases.worklist_pages.worklist_page": "looking at the list",
    "cases.worklist_pages.worklist_names": "looking at the list",
    "triage.board.board": "looking at reports",
    "triage.audits.audit_view": "looking at reports",
    "cases.day.day_view": "looking at one's own day",
    "reports.reports.report": "looking at reports",
    "reports.reports.reports_of": "looking at reports",
    "reports.reports.first_read_at": "looking at reports",
    "agreement.input.agreement_input": "looking at reports",
    "agreement.view.agreement_choices": "looking at reports",
    "agreement.view.agreement_view": "looking at reports",
    "calibration.coverage.coverage_of": "looking at reports",
    "evaluation.selective.selective_of": "looking at reports",
    "calibration.making.list_seen_models": "looking at reports",
    "analysis.unlikeness.list_references": "looking at reports",
    "cases.review.open_case": "looking at a case; that the result was seen is logged",
    "cases.visibility.open_case": "looking at a case; that the result was seen is logged",
    "consultations.lists.inbox": "looking at requests",
    "consultations.lists.sent": "looking at requests",
    "consultations.lists.overdue": "looking at requests",
    "consultations.lists.waiting": "looking at requests",
    "consultations.lists.case_consult": "looking at requests",
    "consultations.inbox.consult_inbox": "looking at requests",
    "consultations.inbox.count_to_do": "looking at requests",
    "consultations.next_step.next_step": "looking at a case",
    "story.story.story": "looking at the demonstration",
    "story.play.steps_done": "looking at a case",
    "consultations.look_at.places": "looking at a case",
    "quality.verdicts.slide_verdicts": "looking at a slide",
    "quality.table.quality_table": "looking at a list",
    "quality.table.quality_row": "looking at a slide",
    "quality.table.slide_order": "looking at a list",
    "quality.cohort.cohort_view": "looking at a list",
    "quality.trends.quality_trends": "looking at reports",
    "quality.second_reads.second_reads_to_do": "looking at requests",
    "quality.second_reads.awaited_second_reads": "looking at requests",
    "quality.references.references": "looking at a slide",
    "quality.reference_picture.reference_picture": "looking at a slide",
    "quality.comparison.compare_reference": "looking at a slide; nothing is kept",
    "quality.agreement.qc_agreement": "looking at reports",
    "cases.other_systems.other_systems": "looking at a case",
    "cases.visibility.blinded_cases": "which cases to leave out for whoever asks",
    "evaluation.figures.evaluate": "looking at figures",
    "evaluation.gather.prepare": "looking at figures",
    "evaluation.choices.evaluation_choices": "looking at figures",
    "evaluation.compare.compare_models": "looking at figures",
    "evaluation.robustness.robustness_summary": "looking at figures",
    "evaluation.lesion_overlap.lesion_slides": "looking at figures",
    "evaluation.lesion_overlap.overlap_row": "looking at figures",
    "evaluation.lesion_overlap.overlap_picture": "looking at figures",
    "error_review.reviews.error_gallery": "looking at figures",
    "error_review.export.error_picture": "looking at a case",
    "people.sessions.list_sessions": "one's own sessions",
    "people.sessions.revoke_session": "one's own session",
    "people.sessions.revoke_everywhere": "one's own sessions",
}
"""Functions that need SEE_CASES or nothing but being oneself: strangers are refused all the same."""

ASKS_NOT = {
    "people.authority": "answers the question itself",
    "people.people.ensure_demonstration_person": "inside the sign-in's transaction, before there is a session",
    "people.sessions.open_demonstration": "the sign-in itself",
    "people.sessions.visit": "the sign-in itself",
    "people.sessions.holds": "says whether a session holds",
    "cases.worklist.row_for": "makes a row of what a function that asked has read",
}
"""Not asked for an actor, because they come before one."""

WRITES_WITHOUT_ACTOR = {
    "quality.limits.bring_up_to_date": "derived suggestions follow the limits; the log does not change",
    "queue.worker": "acts as the system",
    "queue.pulse": "the worker's heartbeat",
    "queue.supervisor": "starts the worker",
    "people.sessions.visit": "the sign-in itself",
    "people.sessions.open_demonstration": "the sign-in itself",
}


def modules() -> list[types.ModuleType]:
    found = pkgutil.walk_packages(core.services.__path__, "core.services.")
    return [importlib.import_module(module.name) for module in found if not module.ispkg]


def short(function: Callable[..., Any]) -> str:
    return f"{function.__module__.removeprefix('core.services.')}.{function.__name__}"


def acting() -> list[Callable[..., Any]]:
    """Every public function of a service module that opens the log for an actor.

    What works on an open log, inside the transaction of a function that asked, or on values alone is none of them.
    """
    return [
        member
        for module in modules()
        for name, member in vars(module).items()
        if inspect.isfunction(member)
        and not name.startswith("_")
        and member.__module__ == module.__name__
        and "actor" in inspect.signature(member).parameters
        and Settings in (hints := typing.get_type_hints(member).values())
        and Log not in hints
        and module.__name__.removeprefix("core.services.") not in ASKS_NOT
        and short(member) not in ASKS_NOT
    ]


@cache
def calls() -> dict[str, set[str]]:
    """Function of a service -> names that it calls."""
    found: dict[str, set[str]] = {}
    for module in modules():
        for node in ast.parse(Path(module.__file__ or "").read_text()).body:
            if isinstance(node, ast.FunctionDef):
                names = {part.func for part in ast.walk(node) if isinstance(part, ast.Call)}
                called = {one.id if isinstance(one, ast.Name) else getattr(one, "attr", "") for one in names}
                found.setdefault(node.name, set()).update(called)
    return found


def leads_to_the_question(name: str, seen: frozenset[str] = frozenset()) -> bool:
    called = calls().get(name, set())
    if called & {"require", "require_now"}:
        return True
    return any(leads_to_the_question(one, seen | {name}) for one in called & set(calls()) - seen - {name})


def made_up(kind: Any) -> Any:
    """Something of a type, harmless and as small as can be."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if type(None) in arguments else made_up(arguments[0])
    if origin is typing.Literal:
        return arguments[0]
    if isinstance(origin, type):
        return {} if issubclass(origin, Mapping) else frozenset() if issubclass(origin, frozenset) else ()
    return made_up_plain(kind) if isinstance(kind, type) else None


def made_up_plain(kind: type) -> Any:
    if issubclass(kind, Enum):
        return next(iter(kind))
    if is_dataclass(kind):
        needed = [one for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
        hints = typing.get_type_hints(kind)
        return kind(**{one.name: made_up(hints[one.name]) for one in needed})
    plain = {
        str: "1",
        bytes: b"",
        bool: False,
        int: 1,
        float: 0.5,
        Path: Path("made-up"),
        typing.BinaryIO: io.BytesIO(),
    }
    return datetime(2030, 1, 1, tzinfo=UTC) if kind is datetime else plain.get(kind)


def call(function: Callable[..., Any], settings: Settings, *, actor: str) -> object:
    """Call a function as somebody, with made-up arguments."""
    hints = typing.get_type_hints(function)
    given: dict[str, Any] = {}
    positional: list[Any] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "actor":
            given[name] = actor
            continue
        if parameter.default is not inspect.Parameter.empty:
            continue
        value = settings if hints.get(name) is Settings else made_up(hints.get(name, Any))
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            given[name] = value
        else:
            positional.append(value)
    return function(*positional, **given)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One home for all: nothing may be written."""
    settings = Settings(home=tmp_path_factory.mktemp("matrix") / "home")
    enrol(settings, VIEWER, roles=(Role.VIEWER,))
    return settings


def test_the_walk_finds_the_services():
    found = {short(function) for function in acting()}
    assert {
        "cases.review.record_diagnosis",
        "queue.jobs.cancel",
        "viewing.annotations.save_drawn",
        "people.people.change_roles",
    } <= found
    assert len(found) >= 25


def refused(function: Callable[..., Any], settings: Settings, *, actor: str) -> None:
    """Fail unless the call is refused for who calls, or at least refused by a function that would ask."""
    before = verify_log(settings).rows
    with pytest.raises(SecondReadError) as err:
        call(function, settings, actor=actor)
    assert verify_log(settings).rows == before, "something was written all the same"
    if not isinstance(err.value, NotAllowedError):
        assert leads_to_the_question(function.__name__), f"{short(function)} never asks whether its actor may"


@pytest.mark.parametrize("function", acting(), ids=short)
def test_a_stranger_is_refused_whatever_is_asked(matrix: Settings, function: Callable[..., Any]):
    refused(function, matrix, actor=STRANGER)


@pytest.mark.parametrize(
    "function", [function for function in acting() if short(function) not in VIEWER_MAY], ids=short
)
def test_a_viewer_records_nothing(matrix: Settings, function: Callable[..., Any]):
    refused(function, matrix, actor=VIEWER)


def test_most_functions_ask_before_anything_else(matrix: Settings):
    first = 0
    for function in acting():
        try:
            call(function, matrix, actor=STRANGER)
        except NotAllowedError:
            first += 1
        except SecondReadError:
            continue
    assert first >= 0.6 * len(acting())


def test_what_a_viewer_may_is_still_there():
    found = {short(function) for function in acting()}
    assert set(VIEWER_MAY) - found <= {"cases.review.open_case", "cases.visibility.open_case"}


def test_whoever_opens_a_write_knows_who_acts():
    """A public function that opens a write transaction takes an actor, or stands in the table with its reason."""
    for module in modules():
        tree = ast.parse(Path(module.__file__ or "").read_text())
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            writes = any(
                isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "writing"
                for part in ast.walk(node)
            )
            name = module.__name__.removeprefix("core.services.")
            takes = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
            known = name in WRITES_WITHOUT_ACTOR or f"{name}.{node.name}" in WRITES_WITHOUT_ACTOR
            assert not writes or "actor" in takes or known, f"{name}.{node.name} writes, and nobody is asked who acts"
