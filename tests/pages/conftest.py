"""A populated home, built through the services with results that no model made, and the pages run on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from people_kit import CLERK, enrol
from quality_kit import report_of
from streamlit.testing.v1 import AppTest

from core.domain import MppSource, ReadCategory, Region, SlideStatus, Stain
from core.roles import Role
from core.server.sign_in import demonstration_claims
from core.services.analysis.run_files import RunFolder
from core.services.cases.review import record_diagnosis
from core.services.catalogue import SlideRequest, add_slides
from core.services.people.people import ensure_demonstration
from core.services.queue.jobs import enqueue
from core.services.rules.flagging import refresh_flags
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.records import RunResult, SlideFacts
from core.store.results import save_run

PROJECT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, TILE = 2100, 1300, 400
"""Level-0 px; tiles do not divide the slide, so the last column and row are partial."""


@pytest.fixture
def empty_home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home without a case, named by the environment as in the running dashboard."""
    monkeypatch.setenv("SECOND_READ_HOME", str(settings.home))
    return settings


@pytest.fixture
def home(empty_home: Settings, tmp_path: Path) -> Settings:
    """Five cases: missed, agreed, unread, unreadable, waiting for its analysis."""
    settings = empty_home
    enrol(settings, "Another Reader", "another tab")
    ensure_demonstration(settings, "Ada Reader", roles={Role.PATHOLOGIST}, actor=CLERK)
    files = tmp_path / "scans"
    files.mkdir()
    plan = {"missed": "MISSED", "agreed": "AGREED", "agreed-2": "AGREED", "unread": "UNREAD", "broken": "BROKEN"}
    for name in (*plan, "waiting"):
        (files / f"{name}.svs").write_bytes(b"not looked at here: " + name.encode())
    add_slides(
        settings,
        [
            SlideRequest(files / f"{name}.svs", plan.get(name), None, Stain.HE, "Breast", None)
            for name in (*plan, "waiting")
        ],
        actor=CLERK,
    )
    finish(settings, "missed", score=0.97)
    finish(settings, "agreed", score=0.91)
    finish(settings, "agreed-2", score=0.20)
    finish(settings, "unread", score=0.88)
    finish(settings, "broken", score=None)
    enqueue(settings, ["waiting"], actor=CLERK)
    for case in ("MISSED", "AGREED", "UNREAD", "BROKEN"):
        refresh_flags(settings, case, actor=CLERK)
    for case, category in (("MISSED", ReadCategory.BENIGN), ("AGREED", ReadCategory.MALIGNANT)):
        record_diagnosis(settings, case, category=category, grade=None, text="", confidence=4, actor="Another Reader")
    return settings


def finish(settings: Settings, slide_id: str, *, score: float | None) -> None:
    """Write a run as the worker would: with files and a result, or unreadable if `score` is None."""
    run = RunResult(
        run_id=f"run-{slide_id}",
        slide_id=slide_id,
        model="idc",
        status=SlideStatus.UNREADABLE,
        message="The file is not a slide that can be opened.",
        created_at=datetime.now(UTC),
    )
    if score is not None:
        run = _with_result(settings, run, score=score)
    with open_log(settings) as database, writing(database):
        save_run(database, run)


def _with_result(settings: Settings, run: RunResult, *, score: float) -> RunResult:
    folder = RunFolder.of(settings, run.slide_id, run.run_id)
    folder.write_image("thumbnail.jpg", np.full((130, 210, 3), (230, 190, 215), np.uint8))
    corners = [(x, y) for y in range(0, HEIGHT, TILE) for x in range(0, WIDTH, TILE)]
    tumour = np.linspace(0, score, len(corners), dtype=np.float32)
    folder.write_tiles(
        pd.DataFrame(corners, columns=["x", "y"]).assign(
            width=TILE, height=TILE, prob_idc=tumour, prob_no_idc=1 - tumour, qc_focus=np.float32(0.9)
        )
    )
    scores = {"no_idc": 1 - score, "idc": score}
    return replace(
        run,
        status=SlideStatus.OK,
        message="",
        weights_sha256="a" * 64,
        mpp_x=0.5,
        mpp_y=0.5,
        mpp_source=MppSource.OPENSLIDE,
        tissue_mm2=0.61,
        tiles_total=24,
        tiles_kept=20,
        tiles_dropped={"background": 4},
        scores=dict.fromkeys(("top_k_mean", "max", "mean", "majority"), scores),
        label="idc" if score >= 0.5 else "no_idc",
        decision_aggregation="top_k_mean",
        decision_score=score,
        threshold=0.5,
        peak=Region(2000, 1200, TILE, TILE),
        qc=report_of({"out_of_focus": 0.18}).to_dict() | {"carrying_artefact_fraction": 0.0},
        seconds=1.5,
        tiles_per_second=13.3,
        device="numpy",
        settings={"positive_title": "invasive carcinoma"},
        code_version="0.1.0",
        results_dir=folder.relative,
        facts=SlideFacts(sha256="b" * 64, vendor="test", width=WIDTH, height=HEIGHT, levels=3),
    )


def claims(role: Role = Role.PATHOLOGIST, *, name: str = "Ada Reader") -> dict[str, object]:
    """Sign somebody in at the home that the environment names: what the server then hands a page."""
    return demonstration_claims(Settings.from_environment(), name, role=role)


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Open a page as a signed-in person; without a role as nobody."""

    def opened(page: str, *, role: Role | None = Role.PATHOLOGIST, name: str = "Ada Reader", **query: str) -> AppTest:
        at = AppTest.from_file(str(PROJECT / "pages" / "router.py"), default_timeout=20)
        at.user = claims(role, name=name) if role else {"is_logged_in": False}
        for key, value in query.items():
            at.query_params[key] = value
        at.run()
        if page != "worklist.py":
            at.switch_page(page).run()
        return at

    return opened


@pytest.fixture
def run_alone() -> Callable[[str], AppTest]:
    """Run a page's file by itself, without the router before it, as nobody."""

    def run(page: str) -> AppTest:
        at = AppTest.from_file(str(PROJECT / "pages" / page), default_timeout=20)
        at.user = {"is_logged_in": False}
        return at.run()

    return run


@pytest.fixture
def texts() -> Callable[[AppTest], str]:
    """Everything readable on a page, one piece a line."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success")
    return lambda at: "\n".join(str(element.value) for kind in kinds for element in at.get(kind))
