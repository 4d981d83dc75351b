"""Small cases, runs and flags for the tests of the store and its services."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from people_kit import enrol

from core.domain import FlagDirection, FlagKind, MppSource, Region, SlideStatus
from core.services import catalogue
from core.services.cases.worklist import CaseRow
from core.services.cases.worklist_pages import WorklistOrder, worklist_page
from core.services.catalogue import SlideRequest
from core.settings import Settings
from core.store import results
from core.store.connection import open_log, writing
from core.store.records import FlagRecord, RunResult, SlideFacts

READERS = ("ann", "bob", "cleo", "Ada", "Ben", "Eve", "another tab")
"""Who acts in these tests; each may do everything."""
NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def listed(settings: Settings, *, actor: str | None = None) -> list[CaseRow]:
    """The whole worklist of a small home, likely missed disease first."""
    page = worklist_page(settings, actor=actor, order=WorklistOrder.PRIORITY, limit=1_000)
    return [case.row for case in page.cases]


def add_slide(settings: Settings, name: str, *, case_id: str | None = None) -> str:
    """Add a slide whose file exists but is no slide: the catalogue does not look inside."""
    enrol(settings, *READERS)
    folder = settings.home.parent / "files"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.svs"
    path.write_bytes(name.encode())
    return catalogue.add_slides(settings, [SlideRequest(path, case_id)], actor="ann").slide_ids[0]


def run_of(slide_id: str, *, run_id: str = "r1", score: float = 0.9, status: SlideStatus = SlideStatus.OK) -> RunResult:
    """A finished run with every field set."""
    ok = status is SlideStatus.OK
    return RunResult(
        run_id=run_id,
        slide_id=slide_id,
        model="idc",
        status=status,
        created_at=NOW,
        message="" if ok else "It broke.",
        model_version="2030-01-01",
        weights_sha256="ab" * 32,
        mpp_x=0.499,
        mpp_y=0.5,
        mpp_source=MppSource.OPENSLIDE,
        tissue_mm2=12.5,
        tiles_total=10,
        tiles_kept=7,
        tiles_dropped={"background": 3},
        scores={"max": {"idc": score, "other": 1 - score}, "mean": {"idc": 0.25, "other": 0.75}} if ok else {},
        label="idc" if ok else None,
        decision_aggregation="max" if ok else None,
        decision_score=score if ok else None,
        threshold=0.5,
        peak=Region(100, 200, 50, 60) if ok else None,
        qc={"score": 0.8, "parts": [{"name": "pen", "area_mm2": 0.1}]} if ok else None,
        seconds=1.5,
        tiles_per_second=60.0,
        device="numpy",
        settings={"batch_size": 32},
        code_version="0.1",
        results_dir=f"results/{slide_id}/{run_id}",
        facts=SlideFacts(sha256="cd" * 32, vendor="aperio", width=2220, height=2967, levels=1, objective_power=20.0),
    )


def flag_of_kind(kind: FlagKind, *, score: float = 0.5, slide_id: str | None = None) -> FlagRecord:
    """A flag with only its kind of interest."""
    return FlagRecord(
        kind=kind,
        direction=FlagDirection.NONE,
        reason=f"because {kind.value}",
        rule_version="flags-1",
        created_at=NOW,
        score=score,
        slide_id=slide_id,
    )


def save(settings: Settings, run: RunResult) -> bool:
    """Save one run."""
    with open_log(settings) as database, writing(database):
        return results.save_run(database, run)


def set_flags(settings: Settings, case_id: str, *flags: FlagRecord) -> None:
    """Make these the current flags of a case."""
    with open_log(settings) as database, writing(database):
        results.save_flags(database, case_id, flags)


PROJECT = Path(__file__).resolve().parents[2]
