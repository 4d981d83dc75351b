"""`second-read people`: the first lead from the shell, and one sentence for whatever cannot be done."""

from __future__ import annotations

import pytest
from command_kit import Done, second_read

from core.roles import Role
from core.services.catalogue import verify_log
from core.services.people import people, sessions
from core.settings import Settings

ISSUER = "https://sso.example"


@pytest.fixture
def run(settings: Settings):
    return lambda *arguments: second_read("people", *arguments, "--home", settings.home)


def listed(run) -> dict[str, tuple[list[str], bool, int]]:
    done: Done = run("list", "--json")
    assert done.code == 0, done.err
    return {one["name"]: (one["roles"], one["active"], one["open_sessions"]) for one in done.lines}


def test_the_first_lead_comes_from_the_shell(settings: Settings, run):
    assert "second-read people add" in run("list").out
    assert run("add", "Lea Lead", "--role", "lead", "--email", "Lea@x.org", "--issuer", f"{ISSUER}/").code == 0
    assert listed(run) == {"Lea Lead": (["lead"], True, 0)}
    (lea,) = people.list_people(settings, actor="Lea Lead")
    assert (lea.issuer, lea.email, lea.subject, lea.roles) == (ISSUER, "lea@x.org", None, {Role.LEAD})
    (added,) = people.person_history(settings, lea.person_id, actor="Lea Lead")
    assert added.actor.endswith(" (command line)")


def test_in_a_demonstration_a_name_is_enough(run):
    assert "Ada (demonstration)" in run("add", "Ada", "--role", "viewer", "--role", "qc").out
    assert run("role", "ada", "pathologist", "--because", "exam").code == 0
    assert run("role", "ADA (demonstration)", "consultant", "lead").out == "Ada (demonstration): Consultant, Lead.\n"
    assert listed(run) == {"Ada (demonstration)": (["consultant", "lead"], True, 0)}
    assert run("list").out == "Ada (demonstration): Consultant, Lead, open sessions: 0\n"


def test_access_and_sessions_are_ended_and_given_back(settings: Settings, run):
    sessions.open_demonstration(settings, "Ada", role=Role.QC, session_id="1", hours=1)
    sessions.open_demonstration(settings, "Ada", role=Role.QC, session_id="2", hours=1)
    assert listed(run)["Ada (demonstration)"] == (["qc"], True, 2)
    assert "2 sessions ended" in run("revoke", "Ada", "--sessions-only").out
    assert listed(run)["Ada (demonstration)"] == (["qc"], True, 0)
    assert "access closed" in run("revoke", "Ada", "--because", "left").out
    assert "access closed" in run("list").out
    assert "access open again" in run("revoke", "Ada", "--restore").out
    assert listed(run)["Ada (demonstration)"] == (["qc"], True, 0)
    assert verify_log(settings).ok


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("role", "Nobody", "lead"), "Nobody is named 'Nobody'"),
        (("revoke", "Lea"), "is the last lead"),
        (("role", "Lea", "viewer"), "is the last lead"),
        (("revoke", "Lea", "--restore", "--sessions-only"), "either"),
        (("add", "lea"), "Somebody is named"),
        (("add", "system"), "cannot be a person's name"),
        (("add", "Ben", "--issuer", ISSUER), "e-mail address or the subject"),
        (("add", "Ben", "--issuer", ISSUER, "--email", "ben"), "not an e-mail address"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run, arguments: tuple[str, ...], words: str):
    assert run("add", "Lea", "--role", "lead").code == 0
    before = listed(run)
    done = run(*arguments)
    assert words in done.refusal(code=done.code)
    assert done.code != 0
    assert listed(run) == before


def test_the_issuer_is_the_configured_one(settings: Settings, run):
    settings.home.mkdir()
    (settings.home / "auth.toml").write_text(
        f'[auth]\nclient_id = "a"\nclient_secret = "b"\nredirect_uri = "https://lab.example/oauth2callback"\n'
        f'server_metadata_url = "{ISSUER}/.well-known/openid-configuration"\n'
    )
    assert run("add", "Lea", "--role", "lead", "--subject", "lea-1").code == 0
    (lea,) = people.list_people(settings, actor="Lea")
    assert (lea.issuer, lea.subject) == (ISSUER, "lea-1")
