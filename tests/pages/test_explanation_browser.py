"""A tile is chosen, told by the address, and its maps are asked for, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser_kit import Visits, chromium, eventually, need_library, served, visits
from evaluation_kit import add_run, add_slide
from people_kit import enrol
from playwright.sync_api import Page, expect

from core.domain import JobKind, ReadCategory
from core.roles import Role
from core.services.cases import review
from core.services.queue.jobs import list_jobs
from core.settings import Settings


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    need_library()
    folder = tmp_path_factory.mktemp("explanation")
    settings = Settings(home=folder / "home")
    enrol(settings, "ann", roles=(Role.PATHOLOGIST,))
    add_run(settings, add_slide(settings, folder, "seen", outline=None, case="SEEN", readable=True), 0.9)
    review.record_diagnosis(settings, "SEEN", category=ReadCategory.BENIGN, actor="ann")
    with (
        served("app.py", settings, {}, log=folder / "server.log") as server,
        chromium() as browser,
        visits(browser, server) as found,
    ):
        yield found


def rested(page: Page) -> None:
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def test_a_tile_is_chosen_and_its_maps_are_asked_for(opened: Visits) -> None:
    page = opened.open("/explanation?case=SEEN", ready=False)
    page.get_by_role("heading", name="Removal test").wait_for(timeout=30_000)  # the first visit loads everything
    rested(page)
    page.get_by_text("One tile", exact=True).click()
    expect(page.get_by_alt_text("probability 0.90")).to_have_count(4, timeout=15_000)
    rested(page)
    page.get_by_role("button", name="Explain").nth(1).click()
    expect(page.get_by_role("button", name="Chosen")).to_be_disabled()
    # Who is sent this address sees the same tile.
    eventually(lambda: "tile=" in page.evaluate("location.search"))
    page.reload()
    expect(page.get_by_role("button", name="Chosen")).to_be_disabled()
    rested(page)
    page.get_by_role("button", name="Compute the maps of this tile").click()
    expect(page.get_by_text("waits for the worker")).to_be_visible(timeout=15_000)
    (job,) = list_jobs(opened.server.settings)
    assert (job.kind, job.payload["width"]) == (JobKind.EXPLAIN, 200)
    assert f"tile={job.payload['x']}%2C{job.payload['y']}" in page.evaluate("location.search")
