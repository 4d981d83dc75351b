"""The worklist: order, what is hidden, filters, empty states, export."""

import csv
import io

import pytest

from core.domain import CaseStatus, ReadCategory
from core.server.identity import Role
from core.services.cases.review import assign, record_diagnosis, reveal_model
from core.services.cases.worklist_pages import worklist_page
from core.services.consultations.consult import request
from core.vocabulary import ConsultationType
from pages.parts.worklist.filters import Whose
from pages.parts.worklist.table import export_csv, worklist_frame

ADA = "Ada Reader (demonstration)"


def column(at, name):
    frame = at.dataframe[0].value
    return dict(zip(frame["Case"], frame[name], strict=True))


@pytest.mark.usefixtures("home")
def test_likely_missed_disease_comes_first_and_no_case_is_missing(open_page):
    at = open_page("worklist.py")
    assert not at.exception
    cases = list(at.dataframe[0].value["Case"])
    assert cases[0] == "MISSED"
    assert sorted(cases) == ["AGREED", "BROKEN", "MISSED", "UNREAD", "waiting"]
    assert list(column(at, "Flags")["MISSED"]) == ["Model higher"]


@pytest.mark.usefixtures("home")
def test_failed_slides_show_their_reason(open_page):
    at = open_page("worklist.py")
    assert column(at, "Slides")["BROKEN"] == "1, 1 failed"
    assert "The file is not a slide that can be opened" in at.table[0].value.to_string()


def test_the_model_result_is_hidden_until_a_first_diagnosis_or_a_reveal(home, open_page):
    at = open_page("worklist.py")
    assert column(at, "Model result") == {
        "MISSED": "idc, score 0.97",
        "AGREED": "idc, score 0.91",
        "UNREAD": "Hidden until read",
        "BROKEN": "No result",
        "waiting": "No result yet",
    }
    reveal_model(home, "UNREAD", actor=ADA)
    at.run()
    assert column(at, "Model result")["UNREAD"] == "idc, score 0.88"
    other = open_page("worklist.py", name="Bea Other")
    assert column(other, "Model result")["UNREAD"] == "Hidden until read"
    record_diagnosis(home, "UNREAD", category=ReadCategory.BENIGN, actor=ADA)
    other.run()
    assert column(other, "Model result")["UNREAD"] == "idc, score 0.88"


def test_hidden_results_are_not_found_by_searching_nor_by_order(home, open_page, texts):
    at = open_page("worklist.py")
    assert column(at, "Benefit")["UNREAD"] == "-"
    assert list(at.dataframe[0].value["Case"])[1:4] == ["UNREAD", "BROKEN", "waiting"], "as they wait"
    at.text_input(key="search").set_value("0.88").run()
    assert not at.dataframe
    assert "No case passes these filters" in texts(at)
    at.text_input(key="search").set_value("").run()
    reveal_model(home, "UNREAD", actor=ADA)
    at.run()
    assert list(at.dataframe[0].value["Case"])[:2] == ["MISSED", "UNREAD"]
    assert column(at, "Benefit")["UNREAD"] == "1.76 = 2 x 0.88 x 1.00"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("search", "missed benign", {"MISSED"}),
        ("search", "AGREED-2", {"AGREED"}),
        ("search", "another reader", {"MISSED", "AGREED"}),
        ("status", ["unread"], {"UNREAD", "BROKEN", "waiting"}),
        ("status", ["flagged", "first_read_locked", "concordant"], {"MISSED", "AGREED"}),
        ("flags", ["model_higher"], {"MISSED"}),
        ("flags", ["no_result"], {"BROKEN"}),
    ],
)
def test_filters(open_page, key, value, expected):
    at = open_page("worklist.py")
    next(widget for kind in ("text_input", "pills") for widget in at.get(kind) if widget.key == key).set_value(
        value
    ).run()
    assert not at.exception
    assert set(at.dataframe[0].value["Case"]) == expected


