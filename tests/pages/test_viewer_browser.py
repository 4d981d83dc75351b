"""The slide viewer alone in a real browser, on slides whose every value is known: places, values, and failures."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
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
    visits,
)
from playwright.sync_api import Browser, Page, expect
from viewer_kit import ATTENDED, FIRST, HEIGHT, HOT, RULER, SECOND, TILE, UNSCALED, WIDTH, make_home, slide_image

from core.qc.classes import ArtefactClass
from core.services.viewing.annotations import list_annotations
from core.settings import Settings

DARKEST = (127, 0, 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_library()
    folder = tmp_path_factory.mktemp("viewer")
    settings = Settings(home=folder / "home")
    slides = make_home(settings, folder / "slides")
    with served("tests/pages/viewer_app.py", settings, slides, log=folder / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


OpenViewer = Callable[..., Page]


@pytest.fixture
def open_viewer(server: Server, browser: Browser) -> Iterator[OpenViewer]:
    with visits(browser, server) as found:
        yield lambda query="", **options: found.open("/?" + query, **options)


def fitted(page: Page, x: float, y: float) -> tuple[float, float]:
    """Screen position of a level-0 position of the first slide while the whole slide is fitted into the stage."""
    box = stage(page)
    zoom = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    return (
        box["x"] + box["width"] / 2 + (x - WIDTH / 2) * zoom,
        box["y"] + box["height"] / 2 + (y - HEIGHT / 2) * zoom,
    )


def screen_px(page: Page) -> float:
    """Level-0 px per screen pixel while the whole slide is fitted."""
    box = stage(page)
    return 1 / min(box["width"] / WIDTH, box["height"] / HEIGHT)


def reported(page: Page, name: str, *, until: Callable[[Any], bool] = bool) -> Any:
    """What arrived in Python, as the page tells it; waits until it is what is wanted, at most ten seconds."""
    found = None
    for _ in range(50):
        found = json.loads(page.locator(".st-key-report code").inner_text())[name]
        if until(found):
            break
        page.wait_for_timeout(200)
    return found


def test_whole_view_has_the_colours_of_the_slide(open_viewer: OpenViewer) -> None:
    """A wrong colour marker makes a whole slide magenta; the mean colour of the tissue tells."""
    page = open_viewer("hidden=1")
    image = slide_image()
    for x, y in ((1200, 900), (2600, 2200), (60, 60)):
        at = fitted(page, x, y)
        box = slide_canvas(page).bounding_box()
        assert box
        read = "(c, [x, y]) => [...c.getContext('2d').getImageData(x - 8, y - 8, 17, 17).data]"
        painted = np.array(slide_canvas(page).evaluate(read, [round(at[0] - box["x"]), round(at[1] - box["y"])]))
        around = image[y - 42 : y + 43, x - 42 : x + 43] if min(x, y) > 42 else image[:80, :80]
        assert painted.reshape(-1, 4)[:, :3].mean(axis=0) == pytest.approx(around.mean(axis=(0, 1)), abs=8)


def test_heatmap_is_aligned_in_all_four_corners_and_toggles(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    heat = page.locator(".layer-heat").first
    settle(page)
    assert pixel(heat, fitted(page, HOT[0] + 112, HOT[1] + 112)) == [*DARKEST, 255]
    last_x, last_y = (WIDTH - 1) // TILE * TILE, (HEIGHT - 1) // TILE * TILE
    assert (last_x, last_y) == (4032, 2912), "the last tiles are cut by the slide's edge"
    gap = 2 * screen_px(page)
    for y in (gap, HEIGHT - gap):
        # Left corners: the first tile has probability 0 up to its edge, then comes the next colour.
        first, second = (pixel(heat, fitted(page, x, y)) for x in (TILE - gap, TILE + gap))
        assert first[:3] == [255, 247, 236]
        assert second != first
        # Right corners: the last, cut tile begins at its own edge and ends with the slide.
        before, after = (pixel(heat, fitted(page, x, y)) for x in (last_x - gap, last_x + gap))
        assert before != after
        assert pixel(heat, fitted(page, WIDTH - gap, y)) == after
        assert pixel(heat, fitted(page, WIDTH + gap, y))[3] == 0
    for x in (gap, WIDTH - gap):
        assert pixel(heat, fitted(page, x, HEIGHT - gap))[3] == 255
    page.keyboard.press("h")
    expect(heat).to_be_hidden()
    page.keyboard.press("h")
    expect(heat).to_be_visible()


def test_heatmap_edge_stays_sharp_at_full_resolution(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    page.get_by_role("button", name="Flag 1, Model higher", exact=False).click()
    settle(page)
    pane = page.locator(".pane").first
    x, y, zoom = (float(pane.get_attribute(f"data-{name}") or 0) for name in ("x", "y", "zoom"))
    box, heat = stage(page), page.locator(".layer-heat").first
    edge = box["x"] + box["width"] / 2 + (HOT[0] - x) * zoom
    row = box["y"] + box["height"] / 2 + (HOT[1] + 112 - y) * zoom
    assert pixel(heat, (edge + 2, row)) == [*DARKEST, 255]
    outside = pixel(heat, (edge - 2, row))
    assert outside[3] == 255
    assert outside[:3] != list(DARKEST)


def test_threshold_class_and_value_under_the_pointer(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    heat = page.locator(".layer-heat").first
    page.mouse.move(*fitted(page, HOT[0] + 112, HOT[1] + 112))
    expect(page.locator("[data-part='value']")).to_have_text("idc 1.000")
    page.locator("[data-field='heat.threshold']").fill("0.95")
    settle(page)
    assert pixel(heat, fitted(page, HOT[0] + 112, HOT[1] + 112))[3] == 255
    assert pixel(heat, fitted(page, 3900, 300))[3] == 0
    page.locator("[data-field='heat.class']").select_option("no_idc")
    page.mouse.move(*fitted(page, HOT[0] + 100, HOT[1] + 112))
    expect(page.locator("[data-part='value']")).to_have_text("no_idc 0.000")


def test_attention_has_a_layer_and_a_legend_of_its_own(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    layer, switch = page.locator(".layer-attention").first, page.get_by_label("Attention (relative)", exact=True)
    expect(layer).to_be_hidden()
    switch.check()
    expect(layer).to_be_visible()
    settle(page)
    highest = fitted(page, ATTENDED[0] + 112, ATTENDED[1] + 112)
    assert pixel(layer, highest) == [77, 0, 75, 255], "0 to the highest of this slide, however low that is"
    assert pixel(layer, fitted(page, HOT[0] + 112, HOT[1] + 112)) == pytest.approx([140, 150, 198, 255], abs=2)
    row = page.locator(".layer-row", has=switch)
    expect(row).to_contain_text("highest here: 50 %")
    expect(row).to_contain_text("It is no probability and no explanation.")
    bars = [bar.evaluate("e => getComputedStyle(e).backgroundImage") for bar in page.locator(".colourbar > i").all()]
    assert len(bars) == len(set(bars)) == 2, "probability and attention never share a legend"
    page.mouse.move(*fitted(page, HOT[0] + 100, HOT[1] + 112))
    expect(page.locator("[data-part='value']")).to_have_text("idc 1.000 · attention 50 % of the highest here")


def test_without_attention_there_is_no_row_for_it_and_before_the_reveal_neither(open_viewer: OpenViewer) -> None:
    for query in (f"slide={SECOND}", "hidden=1"):
        page = open_viewer(query)
        expect(page.locator("input[data-layer='artefact']")).to_be_visible()
        expect(page.locator("input[data-layer='attention']")).to_be_hidden()


def test_artefacts_and_outline(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    page.keyboard.press("q")
    page.get_by_label("Tissue outline", exact=True).check()
    settle(page)
    expect(page.locator(".legend")).to_contain_text("Out of focus0.30 mm², 20.0%")
    layer = page.locator(".layer-artefact").first
    expect(layer).to_be_visible()
    blurred, inked = fitted(page, 2000, 2900), fitted(page, 2000, 100)
    assert pixel(layer, blurred) == [*ArtefactClass.OUT_OF_FOCUS.about.colour, 255]
    assert pixel(layer, inked) == [*ArtefactClass.PEN.about.colour, 255]
    assert pixel(layer, fitted(page, 2000, 1500))[3] == 0
    assert pixel(layer, fitted(page, 100, 100))[3] == 0, "no tissue, no colour"
    page.get_by_label("Pen").uncheck()
    settle(page)
    assert (pixel(layer, blurred)[3], pixel(layer, inked)[3]) == (255, 0), "one class off, the others on"
    page.mouse.move(*blurred)
    expect(page.locator("[data-part='value']")).to_contain_text("Out of focus")
    page.reload()
    page.wait_for_selector(READY)
    expect(layer).to_be_visible()
    settle(page)
    assert (pixel(layer, blurred)[3], pixel(layer, inked)[3]) == (255, 0), "switches are kept"
    outline = page.locator(".layer-tissue").first
    drawn = outline.evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n }"
    )
    assert 2000 < drawn < 60_000


def test_a_click_arrives_as_level_0_pixels(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    for x, y in ((900, 700), (3333, 2222)):
        page.mouse.click(*fitted(page, x, y))
        slide, got_x, got_y = reported(page, "clicked", until=lambda place, x=x: place and abs(place[1] - x) < 50)
        assert slide == FIRST
        assert (got_x, got_y) == pytest.approx((x, y), abs=screen_px(page))


def test_a_rectangle_and_a_measured_line_reach_the_log(server: Server, open_viewer: OpenViewer) -> None:
    page = open_viewer()
    page.get_by_role("button", name="Rectangle (B)").click()
    drag(page, fitted(page, 1000, 800), fitted(page, 2000, 1400))
    page.get_by_label("Label").fill("Tumour")
    page.locator(".mark-form textarea").fill("solid")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".panel ul.list")).to_contain_text("Ada (demonstration)")
    page.get_by_role("button", name="Measure (M)").click()
    drag(page, fitted(page, *RULER[0]), fitted(page, *RULER[1]))
    expect(page.locator(".mark-form header")).to_contain_text("1.00 mm")
    page.get_by_label("Label").press("Enter")
    expect(page.locator(".panel .list li")).to_have_count(2 + 2)  # two flags, two annotations
    eventually(lambda: len(list_annotations(server.settings, FIRST)) == 2)
    rectangle, line = list_annotations(server.settings, FIRST)
    assert (rectangle.shape, rectangle.label, rectangle.note) == ("rectangle", "Tumour", "solid")
    corners = np.array(rectangle.geometry["coordinates"][0])
    slack = screen_px(page)
    assert corners.min(axis=0).tolist() == pytest.approx([1000, 800], abs=slack)
    assert corners.max(axis=0).tolist() == pytest.approx([2000, 1400], abs=slack)
    (x0, y0), (x1, y1) = line.geometry["coordinates"]
    assert math.hypot(x1 - x0, y1 - y0) == pytest.approx(2000, abs=2 * slack)
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator(".layer-marks .mark")).to_have_count(2)
    page.locator(".panel .entry", has_text="Tumour").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".layer-marks .mark")).to_have_count(1)
    eventually(lambda: len(list_annotations(server.settings, FIRST)) == 1)
    assert [one.shape for one in list_annotations(server.settings, FIRST)] == ["line"]


def test_a_polygon_is_made_without_a_mouse(server: Server, open_viewer: OpenViewer) -> None:
    page = open_viewer(f"slide={SECOND}")
    page.get_by_label("Slide second-ihc").focus()
    page.keyboard.press("p")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press("Space")
        page.keyboard.press(key)
        page.wait_for_timeout(500)
    page.keyboard.press("Enter")
    expect(page.locator(".mark-form")).to_be_visible()
    page.keyboard.type("By keys")
    page.keyboard.press("Enter")
    eventually(lambda: len(list_annotations(server.settings, SECOND)) == 1)
    (mark,) = list_annotations(server.settings, SECOND)
    assert (mark.label, mark.shape, len(mark.geometry["coordinates"][0])) == ("By keys", "polygon", 4)


def test_linked_panes_stay_together_in_micrometres(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    page.get_by_label("Side by side", exact=True).select_option(SECOND)
    settle(page)
    first, second = page.locator(".pane").nth(0), page.locator(".pane").nth(1)
    box = stage(page)
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    for _ in range(4):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(120)
    settle(page)
    drag(page, (box["x"] + 300, box["y"] + 300), (box["x"] + 120, box["y"] + 210))
    settle(page)
    assert centre_um(first, 0.5) == pytest.approx(centre_um(second, 1.0), abs=2)
    zooms = [float(pane.get_attribute("data-zoom") or 0) for pane in (first, second)]
    assert zooms[1] == pytest.approx(2 * zooms[0], rel=0.01), "the second slide has twice the um per pixel"
    expect(page.locator(".scalebar-text").nth(0)).to_have_text(page.locator(".scalebar-text").nth(1).inner_text())
    page.get_by_role("button", name="Move both together").click()
    drag(page, (box["x"] + 300, box["y"] + 300), (box["x"] + 420, box["y"] + 300))
    settle(page)
    assert abs(centre_um(first, 0.5) - centre_um(second, 1.0)).max() > 20


def test_same_slide_without_layers_beside(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    page.get_by_label("Side by side", exact=True).select_option("plain")
    settle(page)
    expect(page.locator(".layer-heat").nth(0)).to_be_visible()
    expect(page.locator(".layer-heat").nth(1)).to_be_hidden()


def test_gallery_moves_the_slide(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    tile = page.locator(".gallery .tile").first
    expect(tile).to_contain_text("1.00")
    tile.click()
    settle(page)
    pane = page.locator(".pane").first
    assert float(pane.get_attribute("data-x") or 0) == pytest.approx(HOT[0] + TILE / 2, abs=2)
    assert float(pane.get_attribute("data-y") or 0) == pytest.approx(HOT[1] + TILE / 2, abs=2)
    page.get_by_role("tab", name="Random").click()
    expect(page.locator(".gallery .tile")).to_have_count(24)


def test_scale_bar_is_right_and_unknown_scale_says_so(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    bar = page.locator(".scalebar").first
    um, px = float(bar.get_attribute("data-um") or 0), float(bar.get_attribute("data-px") or 0)
    left, right = fitted(page, *RULER[0])[0], fitted(page, *RULER[1])[0]
    assert um / px == pytest.approx(1000 / (right - left), rel=0.002)
    assert bar.locator("i").bounding_box()["width"] == pytest.approx(px, abs=0.6)
    page = open_viewer(f"slide={UNSCALED}")
    expect(page.locator(".scalebar").first).to_have_text("Scale unknown")
    expect(page.locator("[data-part='scale']")).to_contain_text("Scale unknown")


def test_a_viewer_role_cannot_mark(open_viewer: OpenViewer) -> None:
    page = open_viewer(role="viewer")
    page.get_by_role("button", name="Rectangle (B)").click()
    drag(page, fitted(page, 1000, 800), fitted(page, 2000, 1400))
    expect(page.locator(".mark-form")).to_be_hidden()


def test_the_place_is_kept(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    page.locator(".gallery .tile").nth(3).click()
    settle(page)
    pane = page.locator(".pane").first
    place = [pane.get_attribute(f"data-{name}") for name in ("x", "y", "zoom")]
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(READY)
    settle(page)
    again = [page.locator(".pane").first.get_attribute(f"data-{name}") for name in ("x", "y", "zoom")]
    assert [float(value or 0) for value in again] == pytest.approx([float(value or 0) for value in place], rel=1e-3)


def test_permission_is_renewed_silently(open_viewer: OpenViewer) -> None:
    refused: list[str] = []
    page = open_viewer("lifetime=3")
    page.on("response", lambda response: refused.append(response.url) if response.status == 403 else None)
    page.wait_for_timeout(4500)
    page.get_by_label("Slide first-he").focus()
    for _ in range(10):
        page.keyboard.press("+")
    settle(page)
    expect(page.locator(".message")).to_be_hidden()
    assert not refused


def test_a_missing_server_is_told_and_its_return_too(open_viewer: OpenViewer) -> None:
    page = open_viewer()
    page.route("**/viewer/**", lambda route: route.abort())
    expect(page.locator(".banner")).to_contain_text("Disconnected", timeout=9000)
    page.unroute("**/viewer/**")
    expect(page.locator(".banner")).to_be_hidden(timeout=9000)


def test_a_moved_slide_is_told(server: Server, open_viewer: OpenViewer) -> None:
    page = open_viewer(f"slide={UNSCALED}&height=300")
    path = server.slides[UNSCALED]
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        time.sleep(1.2)
        page.get_by_label("Slide third-unscaled").focus()
        for _ in range(9):
            page.keyboard.press("+")
        expect(page.locator(".message")).to_contain_text("no longer where it was added from")
    finally:
        away.rename(path)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".message")).to_be_hidden()
    page.wait_for_selector(READY)
