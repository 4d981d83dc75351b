"""The demonstration's story: told from what the log and the planted truth hold, played by the services, put back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from consult_kit import department, flagged_case, status
from people_kit import enrol
from store_kit import add_slide, run_of, save

from core.domain import CaseStatus, ReadCategory
from core.errors import ConflictError, NotAllowedError
from core.phantom.truth import TUMOUR
from core.roles import Role
from core.services import catalogue
from core.services.cases import review
from core.services.consultations.answers import Answer
from core.services.queue import jobs
from core.services.queue.worker import run_worker
from core.services.story.planted import planted_cases, planted_outlines
from core.services.story.play import STEPS, play_next, steps_done
from core.services.story.start import is_demonstration, keep_start, start_over
from core.services.story.story import ChapterKind, story
from core.settings import Settings
from core.store import jobs as queue
from core.store.connection import open_log, writing
from core.store.verification import verify

SQUARE = [[[10, 10], [90, 10], [90, 60], [10, 60], [10, 10]]]


def plant(settings: Settings, slide_id: str, *names: str) -> None:
    """Lay the truth of a phantom beside a slide."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": SQUARE},
            "properties": {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}},
        }
        for name in names
    ]
    path = Path(catalogue.get_slide(settings, slide_id).path).with_suffix(".geojson")
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def over_called(settings: Settings) -> None:
    """A case that ann reads as benign, rightly, and the model as malignant."""
    slide_id = add_slide(settings, "slide-C2", case_id="C2")
    save(settings, run_of(slide_id, run_id="run-C2", score=0.9))
    review.record_read(settings, "C2", Answer(category=ReadCategory.BENIGN), actor="ann")
    plant(settings, slide_id)
    department(settings)


@pytest.fixture
def told(settings: Settings) -> Settings:
    """A missed tumour and an over-call of the model, kept as the start of a demonstration."""
    plant(settings, flagged_case(settings), TUMOUR, "Artefact: pen")
    over_called(settings)
    keep_start(settings)
    return settings


def test_chapters_are_found_by_flag_and_planted_truth(told: Settings) -> None:
    chapters = {chapter.kind: chapter for chapter in story(told, actor="vic")}
    assert list(chapters) == list(ChapterKind)
    assert chapters[ChapterKind.TRUE_FLAG].case_id == "C1"
    assert "0.95" in chapters[ChapterKind.TRUE_FLAG].statement
    assert chapters[ChapterKind.FALSE_FLAG].case_id == "C2"
    assert ("Planted truth", "no tumour") in chapters[ChapterKind.FALSE_FLAG].facts
    assert chapters[ChapterKind.SECOND_OPINION].case_id == "C1"


def test_a_cohort_without_such_a_case_says_so(told: Settings) -> None:
    empty = next(chapter for chapter in story(told, actor="vic") if chapter.kind is ChapterKind.QC_LIMITED)
    assert (empty.case_id, empty.facts) == (None, (("Cases in the cohort", "2"),))
    assert "No case" in empty.statement


def test_a_flag_without_known_truth_is_neither_right_nor_wrong(settings: Settings) -> None:
    flagged_case(settings)
    kinds = {chapter.kind: chapter.case_id for chapter in story(settings, actor="vic")}
    assert (kinds[ChapterKind.TRUE_FLAG], kinds[ChapterKind.FALSE_FLAG]) == (None, None)


def test_the_story_of_a_blinded_person_leaves_the_case_out(told: Settings) -> None:
    play_next(told, "C1", actor="Eve")
    colleague = "dr.second (demonstration)"
    assert "C1" not in {chapter.case_id for chapter in story(told, actor=colleague)}
    assert "C1" in {chapter.case_id for chapter in story(told, actor="vic")}


