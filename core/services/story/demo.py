"""The demonstration cohort: phantom slides written, added, read and analysed by the same code as real ones."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from core.domain import ReadCategory
from core.errors import InputError, StorageError
from core.phantom.cohort import write_cohort
from core.roles import COMMAND_LINE_MARK, Role
from core.services import catalogue
from core.services.cases import review, worklist
from core.services.people import people
from core.services.story.start import keep_start
from core.settings import Settings

ACTOR = f"demonstration{COMMAND_LINE_MARK}"

MODEL = "idc_resnet18"
"""Of the shipped breast models the one that parts the drawn tumours from drawn tissue best; the default is made for
real patients and, on phantoms, less clear. The cohort's story is told with this one."""

StepProgress = Callable[[str, int, int], None]
"""Called with (step in words, done, in all)."""


def prepare_demo(settings: Settings, *, seed: int, progress: StepProgress) -> None:
    """Bring the demonstration home to its starting state; what is there already stays, whatever users did with it.

    Raises:
        StorageError: the home folder cannot be written.
    """
    manifest = write_phantoms(
        settings.home / "phantoms",
        seed=seed,
        cases=None,
        progress=lambda done, total, _name: progress("Generating slides", done, total),
    )
    load_cohort(settings, manifest, progress=progress)
    keep_start(settings)


def load_cohort(settings: Settings, manifest: Path, *, progress: StepProgress) -> None:
    """Add a written cohort, record its seeded diagnoses and analyse the slides that have no result yet.

    Raises:
        InputError: the manifest, or the diagnoses.csv beside it, cannot be used.
        StorageError: the home folder cannot be written.
    """
    slide_ids = catalogue.add_manifest(settings, manifest, actor=ACTOR).slide_ids
    _record_diagnoses(settings, manifest.with_name("diagnoses.csv"))
    missing = [slide_id for slide_id in slide_ids if catalogue.get_slide(settings, slide_id).run_id is None]
    if missing:
        _analyse(settings, missing, progress=progress)


def _analyse(settings: Settings, slide_ids: Sequence[str], *, progress: StepProgress) -> None:
    # Imported late: it brings torch, for which a demonstration that is there already need not wait.
    from core.services.analysis.analyse import analyse_and_record

    for done, slide_id in enumerate(slide_ids, start=1):
        analyse_and_record(settings, slide_id, model_name=MODEL, actor=ACTOR)
        progress("Analysing slides", done, len(slide_ids))


def write_phantoms(
    out: Path, *, seed: int, cases: int | None, progress: Callable[[int, int, str], None] | None = None
) -> Path:
    """Write a cohort of phantoms and return its manifest; see `core.phantom.cohort.write_cohort`.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        return write_cohort(out, seed=seed, cases=cases, progress=progress)
    except OSError as err:
        raise StorageError(
            f"The phantoms cannot be written to {out} ({err.strerror or err}). "
            "Free some space or choose another folder."
        ) from err


def _record_diagnoses(settings: Settings, path: Path) -> None:
    """Record the seeded first diagnoses of cases that nobody has read yet."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if worklist.case_detail(settings, row["case"]).diagnoses:
                continue
            try:
                category = ReadCategory(row["category"])
            except ValueError as err:
                raise InputError(f"{path}: {row['category']!r} is no category of diagnosis.") from err
            reader = people.ensure_demonstration(settings, row["reader"], roles={Role.PATHOLOGIST}, actor=ACTOR)
            review.record_diagnosis(
                settings,
                row["case"],
                category=category,
                grade=None,
                text=row["note"],
                confidence=int(row["confidence"]) if row["confidence"] else None,
                actor=reader.log_name,
            )
