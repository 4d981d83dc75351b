"""The explanation page: hidden where the result is, the removal test, asking for maps, maps with their checks."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from core.domain import JobKind, Region
from core.explain import Method
from core.server.identity import Role
from core.services.explanation import explain
from core.services.explanation import files as explain_files
from core.services.queue.jobs import list_jobs
from core.services.queue.tasks import JobState
from core.store import jobs as queue
from core.store.connection import open_log, writing

ADA = "Ada Reader (demonstration)"
TILE = Region(2000, 1200, 400, 400)


def write_maps(settings, *, region: Region = TILE, slide_id: str = "missed") -> None:
    """Keep an explanation as the worker would: one map that says the same with random weights, and one apart."""
    place = explain.place_of(settings, slide_id, region, model=None, actor=ADA)
    rng = np.random.default_rng(0)
    ramp = np.linspace(-1, 1, 2500, dtype=np.float32).reshape(50, 50)
    maps = {f"map_{method.value}": ramp for method in Method} | {"map_lime": ramp[::-1, ::-1].copy()}
    random = {f"random_{method.value}": rng.random((2, 50, 50)).astype(np.float32) for method in Method}
    random["random_grad_cam"] = ramp[None]
    header = {
        **place.payload,
        "slide_id": slide_id,
        "weights_sha256": "a" * 64,
        "target": "invasive carcinoma",
        "probability": 0.97,
        "of_glass": 0.02,
        "missing": 0.2,
        "is_complete": False,
        "networks": 3,
        "grains": {method.value: "8 x 8 cells" for method in Method},
        "facts": {"version": explain.VERSION},
    }
    arrays = {
        "tile": rng.integers(0, 255, (50, 50, 3), np.uint8),
        "view": rng.integers(0, 255, (90, 90, 3), np.uint8),
        "pieces": np.zeros((50, 50), np.int64),
        "lime_weights": np.array([[0.4, 0.1], [-0.4, 0.3]]),
    }
    explain_files.write(settings, slide_id, place.digest, header=header, arrays={**arrays, **maps, **random})


@pytest.mark.usefixtures("home")
def test_a_case_whose_result_is_hidden_shows_nothing_of_it(open_page, texts):
    at = open_page("explanation.py", case="UNREAD", slide="unread", tile="2000,1200")
    assert not at.exception
    said = texts(at)
    assert "Hidden until" in said
    assert "0.88" not in said
    assert not at.get("image")
    assert not at.dataframe
    assert not at.get("plotly_chart")
    assert not [button for button in at.button if button.label in ("Explain", "Compute the maps of this tile")]


@pytest.mark.usefixtures("home")
def test_the_slide_shows_what_its_call_rests_on_within_two_seconds(open_page, texts):
    at = open_page("explanation.py", case="MISSED")
    assert not at.exception
    started = time.process_time()
    at.run()
    assert time.process_time() - started < 2
    said = texts(at)
    assert "no network runs" in said
    assert "Attention is relative" in said
    scores = next(frame.value for frame in at.dataframe if "Looked at" in frame.value)
    assert next(iter(scores["Looked at"])) == "All tiles"
    assert {"Top k mean", "Max", "Majority"} <= set(scores)
    (chart,) = at.get("plotly_chart")
    figure = json.loads(chart.proto.spec)
    assert any("threshold" in note["text"] for note in figure["layout"]["annotations"])
    assert at.query_params["slide"] == "missed"


@pytest.mark.usefixtures("home")
def test_cases_that_are_hidden_are_not_offered(open_page):
    at = open_page("explanation.py")
    (cases,) = [box for box in at.selectbox if box.label == "Case"]
    assert "UNREAD" not in cases.options
    assert {"MISSED", "AGREED"} <= set(cases.options)


def test_maps_are_asked_for_once_and_the_page_tells_how_far_they_are(home, open_page, texts):
    at = open_page("explanation.py", case="MISSED", slide="missed", tile="2000,1200")
    assert not at.exception
    at.button(key="explain_request").click().run()
    assert not at.exception
    (job,) = [job for job in list_jobs(home) if job.kind is JobKind.EXPLAIN]
    assert dict(job.payload) == {"what": "tile", "model": "idc", "x": 2000, "y": 1200, "width": 400, "height": 400}
    assert "explain_request" not in {button.key for button in at.button}
    with open_log(home) as database, writing(database):
        queue.finish(database, job, JobState.FAILED, message="The slide broke.", actor="system")
    at.run()
    assert "The slide broke." in texts(at)
    assert "explain_request" in {button.key for button in at.button}


def test_maps_stand_beside_the_tile_with_what_speaks_against_them(home, open_page, texts):
    write_maps(home)
    at = open_page("explanation.py", case="MISSED", slide="missed", tile="2000,1200")
    assert not at.exception
    said = texts(at)
    assert "not the reason for the answer" in said
    assert "do not read any one of them as the explanation" in said
    assert "Apart from the others: LIME" in said
    assert "Uninformative, because hardly changed when the weights are random" in said
    assert "NOT stable" in said
    assert "do NOT add up" in said
    assert "3 networks" in said
    assert "none of them is a probability" in said
    sanity = next(frame.value for frame in at.dataframe if "Says something" in frame.value)
    assert dict(zip(sanity["Map"], sanity["Says something"], strict=True))["Grad-CAM"] == "NO"
    (download,) = [button for button in at.get("download_button") if "ZIP" in button.proto.label]
    assert not download.proto.disabled
    viewer = open_page("explanation.py", role=Role.VIEWER, name="Vic", case="MISSED", slide="missed", tile="2000,1200")
    (download,) = [button for button in viewer.get("download_button") if "ZIP" in button.proto.label]
    assert download.proto.disabled


@pytest.mark.usefixtures("home")
def test_an_address_that_makes_no_sense_is_met_in_words(open_page, texts):
    at = open_page("explanation.py", case="MISSED", slide="missed", tile="99999,5")
    assert not at.exception
    assert "lies outside" in texts(at)
    at = open_page("explanation.py", case="NOBODY")
    assert not at.exception
    assert "NOBODY" in texts(at)