def test_planted_truth_is_read_as_it_lies_there(told: Settings) -> None:
    assert planted_cases(told) == {"C1": True, "C2": False}
    lesion, artefact = planted_outlines(catalogue.get_slide(told, "slide-C1"))
    assert (lesion.is_lesion, artefact.is_lesion) == (True, False)
    assert lesion.ring[1] == (90.0, 10.0)
    Path(catalogue.get_slide(told, "slide-C2").path).with_suffix(".geojson").write_text("no json")
    assert planted_outlines(catalogue.get_slide(told, "slide-C2")) == ()


def test_every_step_is_a_real_one_and_the_case_ends_signed(told: Settings) -> None:
    for number, step in enumerate(STEPS):
        assert steps_done(told, "C1", actor="Eve") == number
        assert play_next(told, "C1", actor="Eve") == step
    assert status(told) is CaseStatus.SIGNED
    assert steps_done(told, "C1", actor="Eve") == len(STEPS)
    with pytest.raises(ConflictError, match="signed"):
        play_next(told, "C1", actor="Eve")
    actions = [event.action for event in review.case_history(told, "C1")]
    for action in ("consultation.requested", "opinion.recorded", "opinion.compared", "signature.recorded"):
        assert action in actions
    assert verify(told).ok


def test_steps_go_on_where_people_left_off_by_hand(told: Settings) -> None:
    play_next(told, "C1", actor="Eve")
    play_next(told, "C1", actor="Eve")
    assert steps_done(told, "C1", actor="Eve") == 2


@pytest.mark.parametrize("actor", ["ann", "vic", "quinn", "nobody"])
def test_only_a_lead_plays_and_starts_over(told: Settings, actor: str) -> None:
    with pytest.raises(NotAllowedError):
        play_next(told, "C1", actor=actor)
    with pytest.raises(NotAllowedError):
        start_over(told, actor=actor)


def test_nothing_is_played_or_put_back_outside_a_demonstration(settings: Settings) -> None:
    flagged_case(settings)
    assert not is_demonstration(settings)
    with pytest.raises(ConflictError, match="demonstration only"):
        play_next(settings, "C1", actor="Eve")
    with pytest.raises(ConflictError, match="second-read demo"):
        start_over(settings, actor="Eve")


def test_starting_over_puts_the_start_back_and_sets_the_rest_aside(told: Settings) -> None:
    for _ in range(3):
        play_next(told, "C1", actor="Eve")
    aside = start_over(told, actor="Eve")
    assert status(told) is CaseStatus.FLAGGED
    assert verify(told).ok
    with open_log(told) as database:
        last = database.conn.execute("SELECT action, payload FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    assert last[0] == "demonstration.started_over"
    assert json.loads(last[1])["set_aside"] == aside.name
    kept = Settings(home=told.home.parent / "kept")
    kept.home.mkdir()
    kept.log_path.write_bytes(aside.read_bytes())
    assert status(kept) is CaseStatus.OPINION_RECEIVED
    assert verify(kept).ok
    # Told once more from the same start.
    assert steps_done(told, "C1", actor="Eve") == 0
    play_next(told, "C1", actor="Eve")


def test_the_start_is_kept_once(told: Settings) -> None:
    play_next(told, "C1", actor="Eve")
    keep_start(told)
    start_over(told, actor="Eve")
    assert steps_done(told, "C1", actor="Eve") == 0


def test_a_running_worker_goes_on_after_the_start_was_put_back(told: Settings) -> None:
    with open_log(told) as database, writing(database):
        worker = queue.register_worker(database, pid=4242, host="here")
    start_over(told, actor="Eve")
    jobs.enqueue(told, ["slide-C1"], model="idc", actor="Eve")
    with open_log(told) as database, writing(database):
        job = queue.claim(database, worker_id=worker)
    assert job is not None
    assert job.worker_pid == 4242


def test_another_process_may_write_between(told: Settings) -> None:
    enrol(told, "Zoe", roles=(Role.LEAD,))
    department(told)
    start_over(told, actor="Eve")
    assert run_worker(told, once=True) == 0
    assert verify(told).ok
