"""The pages of evaluation and of errors: what is shown beside each figure, what is hidden, empty states, deep links."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from evaluation_kit import add_run, add_slide
from people_kit import enrol
from streamlit.testing.v1 import AppTest

from core.domain import ReadCategory
from core.roles import Role
from core.services.cases import review
from core.services.error_review.reviews import error_gallery
from core.services.error_review.values import Direction, Level
from core.services.evaluation.values import EvaluationRequest, Unit
from core.services.queue.jobs import list_jobs
from core.settings import Settings

ADA = "Ada Reader (demonstration)"
OpenPage = Callable[..., AppTest]
Texts = Callable[[AppTest], str]


@pytest.fixture
def cohort(empty_home: Settings, tmp_path: Path) -> Settings:
    """A hit, a miss, a false alarm and a clear slide that were read, and an unread one; two models on the first two."""
    settings = empty_home
    enrol(settings, "Another Reader", roles=(Role.PATHOLOGIST,))
    for name, outline, score in (
        ("hit", "Tumor", 0.95),
        ("missed", "Tumor", 0.4),
        ("alarm", "Artefact: fold", 0.85),
        ("clear", "Artefact: fold", 0.3),
        ("unread", "Tumor", 0.99),
    ):
        slide = add_slide(settings, tmp_path, name, outline=outline, case=name.upper(), site="North", readable=True)
        add_run(settings, slide, score)
        if name in ("hit", "missed"):
            add_run(settings, slide, score - 0.05, model="idc_resnet18")
    for case, category in (
        ("HIT", ReadCategory.MALIGNANT),
        ("MISSED", ReadCategory.BENIGN),
        ("ALARM", ReadCategory.BENIGN),
        ("CLEAR", ReadCategory.BENIGN),
    ):
        review.record_diagnosis(settings, case, category=category, actor="Another Reader")
    return settings


def opened(open_page: OpenPage, section: str, *, role: Role = Role.PATHOLOGIST) -> AppTest:
    """The evaluation page at a section, by its address alone."""
    at = open_page("evaluation.py", role=role, ev_model="idc", ev_section=section)
    assert not at.exception, at.exception
    return at


@pytest.mark.usefixtures("empty_home")
def test_without_a_result_both_pages_say_what_to_do(open_page: OpenPage, texts: Texts):
    for page in ("evaluation.py", "error_review.py"):
        at = open_page(page)
        assert not at.exception
        assert "No model has a result yet" in texts(at)


@pytest.mark.usefixtures("cohort")
def test_every_section_shows_numbers_of_patients_slides_and_tiles(open_page: OpenPage, texts: Texts):
    at = open_page("evaluation.py", ev_model="idc")
    assert not at.exception, at.exception
    shown = texts(at)
    assert "4 patients, 4 slides, 32 tiles; 2 of 4 slides show the target" in shown
    assert "Left out: one case that nobody has read" in shown
    matrix = at.table[0].value
    assert matrix.to_numpy().tolist() == [[1, 1, 2], [1, 1, 2]]
    assert {metric.label: metric.value for metric in at.metric}["Missed"] == "1"
    for name in ("Classes and baselines", "Calibration", "Subgroups", "Tiles and lesions", "Left out and sources"):
        assert "4 patients, 4 slides, 32 tiles" in texts(opened(open_page, name)), name


def test_moving_the_threshold_moves_matrix_and_cost(cohort: Settings, open_page: OpenPage):
    at = open_page("evaluation.py", ev_model="idc")
    (slider,) = at.slider
    slider.set_value(0.35).run()
    assert not at.exception
    assert at.table[0].value.to_numpy().tolist() == [[1, 1, 2], [0, 2, 2]]
    told = {metric.label: metric.value for metric in at.metric}
    assert (told["Missed"], told["False alarms"], told["Called"], told["Cost"]) == ("0", "1", "3 (75%)", "1")
    assert cohort.home.is_dir()


@pytest.mark.usefixtures("cohort")
def test_model_against_model_and_a_reader_as_reference(open_page: OpenPage, texts: Texts):
    at = opened(open_page, "Model against model")
    assert "2 slides of 2 patients that both have scored" in texts(at)
    at.selectbox(key="ev_reference").set_value("The pathologists' reads").run()
    assert not at.exception
    assert "of 4 cases" in texts(at) or "4 patients" in texts(at)


def test_unread_cases_are_revealed_by_a_recorded_choice_only(cohort: Settings, open_page: OpenPage, texts: Texts):
    at = open_page("evaluation.py", ev_model="idc")
    at.button(key="ev_reveal").click().run()
    assert not at.exception
    assert "5 patients" in texts(at)
    assert "nobody has read" not in texts(at)
    history = review.case_history(cohort, "UNREAD")
    assert [event.actor for event in history if event.action == "model.revealed"] == [ADA]


def test_the_check_is_queued_from_the_page_by_who_manages_jobs(cohort: Settings, open_page: OpenPage):
    viewer = opened(open_page, "Robustness", role=Role.VIEWER)
    assert not [button for button in viewer.button if button.key == "ev_robustness_run"]
    at = opened(open_page, "Robustness")
    at.button(key="ev_robustness_run").click().run()
    assert not at.exception
    assert {job.slide_id for job in list_jobs(cohort, live_only=True)} == {"hit", "missed", "alarm", "clear"}


def test_errors_are_coded_from_the_page_and_the_next_one_opens(cohort: Settings, open_page: OpenPage, texts: Texts):
    at = open_page("error_review.py", err_model="idc", err_kind="False alarms")
    assert not at.exception, at.exception
    assert "**alarm**" in texts(at)
    at.button(key="err_code_keratin").click().run()
    assert not at.exception
    assert at.session_state["err_at"] == 1
    gallery = error_gallery(
        cohort,
        EvaluationRequest("idc", "truth", Unit.SLIDE),
        direction=Direction.FALSE_POSITIVE,
        level=Level.TILE,
        actor=ADA,
    )
    assert [one.own.reason for one in gallery.items if one.own] == ["keratin"]
    assert {metric.label: metric.value for metric in at.metric}["Coded by you"] == "1"


@pytest.mark.usefixtures("cohort")
def test_a_viewer_looks_at_errors_and_codes_none(open_page: OpenPage, texts: Texts):
    at = open_page("error_review.py", role=Role.VIEWER, err_model="idc", err_kind="Missed", err_level="Slides")
    assert not at.exception, at.exception
    assert "**missed**" in texts(at)
    assert "Your role looks at errors" in texts(at)
    assert not [button for button in at.button if (button.key or "").startswith("err_code_")]


@pytest.mark.parametrize("page", ["evaluation.py", "error_review.py"])
@pytest.mark.usefixtures("empty_home")
def test_nobody_gets_in_without_signing_in(page: str, run_alone: Callable[[str], AppTest]):
    at = run_alone(page)
    assert [error.value for error in at.error] == ["Sign in first: open the start page of the dashboard."]
