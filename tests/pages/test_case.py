"""The case screen: blind until read, then everything; every entry survives a new session; corrections supersede."""

import json

import pytest

from core.domain import CaseStatus, ReadCategory, ReviewVerdict
from core.errors import ConflictError
from core.server.identity import Role
from core.services.cases.review import open_case, record_diagnosis, reveal_model
from core.services.cases.worklist import case_detail
from core.store.records import ReadStage
from pages.parts.case import reading
from pages.parts.case.slides import Look

ADA = "Ada Reader (demonstration)"


def figure(at):
    (chart,) = at.get("plotly_chart")
    return json.loads(chart.proto.spec)


def traces(at, kind):
    return [trace for trace in figure(at)["data"] if trace["type"] == kind]


def shown_texts(trace):
    return trace.get("text") or []


def viewer(at):
    """What the page hands to the deep-zoom viewer."""
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)


def overview(at):
    return at.segmented_control(key="slide_look").set_value(Look.OVERVIEW).run()


def record(at, case, category, **fields):
    at.segmented_control(key=f"category_{case}").set_value(category)
    for key, value in fields.items():
        at.get_by_key(f"{key}_{case}").set_value(value)
    return at.button(key=f"record_{case}").click().run()


@pytest.mark.usefixtures("home")
def test_before_the_first_diagnosis_nothing_of_the_model_is_on_the_page(open_page, texts):
    at = open_page("case.py", case="UNREAD")
    assert not at.exception
    assert [tab.label for tab in at.tabs] == ["Quality", "Provenance", "History"]
    (slide,) = viewer(at)["slides"]
    assert (slide["flags"], slide["galleries"]) == ([], {})
    assert "Hidden until" in slide["no_model"]
    overview(at)
    assert traces(at, "heatmap") == []
    assert [trace for trace in traces(at, "scatter") if shown_texts(trace)] == []
    said = texts(at) + json.dumps([frame.value.astype(str).to_dict() for frame in at.dataframe])
    for secret in ("0.88", "invasive", "Probability of"):
        assert secret not in said
    assert "Model result hidden" in [info.proto.title for info in at.info] or "Record your diagnosis first" in said


def test_a_diagnosis_is_locked_before_the_model_and_then_shows_it(home, open_page, texts):
    at = open_page("case.py", case="UNREAD")
    record(at, "UNREAD", ReadCategory.BENIGN, grade="none *really*", confidence=3, text="Quiet.")
    assert not at.exception
    own = case_detail(home, "UNREAD").diagnoses[-1]
    assert (own.reader, own.category, own.grade, own.confidence, own.text, own.stage, own.supersedes) == (
        ADA,
        ReadCategory.BENIGN,
        "none *really*",
        3,
        "Quiet.",
        ReadStage.BEFORE_MODEL,
        None,
    )
    assert at.tabs[0].label == "Flags (1)"
    assert "Model higher" in texts(at)
    again = open_page("case.py", case="UNREAD")
    assert "**Benign**, none \\*really\\*" in texts(again)


def test_a_case_somebody_has_read_shows_its_flags_and_the_log_says_to_whom(home, open_page, texts):
    at = open_page("case.py", case="MISSED")
    assert at.tabs[0].label == "Flags (1)"
    assert "Model higher" in texts(at)
    assert [event.actor for event in case_detail(home, "MISSED").reveals] == ["Another Reader", ADA]
    record(at, "MISSED", ReadCategory.MALIGNANT)
    assert case_detail(home, "MISSED").diagnoses[-1].stage is ReadStage.AFTER_MODEL


def test_a_category_must_be_chosen(home, open_page, texts):
    at = open_page("case.py", case="UNREAD")
    at.button(key="record_UNREAD").click().run()
    assert "Choose a category first." in texts(at)
    assert case_detail(home, "UNREAD").diagnoses == ()


def test_the_reveal_is_logged_and_marks_the_later_diagnosis(home, open_page):
    at = open_page("case.py", case="UNREAD")
    at.button(key="reveal_UNREAD").click().run()
    assert not at.exception
    assert open_case(home, "UNREAD", actor=ADA)
    assert [event.actor for event in case_detail(home, "UNREAD").reveals] == [ADA]
    assert viewer(at)["slides"][0]["no_model"] is None
    assert len(traces(overview(at), "heatmap")) == 1
    record(at, "UNREAD", ReadCategory.MALIGNANT)
    assert case_detail(home, "UNREAD").diagnoses[-1].stage is ReadStage.AFTER_MODEL


