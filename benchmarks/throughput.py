"""Tiles per second: reading alone, network alone, and the whole process from start to saved predictions.

    python benchmarks/throughput.py [--sizes 10240,20480,40960] [--json]

Builds slides from the real CMU region (see mosaic.py) at 0.25 um/px and runs resnet18 with random weights on them, with
224 px tiles at 0.5 um/px and with the IDC model's setting (200 um at 4 um/px). Every tile is kept, whatever its tissue.
On a machine that does other work at the same time, compare the CPU time per tile, not the tiles per second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))  # runs from a clone that is not installed

import numpy as np  # noqa: E402
import torch  # noqa: E402
from mosaic import MPP, write_mosaic  # noqa: E402
from whole_run import SETTINGS, random_model  # noqa: E402

from core.domain import Mpp, MppSource, Size  # noqa: E402
from core.slides.openslide_reader import OpenSlideReader  # noqa: E402
from core.tiles import TileGrid, tile_grid  # noqa: E402

SAMPLE_TILES = 1000
"""Tiles after which reading alone and the network alone are known well enough."""
BATCH = 32


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the table."""

    part: str
    setting: str
    side_px: int
    tiles: int
    tiles_per_s: float
    cpu_ms_per_tile: float
    peak_rss_mb: float | None = None


def main() -> None:
    options = _options()
    with _folder(options.cache) as folder:
        found: list[Measurement] = []
        for side in (int(text) for text in options.sizes.split(",")):
            slide = write_mosaic(options.slide, folder / f"mosaic-{side}.svs", side_px=side)
            for setting in SETTINGS:
                if side <= options.parts_up_to:
                    found += [_reading(slide, setting, side, fast=fast) for fast in (True, False)]
                    found.append(_network(setting, side))
                found.append(_whole(slide, setting, side, folder=folder))
                print(f"measured {setting} on {side} px", file=sys.stderr)
    if options.json:
        print(json.dumps({"machine": machine(), "measurements": [asdict(row) for row in found]}))
    else:
        print(table(found))


def table(rows: list[Measurement]) -> str:
    """The measurements as a markdown table, the machine named below it."""
    lines = [
        "| part | setting | slide | tiles | tiles/s | CPU ms/tile | peak memory |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        memory = "" if row.peak_rss_mb is None else f"{row.peak_rss_mb:,.0f} MB"
        lines.append(
            f"| {row.part} | {row.setting} | {row.side_px:,} px | {row.tiles:,} | {row.tiles_per_s:.1f} "
            f"| {row.cpu_ms_per_tile:.1f} | {memory} |"
        )
    return "\n".join([*lines, "", machine()])


def machine() -> str:
    """Processor, cores, number format and versions, in one line."""
    model, _ = random_model("idc")
    return f"{_processor()}, {os.cpu_count()} cores; {model.device} a call; torch {torch.__version__}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _reading(slide: Path, setting: str, side: int, *, fast: bool) -> Measurement:
    _, spec = random_model(setting)
    with OpenSlideReader(slide, fast=fast) as reader:
        grid = _sample(tile_grid(Size(side, side), Mpp(MPP, MPP, MppSource.USER), spec=spec, mask=None))
        out = Size(grid.size_px, grid.size_px)

        def read(start: int) -> None:
            for index in range(start, min(start + BATCH, len(grid))):
                reader.read(grid.region(index), out)

        name = "reading, raw JPEG tiles" if fast else "reading, OpenSlide"
        return _timed(name, setting, side, len(grid), lambda: _on_threads(read, range(0, len(grid), BATCH), threads=2))


def _network(setting: str, side: int) -> Measurement:
    model, spec = random_model(setting)
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, spec.size_px, spec.size_px, 3), np.uint8)
    model.predict(batch)
    calls = SAMPLE_TILES // BATCH
    return _timed(
        "network",
        setting,
        side,
        calls * BATCH,
        lambda: _on_threads(lambda _: model.predict(batch), range(calls), threads=model.parallel_calls),
    )


def _whole(slide: Path, setting: str, side: int, *, folder: Path) -> Measurement:
    command = [sys.executable, str(PROJECT / "benchmarks/whole_run.py"), str(slide), setting, str(folder / "out.npz")]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - started
    report = json.loads(done.stdout)
    tiles = report["tiles"]
    return Measurement(
        "whole process, start to saved predictions",
        setting,
        side,
        tiles,
        tiles_per_s=tiles / seconds,
        cpu_ms_per_tile=report["cpu_s"] / tiles * 1e3,
        peak_rss_mb=report["peak_rss_mb"],
    )


def _timed(part: str, setting: str, side: int, tiles: int, work: Callable[[], None]) -> Measurement:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measurement(part, setting, side, tiles, tiles_per_s=tiles / wall, cpu_ms_per_tile=cpu / tiles * 1e3)


def _on_threads(work: Callable[[int], object], items: range, *, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, items))


def _sample(grid: TileGrid) -> TileGrid:
    return TileGrid(
        grid.xy_level0[:SAMPLE_TILES],
        size_level0=grid.size_level0,
        spec=grid.spec,
        size_px=grid.size_px,
        total=grid.total,
        dropped=grid.dropped,
    )


@contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        yield cache
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def _options() -> argparse.Namespace:
    data = Path(os.environ.get("SECOND_READ_TEST_DATA", PROJECT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10240,20480,40960", help="sides of the slides in px, multiples of 1,024")
    parser.add_argument("--slide", type=Path, default=data / "slides/CMU-1-Small-Region.svs", help="the real region")
    parser.add_argument("--cache", type=Path, help="keep the slides here; by default they are deleted")
    parser.add_argument(
        "--parts-up-to", type=int, default=20_480, help="largest slide on which parts are measured alone"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
