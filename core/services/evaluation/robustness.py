"""How far a model's calls depend on what should not matter: asking for the check, and summing it up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.aggregation import DEFAULT_AGGREGATION
from core.domain import JobKind, SlideStatus
from core.errors import InputError
from core.evaluation.perturbation import PERTURBATION_VERSION, PERTURBATIONS, Family
from core.roles import Permission
from core.services.analysis.deciding import rule_score
from core.services.evaluation.cohort import visible_slides
from core.services.evaluation.robustness_files import UNCHANGED, RobustnessFile, read_robustness, robustness_path
from core.services.evaluation.values import Cohort
from core.services.people.authority import require
from core.services.queue import jobs
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.evaluations import latest_runs_of_model
from core.store.records import SlideRecord
from models.cards import ModelCard, load_card

SAMPLE = 64
"""Tiles of a slide that are predicted again: half of them its most suspicious, half at random."""


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessRow:
    """What one change does."""

    name: str
    family: Family
    words: str
    n_tiles: int
    n_slides: int
    mean_change: float
    """Mean absolute change of a tile's probability."""
    p95_change: float
    """95th percentile of it."""
    tile_flips: float
    """Share of the tiles whose call changes at the card's tile threshold."""
    slide_changes: NDArray[np.float64]
    """(slides,) change of the sample's score by the default rule, as computed."""
    mean_slide_change: float
    """Mean absolute change of it."""
    slide_flips: int
    """Slides whose call changes at the card's slide threshold, on the sample's score."""


@dataclass(frozen=True, slots=True)
class RobustnessSummary:
    """A model under every change, over a cohort."""

    model: str
    title: str
    version: str
    sample: int
    done: tuple[str, ...]
    """Slides with a whole check, of those that the person may see."""
    waiting: int
    """Slides in the queue for it, or in work."""
    missing: tuple[str, ...]
    """Slides with a result and no check."""
    hidden: int
    """Cases left out for whoever asks."""
    rows: tuple[RobustnessRow, ...]
    """Empty while no slide is done."""


def robustness_summary(
    settings: Settings, model: str, *, cohort: Cohort | None = None, actor: str
) -> RobustnessSummary:
    """Sum the checks of a cohort up.

    Raises:
        NotAllowedError: the actor may not see reports.
        NotFoundError: there is no such model.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        card = load_card(model)
        visible = visible_slides(database, cohort=cohort or Cohort(), actor=actor)
        runs = latest_runs_of_model(database, model)
    able = [one for one in visible.slides if one.slide_id in runs and runs[one.slide_id].status is SlideStatus.OK]
    kept = {one.slide_id: _kept(settings, one, card, runs[one.slide_id].run_id) for one in able}
    done = [found for found in kept.values() if found is not None and found.complete]
    waiting = _waiting(settings, model)
    return RobustnessSummary(
        model=model,
        title=card.title,
        version=PERTURBATION_VERSION,
        sample=SAMPLE,
        done=tuple(found.slide_id for found in done),
        waiting=len(waiting & set(kept)),
        missing=tuple(name for name, found in kept.items() if found is None or not found.complete),
        hidden=len(visible.blinded) + len(visible.unread),
        rows=tuple(_row(card, done, index) for index in range(len(PERTURBATIONS))) if done else (),
    )


def request_robustness(settings: Settings, model: str, *, cohort: Cohort | None = None, actor: str) -> tuple[int, ...]:
    """Queue the check of every slide of a cohort that lacks it; the same request twice is one job.

    Raises:
        NotAllowedError: the actor may not manage jobs.
        NotFoundError: there is no such model.
        InputError: no slide lacks it.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.OPERATE)
    missing = robustness_summary(settings, model, cohort=cohort, actor=actor).missing
    if not missing:
        raise InputError("Every slide with a result of this model was checked already.")
    payload = {"model": model, "sample": SAMPLE}
    return tuple(
        jobs.enqueue_task(settings, slide_id, kind=JobKind.ROBUSTNESS, payload=payload, actor=actor)
        for slide_id in missing
    )


def _kept(settings: Settings, slide: SlideRecord, card: ModelCard, run_id: str) -> RobustnessFile | None:
    path: Path = robustness_path(settings, slide, card, run_id=run_id, sample=SAMPLE)
    return read_robustness(path)


def _waiting(settings: Settings, model: str) -> set[str]:
    live = jobs.list_jobs(settings, live_only=True, limit=100_000)
    return {job.slide_id for job in live if job.kind is JobKind.ROBUSTNESS and job.payload.get("model") == model}


def _row(card: ModelCard, done: list[RobustnessFile], index: int) -> RobustnessRow:
    about = PERTURBATIONS[index]
    before = [one.probabilities[UNCHANGED] for one in done]
    after = [one.probabilities[about.name] for one in done]
    tiles_before, tiles_after = np.concatenate(before), np.concatenate(after)
    change = np.abs(tiles_after - tiles_before)
    scores = np.array([[_score(values) for values in pair] for pair in zip(before, after, strict=True)])
    called = scores >= card.slide_threshold
    return RobustnessRow(
        name=about.name,
        family=about.family,
        words=about.words,
        n_tiles=len(change),
        n_slides=len(done),
        mean_change=float(change.mean()),
        p95_change=float(np.percentile(change, 95)),
        tile_flips=float(((tiles_before >= card.threshold) != (tiles_after >= card.threshold)).mean()),
        slide_changes=scores[:, 1] - scores[:, 0],
        mean_slide_change=float(np.abs(scores[:, 1] - scores[:, 0]).mean()),
        slide_flips=int((called[:, 0] != called[:, 1]).sum()),
    )


def _score(values: NDArray[np.float64]) -> float:
    return rule_score(DEFAULT_AGGREGATION, values, saliency=None)
