"""The worklist: order, what is hidden, filters, empty states, export."""

import csv
import io

import pytest

from core.domain import ReadCategory
from core.server.identity import Role
from core.services.review import assign, record_diagnosis, reveal_model
from core.services.worklist import worklist
from pages.parts.tables import export_csv, worklist_frame

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


def test_hidden_results_are_not_found_by_searching(home, open_page, texts):
    at = open_page("worklist.py")
    at.text_input(key="search").set_value("0.88").run()
    assert not at.dataframe
    assert "No case passes these filters" in texts(at)
    reveal_model(home, "UNREAD", actor=ADA)
    at.run()
    assert list(at.dataframe[0].value["Case"]) == ["UNREAD"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("search", "missed benign", {"MISSED"}),
        ("search", "CAN BE OPENED", {"BROKEN"}),
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


def test_my_cases_and_nobodys(home, open_page):
    assign(home, "UNREAD", assignee=ADA, actor=ADA)
    at = open_page("worklist.py")
    at.segmented_control(key="assignment").set_value("Mine").run()
    assert list(at.dataframe[0].value["Case"]) == ["UNREAD"]
    at.segmented_control(key="assignment").set_value("Unassigned").run()
    assert "UNREAD" not in set(at.dataframe[0].value["Case"])


@pytest.mark.usefixtures("home")
def test_orders(open_page):
    at = open_page("worklist.py")
    at.selectbox(key="order").set_value("Case id").run()
    assert list(at.dataframe[0].value["Case"]) == ["AGREED", "BROKEN", "MISSED", "UNREAD", "waiting"]
    at.selectbox(key="order").set_value("Lowest quality first").run()
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
    rows = worklist(home, actor=ADA)
    lines = export_csv(worklist_frame(rows, thumbnails={})).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("# For research and quality assurance; not for primary diagnosis. Generated phantom")
    table = {row["Case"]: row for row in csv.DictReader(io.StringIO("\n".join(lines[1:])))}
    assert set(table) == {row.case_id for row in rows}
    assert table["MISSED"]["Flags"] == "Model higher"
    assert table["UNREAD"]["Model result"] == "Hidden until read"
    assert table["UNREAD"]["Assigned to"] == "'=HYPERLINK(1)"
    assert "Slide" not in table["MISSED"]
