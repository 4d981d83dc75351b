"""The real server: cold deep links meet the gate, small answers are quick, and a browser talks to this machine only."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from browser_kit import host_of
from playwright.sync_api import Browser, Page, sync_playwright

from core.services.cases.review import open_case
from core.services.cases.worklist import case_detail
from core.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
ADA = "Ada Reader (demonstration)"
WAIT_MS = 30_000


@dataclass(frozen=True)
class Server:
    """A running dashboard."""

    url: str
    settings: Settings
    log: Path


@pytest.fixture
def server(home: Settings, tmp_path: Path) -> Iterator[Server]:
    """The dashboard as users start it, without its worker, on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "server.log"
    environment = os.environ | {"SECOND_READ_HOME": str(home.home), "SECOND_READ_WORKER": "none"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=PROJECT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, process, log)
        yield Server(url, home, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/api/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the server does not answer:\n{log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Skipped where there is none, unless CI says that there must be one.

    For one module only: as long as Playwright runs, its event loop stands in the way of every other test's.
    """
    path = os.environ.get("SECOND_READ_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        reason = "no Chromium on this machine (set SECOND_READ_CHROMIUM)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh tab that must not ask any other host for anything."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    hosts: set[str] = set()
    context.on("request", lambda request: hosts.add(host_of(request.url)))
    tab = context.new_page()
    tab.set_default_timeout(WAIT_MS)
    yield tab
    context.close()
    assert hosts == {"127.0.0.1"}


def sign_in(page: Page, *, role: str = "Pathologist") -> None:
    page.get_by_label("Your name").fill("Ada Reader")
    page.get_by_text(role, exact=True).click()
    page.get_by_role("button", name="Sign in").click()


def test_a_cold_deep_link_meets_the_gate_and_then_its_page(server, page):
    """The very first request of a fresh server: the old multipage mode would run the page without the gate."""
    page.goto(f"{server.url}/case?case=MISSED")
    page.get_by_label("Your name").wait_for()
    assert page.get_by_text("Case MISSED").count() == 0
    assert page.get_by_text("Model higher").count() == 0

    sign_in(page)
    page.get_by_role("heading", name="Case MISSED").wait_for()
    page.reload()
    page.get_by_role("heading", name="Case MISSED").wait_for()
    second = page.context.new_page()
    second.goto(f"{server.url}/about")
    second.get_by_role("heading", name="About Second Read").wait_for(timeout=WAIT_MS)

    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_label("Your name").wait_for()
    second.reload()
    second.get_by_label("Your name").wait_for(timeout=WAIT_MS)
    for sign in ("Traceback", "Warning", "deprecat"):
        assert sign not in server.log.read_text()


def test_reading_a_case_in_the_browser(server, page):
    page.goto(f"{server.url}/")
    sign_in(page)
    page.get_by_role("heading", name="Worklist").wait_for()
    table = page.get_by_test_id("stDataFrame")
    table.wait_for()
    page.wait_for_timeout(1500)
    table.click(position={"x": 110, "y": 60})
    page.get_by_role("heading", name="Case MISSED").wait_for()
    assert page.url.endswith("/case?case=MISSED")
    assert page.get_by_test_id("stPlotlyChart").count() == 0

    page.get_by_role("radio", name="Benign").click()
    page.get_by_role("button", name="Record diagnosis").click()
    page.get_by_text("Diagnosis recorded and locked.").wait_for()
    page.get_by_role("tab", name="Flags (1)").wait_for()
    page.get_by_role("radio", name="Overview").click()
    page.locator(".heatmaplayer image").first.wait_for()
    assert open_case(server.settings, "MISSED", actor=ADA)
    page.reload()
    page.get_by_role("tab", name="Flags (1)").wait_for()
    assert [read.reader for read in case_detail(server.settings, "MISSED").diagnoses] == ["Another Reader", ADA]


def test_small_answers_are_quick_on_one_connection(server):
    """44 ms each was measured where Nagle's algorithm stays on (see core/server/latency.py)."""
    with httpx.Client(base_url=server.url) as client:
        client.get("/api/health")
        seconds = []
        for _ in range(20):
            started = time.perf_counter()
            assert client.get("/api/health").status_code == 200
            seconds.append(time.perf_counter() - started)
    assert statistics.mean(seconds) < 0.020


def test_other_hosts_names_are_refused_by_the_real_server(server):
    assert httpx.get(f"{server.url}/", headers={"Host": "evil.example"}).status_code == 400
    assert httpx.get(f"{server.url}/", headers={"Host": "localhost"}).status_code == 200
