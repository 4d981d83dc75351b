"""A refused slide on the case page: why, the way to run the model anyway, and what the page says afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
from people_kit import CLERK

from core.domain import SlideStatus
from core.server.identity import Role
from core.services.cases.review import reveal_model
from core.services.catalogue import get_slide
from core.services.queue.jobs import cancel, list_jobs
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.records import NOT_CHECKED, OVERRIDE, RunResult
from core.store.results import get_run, save_run

ADA = "Ada Reader (demonstration)"
UNFIT = "it is made for HE slides, and this one is IHC"
TOLD = {"reason": "stated as IHC by mistake", "actor": "Eve", "unfit": [UNFIT]}


def again(home: Settings, **changes: object) -> RunResult:
    """Save another run of the slide `unread`, with changes."""
    with open_log(home) as database, writing(database):
        run = get_run(database, "run-unread")
        assert run is not None
        run = replace(run, run_id=f"run-{len(str(changes))}", **changes)  # type: ignore[arg-type]
        save_run(database, run)
    return run


@pytest.fixture
def refused(home: Settings) -> Settings:
    """The slide `unread` has been refused."""
    message = f"The model idc is not made for this slide: {UNFIT}."
    again(home, status=SlideStatus.NOT_APPLICABLE, message=message, scores={}, label=None)
    return home


def override(at, reason: str):
    at.text_input(key="override_reason_unread").set_value(reason)
    return at.button(key="override_run_unread").click().run()


def test_a_refused_slide_says_why_and_runs_with_a_reason(refused: Settings, open_page, texts) -> None:
    at = open_page("case.py", case="UNREAD")
    assert UNFIT in texts(at)
    override(at, "stated as IHC by mistake")
    assert not at.exception
    job = next(job for job in list_jobs(refused, live_only=True) if job.slide_id == "unread")
    assert (job.override_reason, job.override_by, job.model) == ("stated as IHC by mistake", ADA, "idc")


def test_without_a_reason_nothing_is_queued(refused: Settings, open_page, texts) -> None:
    at = override(open_page("case.py", case="UNREAD"), "  ")
    assert "Say why" in texts(at)
    assert [job.slide_id for job in list_jobs(refused, live_only=True)] == ["waiting"]


@pytest.mark.usefixtures("refused")
def test_a_second_request_is_refused_in_words(open_page, texts) -> None:
    at = override(open_page("case.py", case="UNREAD"), "one")
    assert "is in the queue already" in texts(override(at, "two"))


@pytest.mark.usefixtures("refused")
def test_who_may_not_manage_jobs_has_no_way_to_override(open_page, texts) -> None:
    at = open_page("case.py", case="UNREAD", role=Role.VIEWER)
    assert UNFIT in texts(at)
    assert not [button for button in at.button if button.key == "override_run_unread"]


@pytest.mark.usefixtures("home")
def test_a_slide_that_fits_offers_no_override(open_page) -> None:
    at = open_page("case.py", case="UNREAD")
    assert not [button for button in at.button if button.key == "override_run_unread"]


def test_an_overridden_result_says_so_before_and_after_the_reveal(home: Settings, open_page, texts) -> None:
    run = again(home, settings={"positive_title": "invasive carcinoma", OVERRIDE: TOLD})
    assert run.status is SlideStatus.OK
    for _ in ("blind", "revealed"):
        said = texts(open_page("case.py", case="UNREAD"))
        for part in (UNFIT, "Reason given by Eve", "stated as IHC by mistake"):
            assert part in said
        reveal_model(home, "UNREAD", actor=ADA)


def test_what_was_not_checked_stands_with_the_result(home: Settings, open_page, texts) -> None:
    sentence = "The slide's tissue is not stated; the model is made for breast."
    again(home, settings={"positive_title": "invasive carcinoma", NOT_CHECKED: [sentence]})
    reveal_model(home, "UNREAD", actor=ADA)
    assert sentence in texts(open_page("case.py", case="UNREAD"))


def test_a_job_with_a_reason_shows_it_in_the_list(refused: Settings, open_page, texts) -> None:
    override(open_page("case.py", case="UNREAD"), "a study")
    assert f"a study ({ADA})" in texts(open_page("slides.py", role=Role.QC)).replace("\\", "")
    job = next(job for job in list_jobs(refused, live_only=True) if job.slide_id == "unread")
    cancel(refused, job.job_id, actor=CLERK)


def test_a_tissue_can_be_stated_when_slides_are_added(empty_home: Settings, open_page, tmp_path) -> None:
    (tmp_path / "new.svs").write_bytes(b"nothing")
    at = open_page("slides.py", role=Role.QC)
    at.text_input(key="folder_path").set_value(str(tmp_path / "new.svs"))
    at.text_input(key="folder_tissue").set_value("Breast")
    at.button(key="folder_add").click().run()
    assert get_slide(empty_home, "new").tissue == "breast"
