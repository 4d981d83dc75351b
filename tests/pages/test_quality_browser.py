"""The story of a quality verdict in a browser: class switches, verdict, blinded second read, many at once, undo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser_kit import (
    READY,
    Server,
    chromium,
    eventually,
    need_library,
    pixel,
    served,
    settle,
    stage,
    visits,
)
from playwright.sync_api import Browser, Page, expect
from quality_kit import measure, report_of
from viewer_kit import FIRST, HEIGHT, SECOND, WIDTH, artefact_map, make_home

from core.qc.classes import ArtefactClass
from core.services.catalogue import verify_log
from core.services.quality.second_reads import ask_second_reads
from core.services.quality.verdicts import slide_verdicts
from core.settings import Settings
from core.vocabulary import QcDisposition

CLERK = "clerk (command line)"
PATIENCE_MS = 40_000
"""A cold page imports the charts first."""
QUINN, RAE = "Quinn (demonstration)", "Rae (demonstration)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_library()
    folder = tmp_path_factory.mktemp("quality")
    settings = Settings(home=folder / "home")
    slides = make_home(settings, folder / "slides")
    spoilt = report_of({"pen": 0.1, "out_of_focus": 0.3}, disposition=QcDisposition.RESCAN)
    measure(settings, FIRST, spoilt, labels=artefact_map(WIDTH, HEIGHT))
    measure(settings, SECOND, report_of({}))
    with served("app.py", settings, slides, log=folder / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    expect.set_options(timeout=PATIENCE_MS)
    yield
    expect.set_options(timeout=5_000)


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Screen position of a level-0 position of the first slide while the whole slide is fitted into the stage."""
    box = stage(page)
    zoom = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    return (
        box["x"] + box["width"] / 2 + (x - WIDTH / 2) * zoom,
        box["y"] + box["height"] / 2 + (y - HEIGHT / 2) * zoom,
    )


def choose_row(page: Page, row: int) -> None:
    """Tick the box before a row of the table, which is painted on a canvas."""
    box = page.get_by_test_id("stDataFrame").bounding_box()
    assert box
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 58 * row + 29)


def test_the_story_of_a_verdict(server: Server, browser: Browser) -> None:
    settings = server.settings
    with visits(browser, server) as found:
        page = found.open(f"/quality?slide={FIRST}", role="qc", name="Quinn", ready=False)
        page.set_default_timeout(PATIENCE_MS)
        page.wait_for_selector(READY)
        settle(page)
        layer = page.locator(".layer-artefact").first
        expect(layer).to_be_visible()
        inked, blurred = at(page, 2000, 100), at(page, 2000, 2900)
        assert pixel(layer, inked) == [*ArtefactClass.PEN.about.colour, 255], "artefacts lie on the slide at first"
        page.get_by_label("Pen2.00").uncheck()
        settle(page)
        assert (pixel(layer, inked)[3], pixel(layer, blurred)[3]) == (0, 255)

        page.get_by_role("button", name="Take over").click()
        expect(page.get_by_text("Main fault", exact=True)).to_be_visible()
        page.get_by_placeholder("What the next person needs to know (N)").fill("blurred below")
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.get_by_role("button", name="Take back").first).to_be_visible()
        eventually(lambda: slide_verdicts(settings, FIRST, actor=CLERK).standing)
        (first,) = slide_verdicts(settings, FIRST, actor=CLERK).standing
        assert (first.reader, first.disposition, first.note) == (QUINN, QcDisposition.RESCAN, "blurred below")

        other = found.open("/quality", role="qc", name="Rae", ready=False)
        other.set_default_timeout(PATIENCE_MS)
        expect(other.get_by_role("heading", name="Quality")).to_be_visible()
        ask_second_reads(settings, [FIRST], reader=RAE, actor=QUINN)
        other.goto(f"{server.url}/quality?slide={FIRST}")
        expect(other.get_by_text("Hidden until your own verdict is given")).to_be_visible()
        expect(other.get_by_text("blurred below")).to_have_count(0)
        other.get_by_role("radio", name="Accept", exact=True).or_(
            other.get_by_role("button", name="Accept", exact=True)
        ).first.click()
        other.get_by_role("button", name="Record", exact=True).click()
        expect(other.get_by_text("blurred below").first).to_be_visible()
        second = next(one for one in slide_verdicts(settings, FIRST, actor=CLERK).standing if one.reader == RAE)
        assert second.blinded_to_first

        page.goto(f"{server.url}/quality?q_order=Slide%20id&q_verdict=No%20verdict")
        expect(page.get_by_role("button", name="Accept", exact=True)).to_be_disabled()
        choose_row(page, 0)
        page.get_by_role("button", name="Accept 1").click()
        page.get_by_role("dialog").get_by_role("button", name="Accept").click()
        expect(page.get_by_text("1 slide accepted.")).to_be_visible()
        (accepted,) = slide_verdicts(settings, SECOND, actor=CLERK).standing
        assert accepted.disposition is QcDisposition.ACCEPT
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("1 slide accepted.")).to_have_count(0)
        assert not slide_verdicts(settings, SECOND, actor=CLERK).standing
    assert verify_log(settings).ok
