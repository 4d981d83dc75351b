"""SIGKILL in the middle of a real analysis: the next worker goes on, and the result is that of an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_kit import PROJECT, second_read
from conftest import write_pyramid

from core.domain import JobState
from core.services import catalogue
from core.services.cases import review
from core.services.queue import jobs
from core.settings import Settings
from core.store.records import JobRecord

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")

WORKER = """
import sys; from pathlib import Path
from core.services.analysis import tile_results
from core.services.queue import worker
from core.settings import Settings

# A checkpoint after every batch: on a slide of a test's size the usual ten seconds would never pass.
tile_results.CHECKPOINT_EVERY_S = 0.0
sys.exit(worker.run_worker(Settings(home=Path(sys.argv[1]), device="cpu", heartbeat_s=0.2), once=True))
"""

ROWS, COLUMNS = 24, 40
"""Tiles of the slide: at 4 um/px one of 200 um is 50 px."""


@pytest.fixture(scope="module")
def large_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 x 1,200 px at 4 um/px, stained all over: 960 tiles, seconds of work for the shipped network."""
    rng = np.random.default_rng(5)
    shade = np.kron(rng.uniform(-50, 30, (ROWS, COLUMNS)), np.ones((50, 50)))[..., None]
    grain = rng.normal(0, 18, (ROWS * 50, COLUMNS * 50, 1))
    image = (np.array([200, 140, 185]) + shade + grain).clip(0, 240).astype(np.uint8)
    return write_pyramid(tmp_path_factory.mktemp("large") / "large.tif", image, mpp=4.0)


@pytest.fixture(scope="module")
def undisturbed(large_slide: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], pd.DataFrame]:
    """What `second-read analyse` says about the slide, with its tiles."""
    home = tmp_path_factory.mktemp("undisturbed")
    done = second_read("analyse", large_slide, "--json", "--device", "cpu", "--home", home)
    assert done.code == 0, done
    return done.only, tiles_of(home)


@pytest.fixture
def start() -> Generator[Callable[..., subprocess.Popen[bytes]], None, None]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, *(str(argument) for argument in arguments)]
        started.append(subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def tiles_of(home: Path) -> pd.DataFrame:
    (path,) = home.glob("results/large/*/tiles.parquet")
    return pd.read_parquet(path)


def until(condition: Callable[[], bool], *, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_worker_killed_in_mid_slide_costs_nothing(
    settings: Settings,
    large_slide: Path,
    undisturbed: tuple[dict[str, Any], pd.DataFrame],
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    assert second_read("add", large_slide, "--home", settings.home).code == 0
    (job_id,) = (job.job_id for job in jobs.list_jobs(settings))

    def job() -> JobRecord:
        return jobs.get_job(settings, job_id)

    first = start("-c", WORKER, settings.home)
    until(lambda: job().done > 0)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert (job().state, job().total) == (JobState.RUNNING, ROWS * COLUMNS)
    folder = settings.results_dir / "large" / job().run_id
    assert not (folder / "tiles.parquet").exists(), "the worker was too fast to be killed in mid-slide"
    with np.load(folder / "checkpoint.npz") as kept:
        assert 0 < len(kept["probabilities"]) < ROWS * COLUMNS
    assert catalogue.slide_runs(settings, "large") == ()

    second = start("-m", "core", "worker", "--once", "--device", "cpu", "--home", settings.home)
    said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert (job().state, job().attempts, job().done) == (JobState.DONE, 2, ROWS * COLUMNS)
    (run,) = catalogue.slide_runs(settings, "large")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("heatmap.png", "qc.json", "qc_disagreement.png", "qc_map.png", "qc_overlay.png", "qc_tissue.png"),
        *("run.json", "thumbnail.jpg", "tiles.parquet"),
    ]
    saved = [event.action for event in review.case_history(settings, "large") if event.action == "run.saved"]
    assert saved == ["run.saved"]

    expected, tiles = undisturbed
    assert {name: dict(classes) for name, classes in run.scores.items()} == expected["scores"]
    assert (run.label, run.tiles_kept) == (expected["label"], expected["tiles_kept"])
    assert json.loads((folder / "run.json").read_text())["qc"]["score"] == expected["qc_score"]
    pd.testing.assert_frame_equal(tiles_of(settings.home), tiles, check_exact=True)
    assert second_read("log", "verify", "--home", settings.home).code == 0


def test_an_interrupted_analyse_ends_without_a_trace_and_leaves_the_log_whole(
    settings: Settings, large_slide: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    running = start("-m", "core", "analyse", large_slide, "--json", "--device", "cpu", "--home", settings.home)
    until(lambda: bool(list(settings.home.glob("results/large/*/thumbnail.jpg"))))
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode != 0
    assert (out, b"Traceback" in err) == (b"", False), err.decode()
    assert catalogue.slide_runs(settings, "large") == ()
    assert second_read("log", "verify", "--home", settings.home).code == 0
