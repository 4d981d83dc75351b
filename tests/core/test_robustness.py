"""Robustness: the changes themselves, the worker's task with its resume, and the summary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import FakeModel
from evaluation_kit import add_run, add_slide
from hypothesis import given, settings
from hypothesis import strategies as st
from people_kit import CLERK, enrol

from core.domain import JobKind, JobState, ReadCategory
from core.errors import CancelledError, InputError, NotAllowedError
from core.evaluation.perturbation import PERTURBATIONS, blurred, compressed, flipped, rotated, stained
from core.roles import Role
from core.services.analysis import analyse
from core.services.cases import review
from core.services.consultations.answers import Answer
from core.services.evaluation.robustness import SAMPLE, request_robustness, robustness_summary
from core.services.evaluation.robustness_files import UNCHANGED, read_robustness
from core.services.evaluation.robustness_run import run, sample_rows
from core.services.evaluation.values import Cohort
from core.services.queue.jobs import get_job, list_jobs
from core.services.queue.worker import run_worker
from core.settings import Settings
from models.cards import load_card

PAYLOAD = {"model": "idc", "sample": SAMPLE}
RANDOM = np.random.default_rng(0)
TILES = RANDOM.integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)


# -------------------------------------------------------------------------------------------------------- the changes


def test_turning_and_mirroring_lose_nothing() -> None:
    np.testing.assert_array_equal(rotated(rotated(TILES, quarters=1), quarters=3), TILES)
    np.testing.assert_array_equal(rotated(TILES, quarters=1)[0, 0, 0], TILES[0, 0, 15])
    np.testing.assert_array_equal(flipped(flipped(TILES)), TILES)


@given(st.floats(0.5, 1.5), st.floats(0.5, 1.5))
@settings(max_examples=25)
def test_more_stain_is_darker_less_is_lighter_and_white_stays_white(haematoxylin: float, eosin: float) -> None:
    white = np.full((1, 2, 2, 3), 255, np.uint8)
    np.testing.assert_array_equal(stained(white, haematoxylin=haematoxylin, eosin=eosin), white)
    violet = np.full((1, 2, 2, 3), (120, 80, 160), np.uint8)
    both = min(haematoxylin, eosin), max(haematoxylin, eosin)
    changed = stained(violet, haematoxylin=haematoxylin, eosin=eosin).astype(int)
    if both[0] >= 1:
        assert (changed <= violet.astype(int) + 1).all()
    if both[1] <= 1:
        assert (changed >= violet.astype(int) - 1).all()


def test_the_amount_of_haematoxylin_is_what_is_multiplied() -> None:
    vectors = np.array([(0.650, 0.704, 0.286), (0.072, 0.990, 0.105), (0.268, 0.570, 0.776)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def amounts(tile: np.ndarray) -> np.ndarray:
        return -np.log((tile[0, 0, 0].astype(float) + 1) / 256) @ np.linalg.inv(vectors)

    tile = np.full((1, 1, 1, 3), (110, 60, 140), np.uint8)
    before, after = amounts(tile), amounts(stained(tile, haematoxylin=1.2, eosin=1))
    assert after[0] / before[0] == pytest.approx(1.2, abs=0.02)
    assert after[1:] == pytest.approx(before[1:], abs=0.03)


def test_blur_keeps_the_mean_and_takes_detail_and_jpeg_loses_more_the_lower_its_quality() -> None:
    soft = blurred(TILES, sigma_px=1.0)
    assert soft.mean() == pytest.approx(TILES.mean(), abs=2)
    assert soft.std() < TILES.std() / 2
    np.testing.assert_array_equal(soft[0], blurred(TILES[:1], sigma_px=1.0)[0])  # tiles do not run into each other
    lost = [np.abs(compressed(TILES, quality=quality).astype(int) - TILES).mean() for quality in (95, 70, 40)]
    assert lost[0] < lost[1] < lost[2]
    assert compressed(TILES[:0], quality=70).shape == (0, 16, 16, 3)


def test_names_are_distinct_and_a_wrong_scale_reads_another_area() -> None:
    assert len({one.name for one in PERTURBATIONS}) == len(PERTURBATIONS)
    assert [(one.name, round(one.read_scale, 3)) for one in PERTURBATIONS if one.change is None] == [
        ("mpp_high", 0.909),
        ("mpp_low", 1.111),
    ]


@given(st.integers(1, 400), st.integers(2, 128))
def test_the_sample_holds_the_most_suspicious_and_no_tile_twice(count: int, sample: int) -> None:
    probability = np.random.default_rng(count).random(count)
    rows = sample_rows(probability, sample=sample, seed="a run")
    assert len(rows) == min(count, sample)
    assert len(set(rows.tolist())) == len(rows)
    assert set(np.argsort(-probability)[: min(count, sample // 2)].tolist()) <= set(rows.tolist())
    np.testing.assert_array_equal(rows, sample_rows(probability, sample=sample, seed="a run"))


# ----------------------------------------------------------------------------------------------------------- the task


class Counting(FakeModel):
    """Counts the tiles it is shown."""

    def __init__(self) -> None:
        self.seen = 0

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        self.seen += len(tiles)
        return super().predict(tiles)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """A numpy model in the place of the shipped one."""
    found = Counting()
    monkeypatch.setattr(analyse, "shared_model", lambda _name, _device: found)
    return found


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Settings:
    """Two readable slides with a result, of a case that was read."""
    enrol(settings, "ann", roles=(Role.PATHOLOGIST,))
    enrol(settings, "vic", roles=(Role.VIEWER,))
    for name, site in (("one", "North"), ("two", "South")):
        add_run(settings, add_slide(settings, tmp_path, name, outline=None, case="C", site=site, readable=True), 0.9)
    review.record_read(settings, "C", Answer(category=ReadCategory.BENIGN), actor="ann")
    return settings


def kept(settings: Settings, slide: str = "one") -> Path:
    (path,) = (settings.results_dir / slide / "robustness").glob("*.json")
    return path


def test_the_task_keeps_every_change_and_goes_on_where_it_was_stopped(home: Settings, model: Counting) -> None:
    steps: list[tuple[int, int]] = []
    asked = iter([False] * 4 + [True])
    with pytest.raises(CancelledError):
        run(home, "one", PAYLOAD, progress=lambda *step: steps.append(step), cancelled=lambda: next(asked))
    assert len(json.loads(kept(home).read_text())["probabilities"]) == 4
    assert model.seen == 4 * 8
    told = run(home, "one", PAYLOAD, progress=lambda *step: steps.append(step), cancelled=lambda: False)
    assert told == f"8 of 8 tiles under {len(PERTURBATIONS)} changes."
    whole = len(PERTURBATIONS) + 1
    assert model.seen == whole * 8
    assert steps[-1] == (whole, whole)
    assert run(home, "one", PAYLOAD, progress=lambda *_: None, cancelled=lambda: False) == told
    assert model.seen == whole * 8  # nothing is computed twice
    found = read_robustness(kept(home))
    assert found is not None
    assert found.complete
    np.testing.assert_allclose(found.probabilities["rotate_90"], found.probabilities[UNCHANGED])
    assert not np.allclose(found.probabilities["haematoxylin_more"], found.probabilities[UNCHANGED])


def test_a_damaged_file_is_computed_again(home: Settings, model: Counting) -> None:
    run(home, "one", PAYLOAD, progress=lambda *_: None, cancelled=lambda: False)
    kept(home).write_text("{")
    seen = model.seen
    run(home, "one", PAYLOAD, progress=lambda *_: None, cancelled=lambda: False)
    assert model.seen == 2 * seen


def test_a_slide_without_a_result_is_refused(home: Settings, tmp_path: Path) -> None:
    add_slide(home, tmp_path, "bare", outline=None)
    with pytest.raises(InputError, match="Analyse it first"):
        run(home, "bare", PAYLOAD, progress=lambda *_: None, cancelled=lambda: False)


@pytest.mark.usefixtures("model")
def test_from_the_button_over_the_worker_to_the_summary(home: Settings) -> None:
    before = robustness_summary(home, "idc", actor="ann")
    assert (before.done, before.missing, before.rows) == ((), ("one", "two"), ())
    with pytest.raises(NotAllowedError):
        request_robustness(home, "idc", actor="vic")
    assert list_jobs(home) == []
    jobs = request_robustness(home, "idc", actor="ann")
    assert request_robustness(home, "idc", actor="ann") == jobs
    assert robustness_summary(home, "idc", actor="ann").waiting == 2
    run_worker(home, once=True)
    assert [(get_job(home, job).state, get_job(home, job).kind) for job in jobs] == [
        (JobState.DONE, JobKind.ROBUSTNESS)
    ] * 2
    after = robustness_summary(home, "idc", actor="ann")
    assert (after.done, after.missing, after.waiting) == (("one", "two"), (), 0)
    rows = {row.name: row for row in after.rows}
    assert rows["flip"].mean_change == pytest.approx(0)
    assert rows["flip"].tile_flips == 0
    assert rows["haematoxylin_less"].mean_change > 0
    assert (rows["haematoxylin_less"].slide_changes < 0).all()  # less stain is lighter, and this model looks for dark
    assert (rows["haematoxylin_more"].n_tiles, rows["haematoxylin_more"].n_slides) == (16, 2)
    assert robustness_summary(home, "idc", cohort=Cohort(sites=("South",)), actor="ann").done == ("two",)
    with pytest.raises(InputError, match="already"):
        request_robustness(home, "idc", actor=CLERK)
    assert load_card("idc").weights_sha256 == json.loads(kept(home).read_text())["weights_sha256"]
