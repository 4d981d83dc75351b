"""From the board's slider to the worklist and into the first case, in Chromium: the address keeps every step."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from browser_kit import Visits, chromium, eventually, need_library, served, visits
from playwright.sync_api import Page, expect
from resolved_kit import department_with

from core.settings import Settings


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    need_library()
    folder = tmp_path_factory.mktemp("triage")
    settings = Settings(home=folder / "home")
    department_with(settings, resolved=30)
    with (
        served("app.py", settings, {}, log=folder / "server.log") as server,
        chromium() as browser,
        visits(browser, server) as found,
    ):
        yield found


def asked(page: Page) -> dict[str, list[str]]:
    """What the address asks for, from the browser itself: `page.url` stands still while nothing else is asked of it."""
    return parse_qs(page.evaluate("location.search").removeprefix("?"))


def check_address(page: Page, wanted: dict[str, list[str]]) -> None:
    """The address follows a click after the script has run once more, which a rest seen too early does not show."""
    eventually(lambda: asked(page) == wanted)
    assert asked(page) == wanted


def settled(page: Page) -> None:
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def test_slider_to_worklist_to_case(opened: Visits) -> None:
    page = opened.open("/triage", ready=False)
    tab = page.get_by_role("tab", name="Chosen cases (5)")
    tab.wait_for(timeout=30_000)  # the first visit loads everything
    settled(page)
    slider = page.get_by_role("slider").first
    slider.evaluate("slider => slider.focus()")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Chosen cases (2)")).to_be_visible()
    settled(page)
    # The address leads back to this setting.
    check_address(page, {"cases": ["2"]})
    page.get_by_role("button", name="Show these on the worklist").click()
    expect(page.get_by_text("Chosen on the triage board: 2 cases (2 cases a day)")).to_be_visible()
    expect(page.get_by_text("1 to 2 of 2 cases")).to_be_visible()
    settled(page)
    check_address(page, {"board": ["cases-2"]})
    # The chosen cases, and what the address holds, survive a reload.
    page.reload()
    expect(page.get_by_text("1 to 2 of 2 cases")).to_be_visible()
    # A press on a status as soon as it is there.
    page.get_by_text("Flagged 2", exact=True).click()
    check_address(page, {"board": ["cases-2"], "status": ["flagged"]})
    expect(page.get_by_text("1 to 2 of 2 cases")).to_be_visible()
    settled(page)
    page.locator("body").press("j")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("Case W005")
    settled(page)
    page.locator("body").press("j")
    expect(heading).to_contain_text("Case W004")
    settled(page)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