@pytest.mark.usefixtures("home")
def test_a_reveal_in_another_tab_shows_here_after_a_rerun(open_page):
    first, second = open_page("case.py", case="UNREAD"), open_page("case.py", case="UNREAD")
    first.button(key="reveal_UNREAD").click().run()
    assert viewer(second)["slides"][0]["galleries"] == {}
    second.run()
    assert viewer(second)["slides"][0]["galleries"]


def test_the_heatmap_lies_exactly_on_the_slide(home, open_page):
    reveal_model(home, "MISSED", actor=ADA)
    at = overview(open_page("case.py", case="MISSED"))
    (heat,) = traces(at, "heatmap")
    (picture,) = figure(at)["layout"]["images"]
    assert (picture["x"], picture["y"], picture["sizex"], picture["sizey"]) == (0, 0, 2100, 1300)
    assert figure(at)["layout"]["yaxis"]["range"] == [1300, 0]
    assert (heat["zmin"], heat["zmax"], heat["opacity"], heat["zsmooth"]) == (0, 1, 0.4, False)
    (marker,) = [trace for trace in traces(at, "scatter") if shown_texts(trace)]
    assert marker["text"] == ["1"]
    assert (float(marker["x"][0]), float(marker["y"][0])) == (2050, 1250)


def test_threshold_and_switch_change_what_is_drawn(home, open_page):
    reveal_model(home, "MISSED", actor=ADA)
    at = overview(open_page("case.py", case="MISSED"))
    everything = json.dumps(traces(at, "heatmap")[0]["z"])
    at.slider(key="threshold_missed").set_value(0.5).run()
    assert json.dumps(traces(at, "heatmap")[0]["z"]) != everything
    at.toggle(key="heat_missed").set_value(False).run()
    assert not at.exception
    assert traces(at, "heatmap") == []


def test_corrections_supersede_and_both_stay(home, open_page, texts):
    at = open_page("case.py", case="AGREED")
    record(at, "AGREED", ReadCategory.BENIGN)
    record(at, "AGREED", ReadCategory.MALIGNANT)
    own = [read for read in case_detail(home, "AGREED").diagnoses if read.reader == ADA]
    assert [read.category for read in own] == [ReadCategory.BENIGN, ReadCategory.MALIGNANT]
    assert own[1].supersedes == own[0].diagnosis_id
    assert "Superseded" in texts(at)


def test_an_answer_to_the_model_is_recorded_and_changed(home, open_page):
    record_diagnosis(home, "MISSED", category=ReadCategory.BENIGN, actor=ADA)
    at = open_page("case.py", case="MISSED")
    for verdict, note in ((ReviewVerdict.UNSURE, "Look again."), (ReviewVerdict.AGREE, "Seen.")):
        at.text_area(key="note_MISSED").set_value(note)
        at.button(key=f"{verdict}_MISSED").click().run()
        assert not at.exception
        at.button(key=f"{verdict}_MISSED").click().run()  # held down: the same answer is recorded once
    reviews = case_detail(home, "MISSED").reviews
    assert [(review.verdict, review.note) for review in reviews] == [
        (ReviewVerdict.UNSURE, "Look again."),
        (ReviewVerdict.AGREE, "Seen."),
    ]
    assert reviews[1].supersedes == reviews[0].review_id


@pytest.mark.parametrize("role", [Role.VIEWER, Role.QC])
def test_who_does_not_read_cases_gets_no_forms(home, open_page, texts, role):
    reveal_model(home, "MISSED", actor=ADA)
    at = open_page("case.py", role=role, case="MISSED")
    assert not at.exception
    keys = {button.key for button in at.button}
    assert not {"record_MISSED", "agree_MISSED"} & keys
    assert ("assign" in keys) == (role is Role.QC)
    assert "Your role does not record diagnoses." in texts(at)


def test_assigning_to_me_and_back(home, open_page):
    at = open_page("case.py", case="UNREAD")
    at.button(key="assign").click().run()
    assert case_detail(home, "UNREAD").case.assigned_to == ADA
    assert at.button(key="assign").label == "Unassign"
    at.button(key="assign").click().run()
    assert case_detail(home, "UNREAD").case.assigned_to is None


