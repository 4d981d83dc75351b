"""The case page of the real dashboard in a real browser: demonstration cases, analysed by the shipped model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from browser_kit import (
    READY,
    Server,
    centre_um,
    chromium,
    drag,
    eventually,
    need_library,
    pixel,
    served,
    settle,
    slide_canvas,
    stage,
    view_of,
    visits,
)
from playwright.sync_api import Browser, Page, expect

from core.domain import ReadCategory, Region, ReviewVerdict, Size
from core.phantom.cohort import DEMO_COHORT, write_cases
from core.services.cases.worklist import case_detail
from core.services.catalogue import verify_log
from core.services.story.demo import load_cohort
from core.services.viewing.annotations import list_annotations
from core.settings import Settings
from core.slides import open_slide

MISSED, PAIR, UNREAD = "SR-0103", "SR-0107", "SR-0110"
"""A missed tumour on the second slide; H&E beside IHC; a case nobody has read."""
FIRST, SECOND = "SR-0103-A", "SR-0103-B"
WIDTH, HEIGHT, MPP = 6656, 5120, 0.5
ADA = "Ada (demonstration)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_library()
    folder = tmp_path_factory.mktemp("case")
    cases = [case for case in DEMO_COHORT if case.case_id in (MISSED, PAIR, UNREAD)]
    # In this process: page tests run before leave a page as __main__, which a spawned process would import.
    manifest = write_cases(folder / "phantoms", cases, processes=1)
    settings = Settings(home=folder / "home")
    load_cohort(settings, manifest, progress=lambda *_step: None)
    slides = {path.stem: path for path in (folder / "phantoms").glob("*.tif")}
    with served("app.py", settings, slides, log=folder / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


OpenCase = Callable[..., Page]


@pytest.fixture
def open_case(server: Server, browser: Browser) -> Iterator[OpenCase]:
    with visits(browser, server) as found:
        # Tests of the missed case measure on its first slide; by itself the page opens the flagged one.
        slide = {MISSED: f"&slide={FIRST}"}
        yield lambda case, **options: found.open(f"/case?case={case}{slide.get(case, '')}", **options)


def fitted(page: Page, x: float, y: float) -> tuple[float, float]:
    """Screen position of a level-0 position while the whole slide is fitted into the stage."""
    box = stage(page)
    zoom = 1 / screen_px(page)
    return box["x"] + box["width"] / 2 + (x - WIDTH / 2) * zoom, box["y"] + box["height"] / 2 + (y - HEIGHT / 2) * zoom


def screen_px(page: Page) -> float:
    """Level-0 px per screen pixel while the whole slide is fitted."""
    box = stage(page)
    return 1 / min(box["width"] / WIDTH, box["height"] / HEIGHT)


def focus_slide(page: Page, slide_id: str) -> None:
    page.get_by_label(f"Slide {slide_id}").first.focus()


def verdicts(server: Server, case: str) -> list[ReviewVerdict]:
    return [review.verdict for review in case_detail(server.settings, case).reviews if review.reader == ADA]


def test_tiles_paint_and_a_canvas_pixel_is_openslides(server: Server, open_case: OpenCase) -> None:
    page = open_case(MISSED)
    focus_slide(page, FIRST)
    for _ in range(14):
        page.keyboard.press("+")
    settle(page)
    x, y, zoom = view_of(page.locator(".pane").first)
    box = stage(page)
    with open_slide(server.slides[FIRST]) as reader:
        for column, row in ((10, 10), (-30, -12), (45, -25)):
            at = Region(math.floor(x) + column, math.floor(y) + row, 1, 1)
            place = (
                box["x"] + box["width"] / 2 + (at.x + 0.5 - x) * zoom - 0.5,
                box["y"] + box["height"] / 2 + (at.y + 0.5 - y) * zoom - 0.5,
            )
            expected = reader.read(at, Size(1, 1))[0, 0]
            assert pixel(slide_canvas(page), place)[:3] == pytest.approx(expected.tolist(), abs=12)


def test_a_flag_is_shown_on_its_slide(server: Server, open_case: OpenCase) -> None:
    flags = case_detail(server.settings, MISSED).flags
    number, flag = max(
        ((number, one) for number, one in enumerate(flags, start=1) if one.x is not None),
        key=lambda found: found[1].slide_id,
    )
    middle = (flag.x + flag.width / 2, flag.y + flag.height / 2)
    page = open_case(MISSED)
    if flag.slide_id == FIRST:
        page.get_by_role("radio", name=SECOND).click()
    button = page.locator(f".st-key-show_flag_{number} button")
    pane = page.locator(f".pane[data-slide='{flag.slide_id}']")
    for again in range(3):
        if again == 2:  # a new session of Streamlit in the same tab
            page.reload()
            page.wait_for_selector(READY)
        button.click()
        expect(pane).to_have_attribute("data-ready", "true")
        settle(page)
        assert view_of(pane)[:2] == pytest.approx(middle, abs=2)
        expect(page.locator(".stage").first).to_be_in_viewport(ratio=0.5)
        page.keyboard.press("0")
        settle(page)
        assert view_of(pane)[0] == pytest.approx(WIDTH / 2, abs=2), "the slide has the focus"


def test_marks_arrive_as_level_0_pixels_with_author(server: Server, open_case: OpenCase) -> None:
    page = open_case(MISSED)
    focus_slide(page, FIRST)
    page.keyboard.press("t")
    page.mouse.click(*fitted(page, 3000, 2100))
    page.keyboard.type("ajdu")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Rectangle (B)").click()
    drag(page, fitted(page, 2000, 1500), fitted(page, 3500, 2500))
    expect(page.get_by_label("Label")).to_be_focused()
    page.keyboard.type("udaq")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Measure (M)").click()
    drag(page, fitted(page, 2000, 3000), fitted(page, 4000, 3000))
    expect(page.locator(".mark-form header")).to_contain_text("1.00 mm")
    page.get_by_label("Label").press("Enter")
    eventually(lambda: len(list_annotations(server.settings, FIRST)) == 3)
    point, rectangle, line = list_annotations(server.settings, FIRST)
    slack = screen_px(page)
    assert point.geometry["coordinates"] == pytest.approx([3000, 2100], abs=slack)
    assert (point.label, point.author, rectangle.label) == ("ajdu", ADA, "udaq")
    assert max(rectangle.geometry["coordinates"][0]) == pytest.approx([3500, 2500], abs=slack)
    assert min(rectangle.geometry["coordinates"][0]) == pytest.approx([2000, 1500], abs=slack)
    (x0, y0), (x1, y1) = line.geometry["coordinates"]
    assert math.hypot(x1 - x0, y1 - y0) * MPP == pytest.approx(1000, abs=2 * slack * MPP)
    assert verdicts(server, MISSED) == [], "letters of a label are no answers"
    expect(page.get_by_role("heading", name=f"Case {MISSED}")).to_be_visible()


def test_layers_switch_by_keys_and_their_settings_stay(open_case: OpenCase) -> None:
    page = open_case(MISSED)
    heat, artefacts = page.locator(".layer-heat").first, page.locator(".layer-artefact").first
    expect(heat).to_be_visible()
    focus_slide(page, FIRST)
    opacity = heat.evaluate("canvas => canvas.style.opacity")
    page.keyboard.press("o")
    expect(heat).not_to_have_css("opacity", opacity)
    page.keyboard.press("h")
    page.keyboard.press("q")
    expect(heat).to_be_hidden()
    expect(artefacts).to_be_visible()
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator(".layer-heat").first).to_be_hidden()


def test_a_key_records_an_answer_and_another_supersedes_it(server: Server, open_case: OpenCase) -> None:
    page = open_case(PAIR)
    focus_slide(page, "SR-0107-A")
    page.keyboard.press("a")
    expect(page.get_by_test_id("stToast")).to_contain_text(f"Recorded for case {PAIR}: agree")
    page.keyboard.press("a")
    page.wait_for_timeout(1500)
    assert verdicts(server, PAIR) == [ReviewVerdict.AGREE], "the same answer again is no new entry"
    focus_slide(page, "SR-0107-A")
    page.keyboard.press("d")
    eventually(lambda: len(verdicts(server, PAIR)) == 2)
    first, second = [one for one in case_detail(server.settings, PAIR).reviews if one.reader == ADA]
    assert (second.verdict, second.supersedes) == (ReviewVerdict.DISAGREE, first.review_id)
    page.locator("[data-field='heat.class']").focus()
    page.keyboard.press("u")
    focus_slide(page, "SR-0107-A")
    page.keyboard.press("n")
    expect(page.locator(f".st-key-note_{PAIR} textarea")).to_be_focused()
    page.keyboard.type("aduhq?jk")
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(1500)
    assert len(verdicts(server, PAIR)) == 2, "neither a list nor a text field gives an answer"
    expect(page.locator(".layer-heat").first).to_be_visible()
    page.get_by_role("button", name="Unsure").click()
    eventually(lambda: len(verdicts(server, PAIR)) == 3)
    assert case_detail(server.settings, PAIR).reviews[-1].note == "aduhq?jk"


def test_help_lists_every_key_and_j_and_k_walk_the_worklist(open_case: OpenCase) -> None:
    page = open_case(MISSED)
    page.keyboard.press("?")
    help_box = page.locator(".help")
    for keys in ("J / K", "A / D / U", "N", "H", "O", "Q", "F", "S", "Arrow keys", "Esc"):
        expect(help_box.get_by_text(keys, exact=True).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_box).to_be_hidden()
    focus_slide(page, FIRST)
    page.keyboard.press("j")
    heading = page.get_by_role("heading", level=1)
    expect(heading).not_to_contain_text(MISSED)
    page.wait_for_selector(READY)
    page.locator(".openseadragon-canvas").first.focus()
    page.keyboard.press("k")
    expect(heading).to_contain_text(MISSED)


def test_linked_panes_of_two_stains_stay_together_to_the_edge(open_case: OpenCase) -> None:
    page = open_case(PAIR)
    page.get_by_label("Side by side", exact=True).select_option("SR-0107-B")
    settle(page)
    first, second = page.locator(".pane").nth(0), page.locator(".pane").nth(1)
    box = stage(page)
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    for _ in range(4):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(120)
    for _ in range(8):
        drag(page, (box["x"] + 60, box["y"] + 60), (box["x"] + box["width"] - 60, box["y"] + box["height"] - 60))
    settle(page)
    assert centre_um(first, MPP) == pytest.approx(centre_um(second, MPP), abs=2)
    other = page.locator(".stage").nth(1).bounding_box()
    assert other
    drag(page, (other["x"] + 200, other["y"] + 200), (other["x"] + 90, other["y"] + 120))
    settle(page)
    assert centre_um(first, MPP) == pytest.approx(centre_um(second, MPP), abs=2)
    focus_slide(page, "SR-0107-A")
    page.keyboard.press("r")
    settle(page)
    assert [float(pane.get_attribute("data-rotation") or 0) for pane in (first, second)] == [90, 90]


def test_a_turned_slide_shows_the_same_tissue_turned(server: Server, open_case: OpenCase) -> None:
    page = open_case(MISSED)
    focus_slide(page, FIRST)
    for _ in range(14):
        page.keyboard.press("+")
    page.keyboard.press("r")
    settle(page)
    x, y, zoom = view_of(page.locator(".pane").first)
    box = stage(page)
    with open_slide(server.slides[FIRST]) as reader:
        for right, down in ((30, 10), (-40, 25)):
            # Turned right by 90 degrees: what lay above is now on the right, what lay on the right is below.
            at = Region(math.floor(x + down), math.floor(y - right), 1, 1)
            place = (
                box["x"] + box["width"] / 2 - (at.y + 0.5 - y) * zoom,
                box["y"] + box["height"] / 2 + (at.x + 0.5 - x) * zoom,
            )
            expected = reader.read(at, Size(1, 1))[0, 0]
            assert pixel(slide_canvas(page), place)[:3] == pytest.approx(expected.tolist(), abs=14)


def test_full_screen_and_back(open_case: OpenCase) -> None:
    page = open_case(MISSED)
    narrow = stage(page)
    focus_slide(page, FIRST)
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement !== null")
    settle(page)
    assert stage(page)["height"] > narrow["height"] + 100
    expect(page.locator(".toolbar")).to_be_in_viewport()
    page.keyboard.press("u")
    expect(page.locator(".notices")).to_contain_text("Your answer: unsure")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")
    settle(page)
    assert stage(page)["height"] == pytest.approx(narrow["height"], abs=1)


def test_nothing_of_the_model_before_the_diagnosis(open_case: OpenCase) -> None:
    page = open_case(UNREAD)
    expect(page.locator("input[data-layer='heat']")).to_be_disabled()
    expect(page.locator(".pin")).to_have_count(0)
    expect(page.locator(".gallery")).to_be_hidden()
    page.keyboard.press("h")
    page.keyboard.press("a")
    page.wait_for_timeout(1000)
    expect(page.locator(".layer-heat").first).to_be_hidden()
    page.keyboard.press("n")
    expect(page.locator(f".st-key-text_{UNREAD} textarea")).to_be_focused()


def test_a_diagnosis_opens_the_layers_without_a_reload(server: Server, open_case: OpenCase) -> None:
    page = open_case(UNREAD, name="Bea")
    page.locator(f".st-key-category_{UNREAD}").get_by_text("Malignant").click()
    page.get_by_role("button", name="Record diagnosis").click()
    expect(page.locator("input[data-layer='heat']")).to_be_enabled()
    expect(page.locator(".gallery .tile").first).to_be_visible()
    assert case_detail(server.settings, UNREAD).diagnoses[-1].category is ReadCategory.MALIGNANT


def test_overview_draws_only_when_it_is_chosen(open_case: OpenCase) -> None:
    page = open_case(MISSED)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(0)
    page.get_by_text("Overview", exact=True).click()
    expect(page.get_by_test_id("stPlotlyChart")).to_be_visible()
    expect(page.locator(".sr-viewer")).to_have_count(0)
    page.get_by_text("Microscope", exact=True).click()
    page.wait_for_selector(READY)


def test_the_log_is_whole_after_all_this(server: Server) -> None:
    found = verify_log(server.settings)
    assert (found.ok, found.first_broken_seq) == (True, None)
    assert found.rows > len(list_annotations(server.settings, FIRST))
