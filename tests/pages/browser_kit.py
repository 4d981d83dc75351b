"""A dashboard in a process of its own and a real browser in front of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from core.settings import Settings
from core.setup_assets import is_installed

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
READY = ".sr-viewer[data-ready='true']"


@dataclass(frozen=True)
class Server:
    """A running dashboard."""

    url: str
    settings: Settings
    slides: dict[str, Path]


def missing(reason: str) -> None:
    """Skip where a tool is absent; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def need_library() -> None:
    if not is_installed():
        missing("OpenSeadragon is not installed: run python -m core.setup_assets")


@contextmanager
def served(script: str, settings: Settings, slides: dict[str, Path], *, log: Path) -> Iterator[Server]:
    """Serve a script of this project for as long as the block lasts; it starts no worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = os.pathsep.join(str(PROJECT / part) for part in (".", "tests", "tests/pages"))
    names = {"SECOND_READ_HOME": str(settings.home), "SECOND_READ_WORKER": "none", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | names, stdout=file, stderr=file)
        try:
            _wait_for(f"http://127.0.0.1:{port}/viewer/ping", process)
            yield Server(f"http://127.0.0.1:{port}", settings, slides)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=2):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the server did not start")


@contextmanager
def chromium() -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        missing("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        browser.close()


def host_of(url: str) -> str:
    """The host an address leads to; the page's own memory (blob:) counts as the host that filled it."""
    if url.startswith("data:"):
        return "127.0.0.1"
    return urlsplit(url.removeprefix("blob:")).hostname or url


@dataclass
class Visits:
    """Pages opened in fresh browser profiles, and which hosts they contacted."""

    browser: Browser
    server: Server
    contexts: list[BrowserContext] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str, *, role: str = "pathologist", name: str = "Ada", ready: bool = True) -> Page:
        """Sign in and open a page; with `ready`, wait until its slide is painted."""
        context = self.browser.new_context(viewport={"width": 1400, "height": 1000})
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("request", lambda request: self.hosts.add(host_of(request.url)))
        page.on("websocket", lambda websocket: self.hosts.add(host_of(websocket.url)))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{self.server.url}/demo/login?name={quote(name)}&role={role}&next={quote(path)}")
        if ready:
            page.wait_for_selector(READY)
        return page


@contextmanager
def visits(browser: Browser, server: Server) -> Iterator[Visits]:
    """Open pages; at the end only this machine was contacted, and no script failed."""
    found = Visits(browser, server)
    yield found
    for context in found.contexts:
        context.close()
    assert found.hosts <= {"127.0.0.1"}, "nothing is loaded from another host"
    assert not found.errors


def stage(page: Page) -> dict[str, float]:
    box = page.locator(".stage").first.bounding_box()
    assert box
    return box


def pixel(canvas: Locator, at: tuple[float, float]) -> list[int]:
    """RGBA of a canvas at a position of the page."""
    box = canvas.bounding_box()
    assert box
    place = [round(at[0] - box["x"]), round(at[1] - box["y"])]
    read = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data]"
    return canvas.evaluate(read, place)


def slide_canvas(page: Page) -> Locator:
    return page.locator(".stage .openseadragon-canvas > canvas, .stage .openseadragon-canvas canvas").first


def settle(page: Page) -> None:
    """Wait until the slide stands still and everything is loaded."""
    page.wait_for_timeout(700)
    page.wait_for_selector(READY)


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until something is so, at most ten seconds; the caller then asserts it."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def view_of(pane: Locator) -> tuple[float, float, float]:
    """Centre in level-0 px and zoom of a pane, as it stands."""
    x, y, zoom = (float(pane.get_attribute(f"data-{name}") or 0) for name in ("x", "y", "zoom"))
    return x, y, zoom


def centre_um(pane: Locator, mpp: float) -> np.ndarray:
    return np.array(view_of(pane)[:2]) * mpp