@pytest.mark.usefixtures("home")
def test_next_and_previous_follow_the_worklist(open_page):
    at = open_page("case.py", case="MISSED")
    assert at.button(key="previous_case").disabled
    at.button(key="next_case").click().run()
    assert at.query_params["case"] == "UNREAD"
    assert at.title[0].value == "Case UNREAD"
    at.button(key="previous_case").click().run()
    assert at.title[0].value == "Case MISSED"


def test_after_an_answer_the_next_case_is_the_one_that_came_after_it(home, open_page):
    reveal_model(home, "MISSED", actor=ADA)
    at = open_page("case.py", case="MISSED")
    at.button(key="agree_MISSED").click().run()
    assert case_detail(home, "MISSED").case.status is CaseStatus.REVIEWED
    at.button(key="next_case").click().run()
    assert at.title[0].value == "Case UNREAD"
    at.switch_page("worklist.py").run()
    at.query_params["case"] = "MISSED"
    at.switch_page("case.py").run()
    assert at.button(key="next_case").disabled, "the worklist now has it last"


@pytest.mark.usefixtures("home")
def test_an_unreadable_slide_stays_visible_with_its_reason(open_page, texts):
    at = open_page("case.py", case="BROKEN")
    assert not at.exception
    said = texts(at)
    assert "The file is not a slide that can be opened." in said
    assert "nothing to compare your diagnosis with" in said
    assert not at.get("bidi_component")
    assert not overview(at).get("plotly_chart")


def test_every_slide_of_a_case_can_be_chosen(home, open_page):
    reveal_model(home, "AGREED", actor=ADA)
    at = open_page("case.py", case="AGREED")
    at.segmented_control(key="slide_of_AGREED").set_value("agreed-2").run()
    assert not at.exception
    assert viewer(at)["slide"] == "agreed-2"
    assert [slide["slide_id"] for slide in viewer(at)["slides"]] == ["agreed", "agreed-2"]
    assert overview(at).get("plotly_chart")[0].key == "slide_agreed-2"


def test_a_flag_chooses_its_slide_and_the_microscope_and_moves_there_once(home, open_page):
    reveal_model(home, "MISSED", actor=ADA)
    at = overview(open_page("case.py", case="MISSED"))
    at.button(key="show_flag_1").click().run()
    assert not at.exception
    jump = viewer(at)["jump"]
    assert (jump["slide_id"], jump["x"], jump["y"], jump["width"], jump["height"]) == ("missed", 2000, 1200, 400, 400)
    at.run()
    assert viewer(at)["jump"] == jump, "the viewer acts once on a nonce"
    at.button(key="show_flag_1").click().run()
    assert viewer(at)["jump"]["nonce"] != jump["nonce"]


def test_an_answer_that_the_log_refuses_is_a_sentence(home, open_page, monkeypatch):
    reveal_model(home, "MISSED", actor=ADA)
    at = open_page("case.py", case="MISSED")

    def refuse(*_args, **_fields):
        raise ConflictError("The model's result was not shown to you yet.")

    monkeypatch.setattr(reading, "record_review", refuse)
    at.button(key="agree_MISSED").click().run()
    assert not at.exception
    assert [error.value for error in at.error] == ["The model's result was not shown to you yet."]
    assert case_detail(home, "MISSED").reviews == ()


@pytest.mark.usefixtures("home")
def test_a_case_that_does_not_exist(open_page):
    at = open_page("case.py", case="<b>nope</b>")
    assert not at.exception
    assert at.title[0].value == "Case not found"
    assert "nope" in at.error[0].value


@pytest.mark.usefixtures("home")
def test_no_case_in_the_address_offers_all(open_page):
    at = open_page("case.py")
    at.selectbox(key="choose_case").set_value("UNREAD").run()
    assert at.title[0].value == "Case UNREAD"


@pytest.mark.usefixtures("home")
def test_provenance_and_quality_say_where_numbers_come_from(open_page, texts):
    at = open_page("case.py", case="MISSED")
    table = at.table[0].value.to_string()
    for fact in ("a" * 20, "b" * 20, "20 kept of 24", "4 background", "openslide.mpp", "numpy", "1.5 s"):
        assert fact in table
    assert "1 minus the share of tissue out of focus" in texts(at), "the score stands with its formula"
    classes = next(frame.value for frame in at.dataframe if "Class" in frame.value).set_index("Class")
    blurred = classes.loc["Out of focus"]
    assert (blurred["Area"], blurred["Share of tissue"]) == pytest.approx((3.6, 0.18))
    assert blurred["Comes from"] == "Acquisition"
