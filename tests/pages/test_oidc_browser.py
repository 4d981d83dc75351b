"""Signing in at a provider, all the way: button, redirect, token, claims, roles, sign-out. The provider is our own."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from browser_kit import PROJECT, Server, chromium, eventually, missing, need_library, served
from people_kit import CLERK
from playwright.sync_api import Page, expect

from core.roles import Role
from core.services.people import people
from core.settings import Settings

CLAIMS = {"sub": "ada-1", "name": "Ada Lovelace", "email": "ada@x.org", "email_verified": True}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def claims_file(tmp_path: Path) -> Path:
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(CLAIMS))
    return path


@pytest.fixture
def provider(claims_file: Path) -> Iterator[str]:
    """Address of a provider that vouches for whoever the claims file names."""
    if importlib.util.find_spec("authlib") is None:
        missing("Authlib is not installed: pip install 'streamlit[auth]'")
    port = free_port()
    command = [sys.executable, str(PROJECT / "tests" / "pages" / "oidc_provider.py"), str(port), str(claims_file)]
    process = subprocess.Popen(command, cwd=PROJECT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                urlopen(f"{address}/keys", timeout=2)  # noqa: S310 - our own server
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture
def server(settings: Settings, provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    need_library()
    settings.home.mkdir(parents=True)
    (settings.home / "auth.toml").write_text(
        f'[auth]\nclient_id = "second-read"\nserver_metadata_url = "{provider}/.well-known/openid-configuration"\n'
        'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
        '[roles]\nclaim = "groups"\nqc = ["lab"]\n[people]\nask = "Dr. B. Lead"\n'
    )
    monkeypatch.setenv("SECOND_READ_OIDC_CLIENT_SECRET", "a-secret-of-the-client")
    with served("app.py", settings, {}, log=tmp_path / "server.log") as found:
        yield found


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{server.url}/about")
        yield page


def sign_in(page: Page) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name="Sign in").click()


def test_from_the_button_to_a_role_and_out_again(server: Server, page: Page, claims_file: Path) -> None:
    settings = server.settings
    expect(page.get_by_text("Demonstration sign-in")).to_have_count(0)
    page.request.get(f"{server.url}/demo/login?name=Eve&role=lead")
    assert not [cookie for cookie in page.context.cookies() if cookie["name"].startswith("_streamlit_user")]
    assert people.list_people(settings, actor=CLERK) == ()
    sign_in(page)
    expect(page.get_by_text("No access yet, Ada Lovelace")).to_be_visible()
    expect(page.get_by_text("Ask Dr. B. Lead")).to_be_visible()
    (ada,) = people.list_people(settings, actor=CLERK)
    assert (ada.log_name, ada.subject, ada.email, ada.roles) == ("Ada Lovelace", "ada-1", "ada@x.org", frozenset())

    people.change_roles(settings, ada.person_id, [Role.VIEWER], actor=CLERK)
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_test_id("stSidebar")).to_contain_text("Ada Lovelace")
    expect(page.get_by_test_id("stSidebar")).to_contain_text("Viewer")

    cookie = next(one for one in page.context.cookies() if one["name"] == "_streamlit_user")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_test_id("stMain").get_by_role("button", name="Sign in")).to_be_visible()
    page.context.add_cookies([cookie])  # as somebody who kept the old one would
    page.goto(f"{server.url}/case?case=A+B")  # a link in a mail, say
    expect(page.get_by_text("Your session was ended")).to_be_visible()

    claims_file.write_text(json.dumps({**CLAIMS, "sub": "ben-2", "name": "Ada Lovelace", "groups": ["lab"]}))
    sign_in(page)
    expect(page.get_by_test_id("stSidebar")).to_contain_text("Ada Lovelace 2")
    expect(page).to_have_url(re.compile(r"/case\?case=A%20B$|/case\?case=A\+B$"))
    eventually(lambda: len(people.list_people(settings, actor=CLERK)) == 2)
    second = people.list_people(settings, actor=CLERK)[1]
    assert (second.log_name, second.roles) == ("Ada Lovelace 2", {Role.QC})
