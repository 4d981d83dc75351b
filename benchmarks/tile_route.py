"""How fast slides reach the screen: the tile route alone and while a job runs, and the first view in Chromium.

Run from the project's root: `python -m benchmarks.tile_route [--source CMU-1-Small-Region.svs] [--no-browser]`.
The slide is a 20,480 px mosaic of the real region. The server runs in a process of its own, as in use; so does the job.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import numpy as np

from benchmarks.mosaic import write_mosaic
from core.domain import Stain
from core.server.identity import DEMONSTRATION_ISSUER, Role
from core.server.secret import cookie_secret
from core.server.sign_in import COOKIE_NAME, demonstration_claims, sign_in_cookie
from core.server.tile_tokens import grant, sign
from core.services.catalogue import SlideRequest, add_slides
from core.settings import Settings
from core.slides.deepzoom import Pyramid
from core.slides.raw_tiles import open_deep_zoom

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = PROJECT.parent / "shared" / "data" / "slides" / "CMU-1-Small-Region.svs"
SIDE_PX = 20_480
CONNECTIONS = 4
REQUESTS = 2_000
RENDERED_REQUESTS = 800
CASE = "CASE-7"
"""The case that tests/pages/viewer_page.py shows."""


@dataclass(frozen=True, slots=True)
class Target:
    """The running server and one slide on it."""

    port: int
    slide_id: str
    version: str
    headers: str
    pyramid: Pyramid


@contextmanager
def serving(settings: Settings) -> Iterator[int]:
    """Run the viewer's server in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = os.pathsep.join((str(PROJECT), str(PROJECT / "tests" / "pages")))
    environment = os.environ | {"SECOND_READ_HOME": str(settings.home), "PYTHONPATH": path}
    command = [sys.executable, "-m", "streamlit", "run", "tests/pages/viewer_app.py", "--server.port", str(port)]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urlopen(f"http://127.0.0.1:{port}/viewer/ping", timeout=2)
                break
            except OSError:
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(20)


JOB = """
import itertools, sys
from pathlib import Path
from core.domain import Stain
from core.services.analysis.analyse import analyse_slide
from core.services.catalogue import SlideRequest, add_slides
from core.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
request = SlideRequest(Path(sys.argv[2]), None, None, Stain.HE, None, None)
(slide_id,) = add_slides(settings, [request], actor="benchmark (command line)").slide_ids
for number in itertools.count():
    analyse_slide(settings, slide_id, run_id=f"run-{number}")
"""
"""One analysis after the other: reading, network, quality, as the worker does them."""


@contextmanager
def job_running(home: Path, slide: Path) -> Iterator[None]:
    """Analyse the slide over and over in another process for as long as the block runs."""
    process = subprocess.Popen([sys.executable, "-c", JOB, str(home), str(slide)], cwd=PROJECT)
    try:
        while not (home / "results").is_dir() and process.poll() is None:
            time.sleep(0.5)  # importing and loading the model
        assert process.poll() is None, "the job ended early"
        yield
        assert process.poll() is None, "the job ended before the measurement did"
    finally:
        process.kill()
        process.wait(20)


def addresses(target: Target, *, level: int, count: int) -> list[str]:
    """Random interior tiles of one level."""
    grid = target.pyramid.grid(level)
    rng = random.Random(1)  # noqa: S311 - a fixed sequence of places, nothing secret
    places = [(rng.randrange(max(1, grid.width - 1)), rng.randrange(max(1, grid.height - 1))) for _ in range(count)]
    base = f"/viewer/slides/{target.slide_id}/{target.version}/tiles/{level}"
    return [f"{base}/{column}_{row}.jpg" for column, row in places]


async def ask(target: Target, paths: list[str]) -> tuple[list[float], set[str], int]:
    """Get every path over `CONNECTIONS` kept-open connections; returns seconds each, ways taken, bytes."""
    waiting, seconds, ways, total = iter(paths), [], set[str](), 0

    async def connection() -> None:
        nonlocal total
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        for path in waiting:
            started = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{target.headers}\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = await reader.readexactly(int(fields["content-length"]))
            seconds.append(time.perf_counter() - started)
            assert head.startswith("http/1.1 200"), (head, body[:200])
            ways.add(fields["x-tile"])
            total += len(body)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return seconds, ways, total


