"""The guided story on the screen: only in a demonstration, walked by address and key, played and put back by a lead."""

import json
from pathlib import Path

import pytest

from core.phantom.truth import TUMOUR
from core.roles import Role
from core.services.catalogue import get_slide
from core.services.story.start import keep_start

PAGE = "demonstration.py"


@pytest.fixture
def story_home(home):
    truth = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [800, 0], [800, 600], [0, 0]]]},
                "properties": {"objectType": "annotation", "classification": {"name": TUMOUR}},
            }
        ],
    }
    Path(get_slide(home, "missed").path).with_suffix(".geojson").write_text(json.dumps(truth))
    keep_start(home)
    return home


def words(at):
    return " ".join(element.value for element in (*at.markdown, *at.caption, *at.title))


@pytest.mark.usefixtures("story_home")
def test_the_first_chapter_shows_its_case_and_the_truth_on_demand(open_page):
    at = open_page(PAGE)
    assert not at.exception
    assert at.title[0].value == "A flag that was right"
    assert "MISSED was read as benign" in words(at)
    assert "Speaker notes" not in words(at)
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    at.toggle(key="story_truth_true_flag").set_value(True)
    at.toggle(key="story_notes").set_value(True).run()
    outlined = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert len(outlined["data"]) == len(figure["data"]) + 2
    assert "Where would you have looked?" in words(at)


@pytest.mark.usefixtures("story_home")
def test_chapters_are_walked_and_an_unknown_one_begins_at_the_start(open_page):
    at = open_page(PAGE, chapter="nonsense")
    assert at.title[0].value == "A flag that was right"
    at.button(key="story_next").click().run()
    assert at.title[0].value == "A flag that was wrong"
    assert "No case of this cohort" in words(at) or "No read" in words(at)
    assert at.query_params["chapter"] in ("false_flag", ["false_flag"])


@pytest.mark.usefixtures("story_home")
def test_a_lead_plays_the_steps_and_starts_over(open_page):
    at = open_page(PAGE, role=Role.LEAD, name="Lena", chapter="second_opinion")
    at.button(key="story_step").click().run()
    assert "asked a colleague" in words(at)
    at.button(key="story_start_over").click().run()
    assert not at.exception
    again = open_page(PAGE, role=Role.LEAD, name="Lena", chapter="second_opinion")
    assert "asked a colleague" not in words(again)


@pytest.mark.usefixtures("story_home")
def test_others_watch(open_page):
    at = open_page(PAGE, role=Role.VIEWER, name="Vic", chapter="second_opinion")
    assert not at.exception
    assert {button.key for button in at.button}.isdisjoint({"story_step", "story_start_over"})


@pytest.mark.usefixtures("home")
def test_a_real_home_has_no_such_page(open_page):
    at = open_page("worklist.py")
    assert "Five-minute story" not in str(at.get("page_link"))
