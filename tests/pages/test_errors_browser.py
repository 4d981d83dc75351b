"""Errors are walked and coded by keys alone, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser_kit import Visits, chromium, eventually, need_library, served, visits
from evaluation_kit import add_run, add_slide
from people_kit import enrol
from playwright.sync_api import Page, expect

from core.domain import ReadCategory
from core.roles import Role
from core.services.cases import review
from core.services.error_review.reviews import error_gallery
from core.services.error_review.values import Direction, ErrorItem, Level
from core.services.evaluation.values import EvaluationRequest, Unit
from core.settings import Settings

ADA = "Ada Reader (demonstration)"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    need_library()
    folder = tmp_path_factory.mktemp("errors")
    settings = Settings(home=folder / "home")
    enrol(settings, "ann", roles=(Role.PATHOLOGIST,))
    add_run(settings, add_slide(settings, folder, "alarm", outline="Artefact: fold", case="ALARM", readable=True), 0.9)
    review.record_diagnosis(settings, "ALARM", category=ReadCategory.BENIGN, actor="ann")
    with (
        served("app.py", settings, {}, log=folder / "server.log") as server,
        chromium() as browser,
        visits(browser, server) as found,
    ):
        yield found


def listed(settings: Settings) -> tuple[ErrorItem, ...]:
    request = EvaluationRequest("idc", "truth", Unit.SLIDE)
    return error_gallery(settings, request, direction=Direction.FALSE_POSITIVE, level=Level.TILE, actor=ADA).items


def rested(page: Page) -> None:
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def test_walking_and_coding_by_keys(opened: Visits) -> None:
    settings = opened.server.settings
    page = opened.open("/error_review?err_kind=False+alarms", role="pathologist", name="Ada Reader", ready=False)
    expect(page.get_by_role("button", name="Keratin")).to_be_visible()
    rested(page)
    page.keyboard.press("j")
    expect(page.get_by_text("x 0, y 200 px of the full resolution")).to_be_visible()
    rested(page)
    page.keyboard.press("4")
    expect(page.get_by_text("Lymphocytes recorded.")).to_be_visible()
    expect(page.get_by_text("x 200, y 0 px of the full resolution")).to_be_visible()
    eventually(lambda: any(one.own for one in listed(settings)))
    assert [one.own.reason if one.own else None for one in listed(settings)] == [None, "lymphocytes", None, None]
