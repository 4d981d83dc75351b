"""Calibration: prediction sets taken into use, watched, what abstaining buys, and slides unlike usual ones."""

import pytest
from resolved_kit import NOW, WEIGHTS, department_with
from streamlit.testing.v1 import AppTest

from core.roles import Role
from core.services.analysis.unlikeness import list_references
from core.services.calibration.calibrations import list_calibrations

CLERK = "clerk (command line)"


def lead(open_page) -> AppTest:
    return open_page("calibration.py", role=Role.LEAD, name="Eva Lead")


@pytest.mark.usefixtures("home")
def test_without_anything_each_part_says_what_it_needs(open_page, texts):
    at = open_page("calibration.py")
    assert not at.exception
    said = texts(at)
    for sentence in ("No calibration is in use", "No case with a result is resolved", "what usual slides look like"):
        assert sentence in said
    assert not [one for one in at.button if one.key in ("calibration_add", "reference_fit")], "only leads change it"
    assert "Sign in first" not in said


def test_from_resolved_cases_to_a_watched_calibration(empty_home, open_page, texts):
    department_with(empty_home, resolved=60)
    at = lead(open_page)
    at.segmented_control(key="calibration_from").set_value("Resolved cases").run()
    assert not at.exception
    at.button(key="calibration_add").click().run()
    assert "A reason is needed" in texts(at)
    at.text_input(key="calibration_reason").set_value("first year").run()
    at.button(key="calibration_add").click().run()
    (used,) = list_calibrations(empty_home)
    assert used.file.weights_sha256 == WEIGHTS
    assert [str(group) for group in used.file.groups] == ["all sites and scanners", "site North"]
    said = texts(at)
    assert "n ≥ 1/alpha - 1 = 19" in said
    assert "n = 60 resolved cases" in said
    assert "No drift" in said
    assert "area under the risk-coverage curve" in said
    at.slider(key="risk").set_value(0).run()
    assert "within 0%" in texts(at)


def test_usual_slides_need_enough_of_them(empty_home, open_page, texts):
    department_with(empty_home, resolved=3)
    at = lead(open_page)
    at.selectbox(key="reference_usual").set_value("analysed")
    at.text_input(key="reference_reason").set_value("start")
    at.button(key="reference_fit").click().run()
    assert "0 slides have colour statistics of this model; 20 are needed" in texts(at)
    assert list_references(empty_home, actor=CLERK) == ()
    assert NOW.year == 2030


@pytest.mark.usefixtures("home")
def test_nobody_opens_it_without_signing_in(run_alone, texts):
    assert "Sign in first" in texts(run_alone("calibration.py"))