def measure(name: str, target: Target, *, level: int, count: int) -> None:
    """Print one line of the table."""
    paths = addresses(target, level=level, count=count)
    asyncio.run(ask(target, paths[:50]))
    started = time.perf_counter()
    seconds, ways, total = asyncio.run(ask(target, paths))
    wall = time.perf_counter() - started
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    print(
        f"| {name} | {'/'.join(sorted(ways))} | {count / wall:,.0f} | {p50:.1f} | {p99:.1f} | "
        f"{total / count / 1024:.0f} |",
        flush=True,
    )


def first_view(target: Target) -> None:
    """Print how long Chromium needs from asking for the slide to a complete first view."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        login = (
            f"http://127.0.0.1:{target.port}/demo/login?name=Ada&role=pathologist&next=/%3Fslide%3D{target.slide_id}"
        )
        taken = []
        for _ in range(4):
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            page = context.new_page()
            marks: dict[str, float] = {}
            page.on(
                "request",
                lambda request, marks=marks: (
                    request.url.endswith("/info") and marks.setdefault("info", time.monotonic())
                ),
            )
            opened = time.monotonic()
            page.goto(login)
            page.wait_for_selector(".sr-viewer[data-ready='true']", timeout=60_000)
            done = time.monotonic()
            taken.append((done - marks["info"], done - opened))
            context.close()
        browser.close()
    slide = sorted(one for one, _ in taken)
    page_s = sorted(two for _, two in taken)
    print("First full view in Chromium, 1400 x 900, empty cache:")
    print(f"  {slide[0]:.2f} to {slide[-1]:.2f} s from the first question about the slide")
    print(f"  {page_s[0]:.2f} to {page_s[-1]:.2f} s from opening the page, with sign-in, Streamlit and all scripts")


def prepare(settings: Settings, slide: Path) -> tuple[str, Target]:
    """Add the slide and return its id and, but for the port, what to ask for."""
    request = SlideRequest(slide, CASE, None, Stain.HE, None, None)
    slide_id = add_slides(settings, [request], actor="benchmark (command line)").slide_ids[0]
    secret = cookie_secret(settings)
    cookie = sign_in_cookie(
        secret, demonstration_claims(settings, "Ada", role=Role.PATHOLOGIST), origin="http://127.0.0.1"
    )
    token = sign(secret, grant(slide_id, user=f"{DEMONSTRATION_ISSUER}|ada", model=False, lifetime_s=3600))
    headers = f"Authorization: Bearer {token}\r\nCookie: {COOKIE_NAME}={cookie}\r\n"
    opened = open_deep_zoom(slide)
    pyramid = opened.pyramid
    opened.close()
    return slide_id, Target(0, slide_id, "", headers, pyramid)


def version_of(port: int, target: Target) -> str:
    """Ask the server for the version of the slide's file."""
    import json
    from urllib.request import Request

    fields = dict(line.split(": ", 1) for line in target.headers.strip().split("\r\n"))
    request = Request(f"http://127.0.0.1:{port}/viewer/slides/{target.slide_id}/info", headers=fields)
    with urlopen(request) as answer:  # noqa: S310 - our own server
        return str(json.load(answer)["version"])


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--work", type=Path, help="folder that keeps the mosaic for the next run")
    parser.add_argument("--no-browser", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        slide = write_mosaic(arguments.source, work / f"mosaic-{SIDE_PX}.svs", side_px=SIDE_PX)
        settings = Settings(home=Path(scratch) / "home")
        _, plan = prepare(settings, slide)
        finest = len(plan.pyramid.levels) - 1
        with serving(settings) as port:
            target = Target(port, plan.slide_id, version_of(port, plan), plan.headers, plan.pyramid)
            print(f"{SIDE_PX:,} px slide, tiles of {plan.pyramid.tile_px.width} px, {CONNECTIONS} connections")
            print("| tiles | way | requests/s | p50 ms | p99 ms | KiB |\n|---|---|---|---|---|---|")
            measure("full resolution", target, level=finest, count=REQUESTS)
            measure("half resolution", target, level=finest - 1, count=RENDERED_REQUESTS)
            with job_running(Path(scratch) / "job-home", slide):
                measure("full resolution, job running", target, level=finest, count=REQUESTS)
                measure("half resolution, job running", target, level=finest - 1, count=RENDERED_REQUESTS)
            if not arguments.no_browser:
                first_view(target)


if __name__ == "__main__":
    main()
