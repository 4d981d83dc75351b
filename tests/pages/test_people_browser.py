"""The questions before a change, answered in Chromium: dialogs redraw themselves there, which AppTest does not do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser_kit import Visits, chromium, eventually, need_library, served, visits
from people_kit import CLERK
from playwright.sync_api import Page, expect

from core.roles import Role
from core.services.people import people
from core.settings import Settings
from core.store.records import PersonRecord

BEN = "Ben Reader (demonstration)"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    need_library()
    folder = tmp_path_factory.mktemp("people")
    settings = Settings(home=folder / "home")
    people.ensure_demonstration(settings, "Ben Reader", roles=[Role.PATHOLOGIST], actor=CLERK)
    with (
        served("app.py", settings, {}, log=folder / "server.log") as server,
        chromium() as browser,
        visits(browser, server) as found,
    ):
        yield found


def person(opened: Visits, name: str = BEN) -> PersonRecord:
    return next(one for one in people.list_people(opened.server.settings, actor=CLERK) if one.log_name == name)


def lead(opened: Visits, *, name: str = "Lea Lead", who: str = BEN) -> Page:
    page = opened.open(f"/people?person={person(opened, who).person_id}", role="lead", name=name, ready=False)
    expect(page.get_by_role("button", name="Change roles")).to_be_visible()
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")
    return page


def choose(page: Page, *roles: str) -> None:
    form = page.get_by_test_id("stForm")
    for role in roles:
        form.get_by_role("button", name=role, exact=True).click()
    page.get_by_role("button", name="Change roles").click()


def answer(page: Page, name: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=name).click()


def test_roles_change_when_the_question_is_answered_and_not_before(opened: Visits) -> None:
    page = lead(opened)
    choose(page, "Consultant", "Pathologist")
    expect(page.get_by_role("dialog")).to_contain_text("Will no longer be: Pathologist")
    answer(page, "Cancel")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert person(opened).roles == {Role.PATHOLOGIST}
    page.get_by_role("button", name="Change roles").click()
    answer(page, "Change roles")
    eventually(lambda: person(opened).roles == {Role.CONSULTANT})
    assert person(opened).roles == {Role.CONSULTANT}


def test_of_two_leads_at_once_the_second_is_told(opened: Visits) -> None:
    people.change_roles(opened.server.settings, person(opened).person_id, [Role.VIEWER], actor=CLERK)
    first, second = lead(opened), lead(opened, name="Leo Lead")
    for page, role in ((first, "Quality control"), (second, "Lead")):
        choose(page, role)
        expect(page.get_by_role("dialog")).to_be_visible()
    answer(first, "Change roles")
    eventually(lambda: Role.QC in person(opened).roles)
    answer(second, "Change roles")
    expect(second.get_by_role("dialog")).to_contain_text("Somebody changed the roles")
    assert person(opened).roles == {Role.QC, Role.VIEWER}


def test_closing_an_access_turns_the_other_browser_to_the_gate(opened: Visits) -> None:
    theirs = opened.open("/about", role="pathologist", name="Eve Reader", ready=False)
    expect(theirs.get_by_role("heading", name="About Second Read")).to_be_visible()
    eve = "Eve Reader (demonstration)"
    page = lead(opened, who=eve)
    page.get_by_role("button", name="Close access").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("left")
    answer(page, "Close access")
    eventually(lambda: not person(opened, eve).active)
    theirs.get_by_role("link", name="Worklist").click()
    expect(theirs.get_by_text("Your access is closed")).to_be_visible()


def test_all_sessions_are_ended_and_the_last_lead_stays(opened: Visits) -> None:
    theirs = opened.open("/about", role="viewer", name="Vic", ready=False)
    expect(theirs.get_by_role("heading", name="About Second Read")).to_be_visible()
    page = lead(opened, who="Vic (demonstration)")
    page.get_by_role("button", name="End all").click()
    answer(page, "End all sessions")
    expect(page.get_by_text("No session holds at present")).to_be_visible()
    theirs.get_by_role("link", name="Worklist").click()
    expect(theirs.get_by_text("Your session was ended")).to_be_visible()
    leo = person(opened, "Leo Lead (demonstration)")
    people.set_active(opened.server.settings, leo.person_id, active=False, actor=CLERK)
    page = lead(opened, who="Lea Lead (demonstration)")
    page.get_by_role("button", name="Close access").click()
    expect(page.get_by_role("dialog")).to_contain_text("This is you")
    answer(page, "Close access")
    expect(page.get_by_role("dialog")).to_contain_text("is the last lead")


def test_somebody_is_added_with_the_keyboard(opened: Visits) -> None:
    page = lead(opened)
    expect(page.get_by_role("button", name="Add person")).to_be_visible(timeout=15_000)
    dialog = page.get_by_role("dialog")
    page.keyboard.press("n")
    expect(dialog).to_be_visible(timeout=15_000)
    dialog.get_by_test_id("stTextInputField").fill("system")
    dialog.get_by_role("button", name="Add person").press("Enter")
    expect(dialog).to_contain_text("cannot be a person's name")
    dialog.get_by_test_id("stTextInputField").fill("Cleo")
    dialog.get_by_test_id("stTextInputField").press("Tab")
    dialog.get_by_role("button", name="Viewer").press("Enter")
    dialog.get_by_role("button", name="Add person").press("Enter")
    expect(dialog).to_have_count(0)
    assert person(opened, "Cleo (demonstration)").roles == {Role.VIEWER}