def test_my_cases_and_nobodys(home, open_page, texts):
    assign(home, "UNREAD", assignee=ADA, actor=ADA)
    at = open_page("worklist.py")
    at.segmented_control(key="whose").set_value(Whose.YOURS).run()
    assert list(at.dataframe[0].value["Case"]) == ["UNREAD"]
    assert at.query_params["whose"] == "yours"
    at.segmented_control(key="whose").set_value(Whose.UNASSIGNED).run()
    assert set(at.dataframe[0].value["Case"]) == {"AGREED", "BROKEN", "MISSED", "waiting"}
    at.segmented_control(key="whose").set_value(Whose.WAITING).run()
    assert "Nothing waits for you here" in texts(at)
    at.segmented_control(key="whose").set_value(Whose.ALL).run()
    assert "whose" not in at.query_params


def test_what_waits_for_me_is_an_opinion_asked_of_me(home, open_page):
    request(
        home,
        "MISSED",
        consultant=ADA,
        type=ConsultationType.MODEL_DISCORDANCE,
        question="Is there invasion?",
        actor="Another Reader",
    )
    at = open_page("worklist.py", whose="waiting")
    assert list(at.dataframe[0].value["Case"]) == ["MISSED"]
    assert column(at, "Model result")["MISSED"] == "Hidden until read"
    assert at.segmented_control(key="whose").options[-1] == "Waiting for you (1)"


@pytest.mark.usefixtures("home")
def test_filters_stand_in_the_address_and_come_back_from_it(open_page, texts):
    at = open_page("worklist.py", status=["flagged", "no such status"], order="Case id")
    assert list(at.dataframe[0].value["Case"]) == ["MISSED"]
    assert at.selectbox(key="order").value == "case"
    at.pills(key="status").set_value([CaseStatus.CONCORDANT]).run()
    assert at.query_params["status"] == "concordant"
    assert list(at.dataframe[0].value["Case"]) == ["AGREED"]
    at.pills(key="status").set_value([]).run()
    assert "status" not in at.query_params
    beyond = open_page("worklist.py", list_page="7")
    assert "1 to 5 of 5 cases" in texts(beyond)


@pytest.mark.usefixtures("home")
def test_the_walk_follows_the_filtered_list(open_page):
    at = open_page("worklist.py", order="Case id")
    at.text_input(key="search").set_value("e").run()
    names = list(at.dataframe[0].value["Case"])
    at.button(key="open_first").click().run()
    assert at.session_state["walk"] == names
    assert at.title[0].value == f"Case {names[0]}"


@pytest.mark.usefixtures("home")
def test_orders(open_page):
    at = open_page("worklist.py")
    at.selectbox(key="order").set_value("case").run()
    assert list(at.dataframe[0].value["Case"]) == ["AGREED", "BROKEN", "MISSED", "UNREAD", "waiting"]
    at.selectbox(key="order").set_value("quality").run()
    assert set(at.dataframe[0].value["Case"][:2]) == {"BROKEN", "waiting"}


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize(
    ("role", "sentence"), [(Role.LEAD, "Add slides by folder"), (Role.VIEWER, "Ask a pathologist")]
)
def test_an_empty_worklist_says_what_to_do(open_page, texts, role, sentence):
    at = open_page("worklist.py", role=role)
    assert not at.exception
    assert sentence in texts(at)


def test_the_export_carries_the_sentences_and_runs_no_formula(home):
    assign(home, "UNREAD", assignee="=HYPERLINK(1)", actor=ADA)
    cases = worklist_page(home, actor=ADA).cases
    lines = export_csv(worklist_frame(cases, thumbnails={})).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("# For research and quality assurance; not for primary diagnosis. Generated phantom")
    table = {row["Case"]: row for row in csv.DictReader(io.StringIO("\n".join(lines[1:])))}
    assert set(table) == {case.row.case_id for case in cases}
    assert table["UNREAD"]["Benefit"] == "-"
    assert table["MISSED"]["Benefit"] == "1.94 = 2 x 0.97 x 1.00"
    assert table["MISSED"]["Flags"] == "Model higher"
    assert table["UNREAD"]["Model result"] == "Hidden until read"
    assert table["UNREAD"]["Assigned to"] == "'=HYPERLINK(1)"
    assert "Slide" not in table["MISSED"]
