"""The screen of people and roles, and the gate that its changes close."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from people_kit import CLERK
from streamlit.testing.v1 import AppTest

from core.roles import PERMISSION_WORDS, ROLE_MEANINGS, ROLE_NAMES, Role
from core.services.people import people, sessions
from core.services.people.people import people_overview
from core.services.rules.scheme_library import list_schemes
from core.settings import Settings
from core.store.records import PersonRecord
from pages.parts.people.tables import browser_in_words, matching, matrix_frame, people_csv

PROJECT = Path(__file__).resolve().parents[2]
LEA, BEN = "Lea Lead (demonstration)", "Ben Reader (demonstration)"
OIDC = """
[auth]
client_id = "a"
client_secret = "b"
server_metadata_url = "https://sso.example/.well-known/openid-configuration"
redirect_uri = "http://localhost:8501/oauth2callback"
[roles]
claim = "groups"
qc = ["lab"]
[people]
ask = "Dr. B. Lead, extension 4711"
"""


def person(settings: Settings, name: str) -> PersonRecord:
    return next(one for one in people.list_people(settings, actor=CLERK) if one.log_name == name)


@pytest.fixture
def ben(empty_home: Settings) -> PersonRecord:
    people.ensure_demonstration(empty_home, "Ben Reader", roles=[Role.PATHOLOGIST], actor=CLERK)
    return person(empty_home, BEN)


@pytest.fixture
def open_people(open_page):
    """Open the screen as a lead."""
    return lambda **query: open_page("people.py", role=Role.LEAD, name="Lea Lead", **query)


def pills(at: AppTest, label: str):
    return next(one for one in at.get("button_group") if one.label == label)


# -- who may open it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.LEAD])
def test_only_leads_get_it_and_the_others_a_sentence(empty_home, open_page, texts, role):
    at = open_page("people.py", role=role)
    assert not at.exception
    assert f"Your role is {ROLE_NAMES[role]}; this page is for: Lead." in texts(at)
    assert not at.dataframe
    assert "People and roles" not in [title.value for title in at.title]
    assert [one.log_name for one in people.list_people(empty_home, actor=CLERK)] == ["Ada Reader (demonstration)"]


@pytest.mark.usefixtures("empty_home")
def test_nobody_opens_it_without_the_router(run_alone, texts):
    at = run_alone("people.py")
    assert "Sign in first" in texts(at)
    assert not at.dataframe


@pytest.mark.usefixtures("ben")
def test_a_lead_sees_everybody_with_roles_and_sessions(open_people, texts):
    at = open_people()
    assert not at.exception
    frame = at.dataframe[0].value
    assert frame["Name"].tolist() == ["Ben Reader", "Lea Lead"]
    assert frame["Roles"].tolist() == ["Pathologist", "Lead"]
    assert frame["Sessions"].tolist() == [0, 1]
    assert frame["State"].tolist() == ["Active", "Active"]
    assert "2 of 2" in texts(at)


@pytest.mark.usefixtures("ben")
def test_search_and_its_empty_state(open_people, texts):
    at = open_people()
    at.text_input(key="people_search").set_value("ben").run()
    assert at.dataframe[0].value["Name"].tolist() == ["Ben Reader"]
    at.text_input(key="people_search").set_value("nobody of that name").run()
    assert "Nobody matches" in texts(at)
    assert not at.exception


# -- changes ---------------------------------------------------------------------------------------------------------


def test_every_change_waits_for_an_answer(empty_home, open_people, ben, texts):
    at = open_people(person=str(ben.person_id))
    assert not at.exception
    pills(at, "Roles").set_value([Role.CONSULTANT, Role.QC])
    at.button(key="change_roles").click().run()
    assert "Will be: Consultant, Quality control" in texts(at)
    assert "Will no longer be: Pathologist" in texts(at)
    at.button(key="close_access").click().run()
    assert "signed out everywhere at once" in texts(at)
    assert not at.exception
    now = person(empty_home, BEN)
    assert (now.roles, now.active) == ({Role.PATHOLOGIST}, True)


def test_a_lead_is_warned_before_closing_her_own_access(empty_home, open_people, texts):
    at = open_people()
    at.query_params["person"] = str(person(empty_home, LEA).person_id)
    at.run()
    at.button(key="close_access").click().run()
    assert "This is you" in texts(at)


def test_the_same_roles_are_no_question(open_people, ben, texts):
    at = open_people(person=str(ben.person_id))
    at.button(key="change_roles").click().run()
    assert "These are the roles already" in texts(at)
    assert not [button for button in at.button if button.key == "confirm_dialog"]


def test_a_closed_access_meets_the_gate_at_the_next_click(empty_home, open_people, open_page, texts, ben):
    theirs = open_page("worklist.py", name="Ben Reader")
    assert theirs.title[0].value != "Second Read"
    people.set_active(empty_home, ben.person_id, active=False, because="left", actor=CLERK)
    theirs.run()
    assert [title.value for title in theirs.title] == ["Second Read"]
    assert "Your access is closed, Ben Reader" in texts(theirs)
    assert not theirs.dataframe
    at = open_people(person=str(ben.person_id))
    at.button(key="open_access").click().run()
    assert person(empty_home, BEN).active


def test_ended_sessions_meet_the_gate_and_a_new_sign_in_does_not(empty_home, open_people, open_page, texts, ben):
    theirs = open_page("worklist.py", name="Ben Reader")
    (session,) = sessions.list_sessions(empty_home, ben.person_id, actor=CLERK)
    at = open_people(person=str(ben.person_id))
    at.selectbox(key=f"end_one_{ben.person_id}").set_value(session.session_id).run()
    at.button(key="end_session").click().run()
    assert not at.exception
    theirs.run()
    assert "Your session was ended" in texts(theirs)
    assert theirs.text_input(key="sign_in_name")
    assert open_page("worklist.py", name="Ben Reader").title[0].value != "Second Read"
    assert len(sessions.list_sessions(empty_home, ben.person_id, actor=CLERK)) == 2


def test_signing_out_everywhere_ends_all_of_ones_own(empty_home, open_page, texts, ben):
    first, second = (open_page("worklist.py", name="Ben Reader") for _ in range(2))
    first.button(key="sign_out_everywhere").click().run()
    second.run()
    assert "Your session was ended" in texts(second)
    (row,) = [row for row in people_overview(empty_home, actor=CLERK) if row.person.person_id == ben.person_id]
    assert row.open_sessions == 0


@pytest.mark.usefixtures("empty_home")
def test_a_person_that_is_not_there_is_a_sentence(open_people, texts):
    at = open_people(person="77")
    assert not at.exception
    assert "There is no such person here" in texts(at)
    assert not [button for button in at.button if button.key == "close_access"]


# -- the other views -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty_home")
def test_the_matrix_the_schemes_and_the_history_are_shown(open_people, texts):
    at = open_people(view="What roles may do")
    assert not at.exception
    assert at.table[0].value.shape == (len(PERMISSION_WORDS), len(Role))
    at = open_people(view="Reading schemes")
    assert not at.exception
    assert "ISUP grade group" in texts(at)
    at = open_people(view="History")
    assert not at.exception
    assert at.dataframe[0].value["What"].tolist()[-1] == "Added"


def test_a_scheme_is_withdrawn_and_offered_and_an_own_one_kept(empty_home, open_people, texts):
    at = open_people(view="Reading schemes")
    at.button(key="offer_isup").click().run()
    assert [one.scheme.name for one in list_schemes(empty_home) if not one.offered] == ["isup"]
    at.button(key="offer_isup").click().run()
    assert all(one.offered for one in list_schemes(empty_home))
    at.get("file_uploader")[0].upload("local_breast.toml", b"title = 'x'", "application/toml").run()
    assert "needs 'source'" in texts(at)
    assert not at.exception


def test_the_matrix_says_what_the_table_says():
    frame = matrix_frame()
    assert frame.loc["Sign", "Viewer"] == ""
    assert frame.loc["Sign", "Consultant"] == "Yes"
    assert (frame["Lead"] == "Yes").all()


def test_the_list_as_csv_runs_no_formula(empty_home):
    people.add_person(empty_home, "=HYPERLINK(1)", issuer="https://x.example", subject="+1", roles=[], actor=CLERK)
    rows = people_overview(empty_home, actor=CLERK)
    (row,) = csv.DictReader(io.StringIO(people_csv(rows).decode("utf-8-sig")))
    assert (row["name"], row["subject"], row["state"]) == ("'=HYPERLINK(1)", "'+1", "Waits for a role")
    assert people_csv([]).decode("utf-8-sig").startswith("name,")


def test_search_takes_every_word_in_name_address_and_subject(empty_home):
    people.add_person(empty_home, "Ada B.", issuer="i", email="ada@x.org", roles=[Role.QC], actor=CLERK)
    people.add_person(empty_home, "Ben", issuer="i", subject="ADA-7", roles=[Role.LEAD, Role.QC], actor=CLERK)
    rows = people_overview(empty_home, actor=CLERK)

    def names(words: str, *roles: Role) -> list[str]:
        return [row.person.log_name for row in matching(rows, words=words, roles=roles)]

    assert names("ada") == ["Ada B.", "Ben"]
    assert names("ada X.org") == ["Ada B."]
    assert names("", Role.LEAD) == ["Ben"]
    assert names("ada", Role.VIEWER) == []


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/120.0 Safari/537.36 Edg/120.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:120.0) Gecko Firefox/120.0", "Firefox on macOS"),
        ("curl/8", "Unknown browser"),
    ],
)
def test_a_browser_in_words(agent, words):
    assert browser_in_words(agent) == words


# -- the gate --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty_home")
def test_the_sign_in_screen_tells_all_five_roles(open_page):
    at = open_page("worklist.py", role=None)
    (radio,) = at.radio
    assert radio.options == list(ROLE_NAMES.values())
    assert list(radio.proto.captions) == list(ROLE_MEANINGS.values())


@pytest.fixture
def provider(empty_home: Settings):
    """A home where a provider vouches for people, and pages opened with its claims."""
    empty_home.home.mkdir(parents=True, exist_ok=True)
    (empty_home.home / "auth.toml").write_text(OIDC)

    def opened(**claims: object) -> AppTest:
        at = AppTest.from_file(str(PROJECT / "pages" / "router.py"), default_timeout=20)
        at.user = {
            "is_logged_in": True,
            "iss": "https://sso.example",
            "sub": "ada",
            "iat": time.time(),
            "nonce": "1",
            "name": "Ada",
            **claims,
        }
        return at.run()

    return opened


def test_who_has_no_role_yet_is_told_whom_to_ask(empty_home, provider, texts):
    people.add_person(empty_home, "Lea Lead", issuer="i", subject="l", roles=[Role.LEAD], actor=CLERK)
    at = provider()
    assert not at.exception
    said = texts(at)
    assert "No access yet, Ada" in said
    assert "Ask Dr. B. Lead, extension 4711. Leads here: Lea Lead." in said
    assert not at.dataframe
    people.change_roles(empty_home, person(empty_home, "Ada").person_id, [Role.VIEWER], actor="Lea Lead")
    at.button(key="look_again").click().run()
    assert [title.value for title in at.title] != ["Second Read"]


def test_claims_open_the_pages_and_no_banner_says_demonstration(empty_home, provider, texts):
    at = provider(groups=["lab"])
    assert not at.exception
    assert "Demonstration sign-in" not in texts(at)
    assert person(empty_home, "Ada").roles == {Role.QC}
    at = provider(groups=["lab"], iat=1)
    assert person(empty_home, "Ada")
    assert "expired" in texts(at)
    assert [button.key for button in at.button] == ["sign_in_default"]


def test_the_first_lead_comes_from_the_environment(empty_home, provider, monkeypatch):
    monkeypatch.setenv("SECOND_READ_FIRST_LEAD", "ada")
    provider()
    assert person(empty_home, "Ada").roles == {Role.LEAD}


@pytest.mark.usefixtures("empty_home")
def test_nobody_signed_in_sees_the_providers_button(provider, texts):
    at = provider(is_logged_in=False)
    assert [button.key for button in at.button] == ["sign_in_default"]
    assert all(meaning in texts(at) for meaning in ROLE_MEANINGS.values())
    assert not at.text_input
