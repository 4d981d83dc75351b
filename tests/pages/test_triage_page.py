"""The triage board: what it shows with too few cases, with enough, to whom, and that it leads to the worklist."""

import pytest
from resolved_kit import department_with

from core.domain import CaseStatus
from core.roles import Role
from core.services.cases.worklist import case_detail
from core.services.triage.audits import audit_view

LEAD = "Eva Lead (demonstration)"


def metrics(at):
    return {one.label: one.value for one in at.metric}


@pytest.mark.usefixtures("home")
def test_too_few_cases_are_said_to_be_too_few_and_no_figure_is_made_up(open_page, texts):
    at = open_page("triage.py")
    assert not at.exception
    assert metrics(at) == {"Chosen now": "2 of 2", "Missed, by the audit": "no audit yet"}
    said = texts(at)
    assert "0 resolved cases so far" in said
    assert "Uncalibrated order" in said
    assert "What is missed" not in said.split("Published")[0].split("audit yet")[0]
    assert list(at.dataframe[0].value["Case"]) == ["MISSED", "AGREED"]
    at.segmented_control(key="by").set_value("cost").run()
    assert "No resolved case with a discordance says yet" in texts(at)


@pytest.mark.usefixtures("empty_home")
def test_an_empty_home_says_what_to_do(open_page, texts):
    at = open_page("triage.py")
    assert not at.exception
    assert "No case is read and waiting" in texts(at)


def test_with_enough_resolved_cases_every_figure_has_its_interval_and_n(empty_home, open_page, texts):
    department_with(empty_home, resolved=60)
    at = open_page("triage.py", role=Role.LEAD, name="Eva Lead")
    assert not at.exception
    assert set(metrics(at)) == {
        *("Chosen now", "Sensitivity", "Yield", "Reviews per discordance", "Lift", "Residual"),
        "Missed, by the audit",
    }
    assert all("of" in one.delta for one in at.metric if one.label in ("Sensitivity", "Yield", "Residual"))
    said = texts(at)
    assert "n = 60 resolved cases" in said
    assert "not a random sample" in said
    assert "Calibrated on n = 60 resolved cases" in said
    assert "Probability" in at.dataframe[0].value.columns
    before = metrics(at)["Sensitivity"]
    at.slider(key="cases").set_value(1).run()
    assert list(at.dataframe[0].value["Case"]) == ["W005"]
    assert metrics(at)["Sensitivity"] != before
    at.number_input(key="draw_size").set_value(2)
    at.number_input(key="draw_seed").set_value(7)
    at.button(key="draw_send").click().run()
    (draw,) = audit_view(empty_home, actor=LEAD).draws
    assert (draw.seed, draw.drawn_by, len(draw.cases)) == (7, LEAD, 2)
    assert f"Seed 7, rules {draw.rule_version}".replace("-", "\\-") in texts(at)
    assert case_detail(empty_home, draw.cases[0]).case.status is CaseStatus.FLAGGED
    at.button(key="to_worklist").click().run()
    assert at.query_params["board"] == "cases-1"
    assert list(at.dataframe[0].value["Case"]) == ["W005"]
    listed = open_page("worklist.py", role=Role.LEAD, name="Eva Lead", board="cases-1")
    assert list(listed.dataframe[0].value["Case"]) == ["W005"]
    listed.button(key="leave_board").click().run()
    assert len(listed.dataframe[0].value) == 25
    assert "board" not in listed.query_params


@pytest.mark.usefixtures("home")
def test_a_setting_that_is_none_is_told_and_the_whole_list_shown(open_page, texts):
    at = open_page("worklist.py", board="luck-3")
    assert not at.exception
    assert "is no setting of the triage board" in texts(at)
    assert len(at.dataframe[0].value) == 5


@pytest.mark.usefixtures("home")
def test_nobody_opens_it_without_the_router_and_only_leads_draw(run_alone, open_page, texts):
    assert "Sign in first" in texts(run_alone("triage.py"))
    assert not [one for one in open_page("triage.py").button if one.key == "draw_send"]
