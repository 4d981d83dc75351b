"""Writing a cohort to a folder: slides in parallel, truth beside them, manifest.csv and diagnoses.csv."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]  (it ships none)

from core.phantom import write_phantom
from core.phantom.cases import DEMO_COHORT, DEMO_SEED, DemoCase, DemoSlide, demo_cohort
from core.phantom.random_cases import random_cohort
from core.phantom.spec import PhantomSpec

__all__ = ["DEMO_COHORT", "DEMO_SEED", "DemoCase", "DemoSlide", "cohort", "write_cases", "write_cohort"]

Progress = Callable[[int, int, str], None]
"""Called with (slides done, slides in all, file name)."""

MANIFEST_COLUMNS = ("path", "case", "mpp", "stain", "site", "scanner")
DIAGNOSIS_COLUMNS = ("case", "reader", "category", "confidence", "note")
_DAMAGED_BYTES = 60_000


def write_cohort(
    out: Path,
    *,
    seed: int = DEMO_SEED,
    cases: int | None = None,
    progress: Progress | None = None,
    processes: int = 2,
) -> Path:
    """Write a cohort's slides, their truth, manifest.csv and diagnoses.csv; slides that are there already stay.

    Args:
        out: Folder; made if it is missing.
        seed: Of the whole cohort.
        cases: Number of random cases; None writes the demonstration's story.
        progress: Called after each slide.
        processes: Worker processes; 1 renders in this process.

    Returns:
        Path of manifest.csv.

    Raises:
        OSError: the folder cannot be written.
    """
    return write_cases(out, cohort(cases, seed=seed), progress=progress, processes=processes)


def write_cases(out: Path, cases: Sequence[DemoCase], *, progress: Progress | None = None, processes: int = 2) -> Path:
    """Write the given cases as `write_cohort` does, and return the path of manifest.csv.

    Raises:
        OSError: the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    slides = [slide for case in cases for slide in case.slides]
    _write_slides(out, slides, progress=progress, processes=processes)
    _write_diagnoses(out / "diagnoses.csv", cases)
    return _write_manifest(out / "manifest.csv", cases)


def cohort(cases: int | None = None, *, seed: int = DEMO_SEED) -> tuple[DemoCase, ...]:
    """Return the cases that `write_cohort` writes: `cases` random ones, or the demonstration if None."""
    if cases is not None:
        return random_cohort(cases, seed=seed)
    return DEMO_COHORT if seed == DEMO_SEED else demo_cohort(seed)


def _write_slides(out: Path, slides: Sequence[DemoSlide], *, progress: Progress | None, processes: int) -> None:
    missing = [slide for slide in slides if not is_current(out / slide.file_name, slide.spec)]
    done = 0

    def report(slide: DemoSlide) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(slides), slide.file_name)

    for slide in slides:
        if slide not in missing:
            report(slide)
    # Large slides first: the last one to finish decides how long it takes.
    missing.sort(key=lambda slide: -(slide.spec.size_px.width * slide.spec.size_px.height if slide.spec else 0))
    if processes <= 1 or len(missing) <= 1:
        for slide in missing:
            write_slide(out / slide.file_name, slide.spec)
            report(slide)
        return
    with ProcessPoolExecutor(min(processes, len(missing)), mp_context=get_context("spawn")) as pool:
        running: dict[Future[None], DemoSlide] = {
            pool.submit(write_slide, out / slide.file_name, slide.spec): slide for slide in missing
        }
        for future in as_completed(running):
            future.result()
            report(running[future])


def is_current(path: Path, spec: PhantomSpec | None) -> bool:
    """Return whether the slide was written from this very spec (by the hash in the sidecar)."""
    try:
        sidecar = json.loads(_sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        path.is_file()
        and sidecar.get("spec_sha256") == _hash(path, spec)
        and sidecar.get("bytes") == path.stat().st_size
    )


def write_slide(path: Path, spec: PhantomSpec | None) -> None:
    """Write one slide of a cohort and its sidecar; None writes a damaged file. Runs in a worker process."""
    if spec is None:
        path.write_bytes(damaged_file(path.name))
    else:
        # Written under a hidden name first: a run that is stopped leaves no half slide that looks whole.
        partial = path.with_name(f".{path.name}")
        with threadpool_limits(1):  # one process a core; threads below would only fight over it
            write_phantom(spec, partial)
        partial.with_suffix(".geojson").replace(path.with_suffix(".geojson"))
        os.replace(partial, path)
    record = {"spec_sha256": _hash(path, spec), "bytes": path.stat().st_size}
    _sidecar(path).write_text(json.dumps(record), encoding="utf-8")


def damaged_file(name: str) -> bytes:
    """Return the bytes of a TIFF that was cut off: its directory lies behind the end. Depends on the name only."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    body = np.random.default_rng(seed).integers(0, 256, _DAMAGED_BYTES, dtype=np.uint8).tobytes()
    return b"II*\x00" + (40 * _DAMAGED_BYTES).to_bytes(4, "little") + body


def _hash(path: Path, spec: PhantomSpec | None) -> str:
    return spec.hash if spec is not None else hashlib.sha256(damaged_file(path.name)).hexdigest()


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _write_manifest(path: Path, cases: Sequence[DemoCase]) -> Path:
    rows = [
        (slide.file_name, case.case_id, _manifest_mpp(slide.spec), slide.stain.value, case.site, case.scanner)
        for case in cases
        for slide in case.slides
    ]
    _write_csv(path, MANIFEST_COLUMNS, rows)
    return path


def _manifest_mpp(spec: PhantomSpec | None) -> str:
    """Return the scale for slides whose file leaves it out, else nothing: the file's own value counts."""
    return "" if spec is None or spec.write_mpp else f"{spec.mpp:g}"


def _write_diagnoses(path: Path, cases: Sequence[DemoCase]) -> None:
    rows = [
        (case.case_id, case.reader, case.diagnosis.value, str(case.confidence), case.note)
        for case in cases
        if case.diagnosis is not None
    ]
    _write_csv(path, DIAGNOSIS_COLUMNS, rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
