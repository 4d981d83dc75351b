"""Second opinions in the pages: what each person is offered, and what a blinded consultant is not told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from people_kit import CLERK

from core.domain import CaseStatus, ReadCategory
from core.roles import Role
from core.services.consultations import consult, opinion, resolution, signing
from core.services.consultations.answers import Answer
from core.services.consultations.inbox import Task, consult_inbox, count_to_do, matching
from core.services.consultations.lists import case_consult
from core.services.people.people import ensure_demonstration
from core.settings import Settings
from core.store.consult_records import ConsultationRecord, NewComparison, NewResolution
from core.vocabulary import (
    Blinding,
    ConsultationRole,
    ConsultationType,
    Discordance,
    ManagementImpact,
    ReportAction,
    ResolutionMethod,
    SignatureMeaning,
    Urgency,
)
from pages.parts.consultations.lines import View, lines_csv

CASE = "MISSED"
FIRST, CLEO, DAN = "Another Reader", "Cleo (demonstration)", "Dan (demonstration)"
QUESTION = "Is there *invasion*?"
MALIGNANT = Answer(category=ReadCategory.MALIGNANT, grade="Zebra pattern", confidence=5)


@pytest.fixture
def department(home: Settings) -> Settings:
    """The home with two consultants who may be asked."""
    for name in ("Cleo", "Dan"):
        ensure_demonstration(home, name, roles=[Role.CONSULTANT], actor=CLERK)
    return home


def ask(settings: Settings, whom: str | None = CLEO, **changed) -> ConsultationRecord:
    asked = {
        "type": ConsultationType.MODEL_DISCORDANCE,
        "question": QUESTION,
        "blinding": Blinding.FULL,
        "actor": FIRST,
    }
    return consult.request(settings, CASE, consultant=whom, **(asked | changed))


def give(settings: Settings, asked: ConsultationRecord, *, actor: str = CLEO) -> int:
    opinion.acknowledge(settings, asked.consultation_id, actor=actor)
    return opinion.submit_opinion(settings, asked.consultation_id, MALIGNANT, actor=actor).opinion_id


def compare(settings: Settings, opinion_id: int, discordance: Discordance = Discordance.MAJOR) -> None:
    made = NewComparison(
        discordance=discordance, basis=None, management_impact=ManagementImpact.UNKNOWN, error_type=None, note=""
    )
    resolution.compare(settings, opinion_id, made, actor=FIRST)


def to_resolved(settings: Settings) -> None:
    compare(settings, give(settings, ask(settings)))
    resolution.agree(settings, CASE, actor=FIRST)
    made = NewResolution(
        method=ResolutionMethod.UNRESOLVED,
        diagnosis_id=None,
        report_action=ReportAction.NONE,
        communicated_to="",
        communicated_at=None,
        learning_note="",
    )
    resolution.resolve(settings, CASE, made, actor=FIRST)


def to_signed(settings: Settings) -> None:
    to_resolved(settings)
    signing.sign_resolution(settings, CASE, meaning=SignatureMeaning.AUTHORSHIP, printed_name=FIRST, actor=FIRST)


def to_adjudication(settings: Settings) -> None:
    compare(settings, give(settings, ask(settings)))
    resolution.adjudicate(settings, CASE, actor=FIRST)


def to_third(settings: Settings) -> None:
    to_adjudication(settings)
    give(settings, ask(settings, DAN, role=ConsultationRole.ADJUDICATOR), actor=DAN)


def to_declined(settings: Settings) -> None:
    opinion.decline(settings, ask(settings).consultation_id, reason="On leave", actor=CLEO)


STATES: dict[str, tuple[Callable[[Settings], object], str, str]] = {
    "requested": (ask, "Cleo", "Take it on"),
    "acknowledged": (
        lambda settings: opinion.acknowledge(settings, ask(settings).consultation_id, actor=CLEO),
        "Cleo",
        "Lock my opinion",
    ),
    "pool": (lambda settings: ask(settings, None, pool="Breast"), "Dan", "Take it on"),
    "received": (lambda settings: give(settings, ask(settings)), "Cleo", "Compare the reads"),
    "major": (lambda settings: compare(settings, give(settings, ask(settings))), "Cleo", "Have a third reader decide"),
    "minor": (
        lambda settings: compare(settings, give(settings, ask(settings)), Discordance.MINOR),
        "Cleo",
        "The readers agree",
    ),
    "adjudication": (to_adjudication, "Cleo", "Ask a third reader"),
    "third": (to_third, "Dan", "Record the resolution"),
    "resolved": (to_resolved, "Cleo", "Sign"),
}
"""Name -> (how the case gets there, who looks, the label of the one primary button)."""


def primary(at) -> list[str]:
    return [button.label for button in at.button if button.proto.type == "primary"]


@pytest.mark.parametrize("state", STATES)
def test_the_next_step_is_the_one_primary_button(department, open_page, state):
    reach, name, label = STATES[state]
    reach(department)
    at = open_page("case.py", role=Role.CONSULTANT, name=name, case=CASE)
    assert not at.exception
    assert primary(at) == [label]


def test_who_waits_has_no_primary_button_and_a_signed_case_may_be_opened_again(department, open_page, texts):
    ask(department)
    at = open_page("case.py", role=Role.VIEWER, name="Vic", case=CASE)
    assert primary(at) == []
    assert "Waiting for the opinion of Cleo" in texts(at)
    assert not [button for button in at.button if button.label == "Withdraw"]


def test_a_signed_case_shows_its_signature_and_can_be_opened_again(department, open_page, texts):
    to_signed(department)
    at = open_page("case.py", role=Role.CONSULTANT, name="Cleo", case=CASE)
    assert primary(at) == []
    assert "Resolved and signed" in texts(at)
    assert f"Signed by **{FIRST}**, authorship" in texts(at)
    assert at.button(key="reopen")


def everything(at) -> str:
    """All that the page hands to a browser: every element, as text."""
    return "\n".join(str(element.proto) for element in at.main) + json.dumps(
        [frame.value.astype(str).to_dict() for frame in at.dataframe]
    )


@pytest.mark.parametrize("page", ["case.py", "worklist.py", "consultations.py"])
def test_a_blinded_consultant_is_told_nothing_and_told_so(department, open_page, texts, page):
    ask(department)
    at = open_page(page, role=Role.CONSULTANT, name="Cleo", **({"case": CASE} if page == "case.py" else {}))
    assert not at.exception
    rows = [frame.value for frame in at.dataframe if "Case" in frame.value]
    said = texts(at) + "".join(str(frame[frame["Case"] == CASE].to_dict()) for frame in rows)
    if page == "case.py":
        said += everything(at)
        assert "Not shown: the model's result, the first read, other opinions and who gave them." in said
        assert [tab.label for tab in at.tabs] == ["Quality", "Provenance", "History"]
        assert not [button for button in at.button if str(button.key).startswith("reveal_")]
    for secret in (FIRST, "0.97", "Model higher", "The model differs"):
        assert secret not in said


def test_an_opinion_is_given_on_the_page_and_then_everything_is_shown(department, open_page, texts):
    asked = ask(department)
    at = open_page("case.py", role=Role.CONSULTANT, name="Cleo", case=CASE)
    at.button(key="next_take_on").click().run()
    at.button(key=f"lock_{asked.consultation_id}").click().run()
    assert "Choose a category first." in texts(at)
    assert case_consult(department, CASE, actor=None).opinions == ()
    at.selectbox(key=f"scheme_{CASE}").set_value("breast_idc").run()
    at.text_area(key=f"text_{CASE}").set_value("Cords at the edge.")
    at.get_by_key(f"code_{CASE}_breast_idc").set_value("invasive")
    at.get_by_key(f"work_{asked.consultation_id}").set_value(["ihc"])
    at.button(key=f"lock_{asked.consultation_id}").click().run()
    assert not at.exception
    (given,) = case_consult(department, CASE, actor=None).opinions
    assert (given.read.code, given.read.text, [one.value for one in given.additional_work]) == (
        "invasive",
        "Cords at the edge.",
        ["ihc"],
    )
    assert given.read.seconds_on_case is not None
    assert (given.read.blinded_to_model, given.read.blinded_to_first) == (True, True)
    assert at.tabs[0].label == "Second opinion"
    assert FIRST in texts(at)
    assert "Locked." in texts(at)


def test_an_opinion_locked_in_another_tab_is_refused_in_one_sentence(department, open_page, texts):
    asked = ask(department)
    at = open_page("case.py", role=Role.CONSULTANT, name="Cleo", case=CASE)
    at.button(key="next_take_on").click().run()
    at.segmented_control(key=f"category_{CASE}").set_value(ReadCategory.BENIGN)
    at.text_area(key=f"text_{CASE}").set_value("Half an hour of thought.")
    opinion.submit_opinion(department, asked.consultation_id, MALIGNANT, actor=CLEO)
    at.button(key=f"lock_{asked.consultation_id}").click().run()
    assert not at.exception
    assert "The request is answered already; nothing was changed." in texts(at)
    assert [code.value for code in at.code] == ["Half an hour of thought."], "what was typed is given back"
    assert len(case_consult(department, CASE, actor=None).opinions) == 1


def test_the_inbox_sorts_by_what_is_to_be_done(department, open_page, texts):
    due = datetime.now(UTC) + timedelta(hours=1)
    asked = ask(department, urgency=Urgency.URGENT, due_at=due)
    assert [line.task for line in consult_inbox(department, actor=CLEO).to_do] == [Task.ACKNOWLEDGE]
    assert count_to_do(department, actor=CLEO) == 1
    assert count_to_do(department, actor=DAN) == 0
    at = open_page("consultations.py", role=Role.CONSULTANT, name="Cleo")
    assert not at.exception
    assert "Is there \\*invasion\\*?" in texts(at)
    assert "A colleague asked" in texts(at)
    assert primary(at) == ["Open the next one"]
    links = [link.proto.label for link in at.get("page_link")]
    assert "Second opinions :orange-badge[1]" in links
    later = consult_inbox(department, actor=FIRST, now=due + timedelta(minutes=1))
    assert [(line.case_id, line.is_overdue) for line in later.late] == [(CASE, True)]
    assert [line.task for line in later.asked] == [Task.WAIT]
    opinion.acknowledge(department, asked.consultation_id, actor=CLEO)
    assert [line.task for line in consult_inbox(department, actor=CLEO).to_do] == [Task.ANSWER]


def test_what_is_to_be_settled_stands_in_the_list_of_who_asked(department):
    seen: list[list[str]] = []
    for step in (
        lambda: to_declined(department),
        lambda: consult.withdraw(department, 1, reason="No matter", actor=FIRST),
        lambda: give(department, ask(department)),
        lambda: compare(department, 1),
        lambda: resolution.adjudicate(department, CASE, actor=FIRST),
        lambda: ask(department, DAN, role=ConsultationRole.ADJUDICATOR),
        lambda: give_third(department),
    ):
        step()
        seen.append([line.task.value for line in consult_inbox(department, actor=FIRST).to_do])
    assert seen == [["ask_other"], [], ["compare"], ["compare"], ["ask_third"], [], ["resolve"]]


def give_third(settings: Settings) -> None:
    (asked,) = [
        one for one in case_consult(settings, CASE, actor=None).requests if one.role is ConsultationRole.ADJUDICATOR
    ]
    opinion.acknowledge(settings, asked.consultation_id, actor=DAN)
    opinion.submit_opinion(settings, asked.consultation_id, MALIGNANT, actor=DAN)


def test_requests_to_a_group_are_free_to_take_until_one_takes_them(department):
    asked = ask(department, None, pool="Breast")
    for actor in (CLEO, DAN):
        assert [line.task for line in consult_inbox(department, actor=actor).to_take] == [Task.TAKE]
    opinion.acknowledge(department, asked.consultation_id, actor=DAN)
    assert consult_inbox(department, actor=CLEO).to_take == ()
    assert [line.task for line in consult_inbox(department, actor=DAN).to_do] == [Task.ANSWER]


def test_search_urgency_and_export(department):
    ask(department, question="=HYPERLINK(1)", urgency=Urgency.STAT)
    lines = consult_inbox(department, actor=CLEO).to_do
    assert matching(lines, words="missed hyper", urgencies=frozenset({Urgency.STAT})) == lines
    assert matching(lines, words="", urgencies=frozenset({Urgency.ROUTINE})) == ()
    assert matching(lines, words="another", urgencies=frozenset()) == (), "a hidden name is not found either"
    exported = lines_csv(lines).decode("utf-8-sig")
    assert "For research and quality assurance" in exported.splitlines()[0]
    assert "'=HYPERLINK(1)" in exported
    assert FIRST not in exported


@pytest.mark.usefixtures("home")
def test_every_empty_view_says_what_will_stand_in_it(open_page):
    at = open_page("consultations.py")
    said = set()
    for view in at.segmented_control(key="opinions_view").options:
        assert view.endswith("(0)")
    for view in View:
        at.segmented_control(key="opinions_view").set_value(view).run()
        assert not at.exception
        said.add(next(value for value in (info.value for info in at.info) if "will" in value))
    assert len(said) == 5


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("role", [Role.VIEWER, Role.QC])
def test_whoever_gives_no_opinions_has_no_such_page(open_page, texts, role):
    at = open_page("consultations.py", role=role)
    assert "this page is for" in texts(at)
    assert not at.segmented_control
    assert "Second opinions" not in [link.proto.label for link in at.get("page_link")]


def test_status_of_the_page_follows_the_case(department, open_page):
    to_signed(department)
    assert case_consult(department, CASE, actor=CLEO).status is CaseStatus.SIGNED
    resolution.reopen(department, CASE, reason="New slides", actor=FIRST)
    at = open_page("case.py", role=Role.CONSULTANT, name="Dan", case=CASE)
    assert [button.label for button in at.button if button.key == "ask_opinion"] == ["Ask for a second opinion"]
