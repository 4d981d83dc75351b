"""A home with one analysed case that nobody has read, and people of a department, for second opinions in a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from people_kit import CLERK
from viewer_kit import run_of, slide_image, tile_table, write_slide

from core.domain import Stain
from core.roles import Role
from core.services.analysis.run_files import RunFolder
from core.services.catalogue import SlideRequest, add_slides
from core.services.people.people import ensure_demonstration
from core.services.rules.flagging import refresh_flags
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.results import save_run

WIDTH, HEIGHT, MPP = 1200, 900, 0.5
SCORE = 0.8731
"""Of the model on every case, so that it can be looked for in what a browser receives."""
PEOPLE = {
    "Annika Firstreader": Role.PATHOLOGIST,
    "Cleo Consultant": Role.CONSULTANT,
    "Dan Decider": Role.CONSULTANT,
    "Vera Visitor": Role.VIEWER,
}


def make_case(settings: Settings, folder: Path, case_id: str) -> None:
    """Add a case with one slide and a result of the model, which calls cancer."""
    folder.mkdir(parents=True, exist_ok=True)
    slide_id = f"slide-{case_id}"
    path = write_slide(folder / f"{slide_id}.tif", slide_image(WIDTH, HEIGHT, stain="ihc"), mpp=MPP, levels=2)
    add_slides(settings, [SlideRequest(path, case_id, None, Stain.HE, "Breast", None)], actor=CLERK)
    scores = {"no_idc": 1 - SCORE, "idc": SCORE}
    run = replace(run_of(slide_id, WIDTH, HEIGHT, mpp=MPP), scores={"top_k_mean": scores}, decision_score=SCORE)
    RunFolder.of(settings, slide_id, run.run_id).write_tiles(tile_table(WIDTH, HEIGHT))
    with open_log(settings) as database, writing(database):
        save_run(database, run)
    refresh_flags(settings, case_id, actor=CLERK)


def department(settings: Settings) -> None:
    """Let everybody of the story be known, so that they can be asked."""
    for name, role in PEOPLE.items():
        ensure_demonstration(settings, name, roles=[role], actor=CLERK)
