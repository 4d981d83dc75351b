"""Tiles and cases elsewhere that look like a tile and its slide, by what a model's last layers see.

Cases whose result is hidden from whoever asks are left out and counted: a neighbour says what a case is like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain import JobKind, Region, SlideStatus
from core.explain.neighbours import Whitening, nearest, whitening_of
from core.roles import Permission
from core.services import catalogue
from core.services.cases.visibility import visibility_in
from core.services.explanation import files as explain_files
from core.services.explanation.explain import EMBEDDINGS, WHAT, seen_run
from core.services.explanation.index import SlideIndex, index_digest, read_index
from core.services.people.authority import require_now
from core.services.queue import jobs
from core.settings import Settings
from core.store import cases, results
from core.store.connection import Log, open_log, reading
from core.store.records import Json
from models.cards import ModelCard, load_card

MOST_SLIDES = 300
"""Slides that are compared with one; the figures say how many there were."""
SAMPLED = 64
"""Vectors of each slide that say in which directions tiles differ."""
NEIGHBOURS_SENTENCE = (
    "Nearest in the space of what the model's last layers see, every direction in which tiles differ counting alike. "
    "Similarity 1 is the same, 0 no more alike than two drawn at random, below 0 less. Alike to the network need not "
    "be alike to a pathologist."
)


@dataclass(frozen=True, slots=True)
class Similar:
    """One tile, or one slide, that is like another."""

    case_id: str
    slide_id: str
    region: Region
    """The most similar tile of the slide; for a slide the one nearest to its middle."""
    similarity: float
    """Cosine, -1 to 1."""
    label: str | None
    """The model's call on that slide."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What is like a tile and its slide."""

    tiles: tuple[Similar, ...]
    """At most one a slide, never of the slide itself."""
    cases: tuple[Similar, ...]
    """At most one a case, never of the case itself."""
    asked: Region
    """The compared tile: the kept one nearest to what was asked."""
    compared: int
    """Slides that were compared."""
    hidden: int
    """Slides left out because their result is hidden from the person."""


def request_embeddings(settings: Settings, slide_id: str, *, model: str | None = None, actor: str) -> int:
    """Queue the computation of a slide's embeddings by the model of its latest run, or another; return the job.

    Raises:
        NotFoundError: no such slide or model, or nothing analysed yet.
        ConflictError: the model's result on the slide is hidden from the actor.
        NotAllowedError: the actor may not see cases.
    """
    _, card = seen_run(settings, slide_id, model=model, actor=actor)
    return jobs.enqueue_task(
        settings, slide_id, kind=JobKind.EXPLAIN, payload=embeddings_payload(card.name), actor=actor
    )


def request_cohort(settings: Settings, *, model: str, actor: str) -> int:
    """Queue the embeddings of every slide with a result of a model that is not embedded yet; return how many.

    Raises:
        NotFoundError: no such model.
        NotAllowedError: the actor may not manage jobs.
    """
    require_now(settings, actor, Permission.OPERATE)
    card = load_card(model)
    queued = 0
    for slide in catalogue.list_slides(settings):
        done = explain_files.path_of(settings, slide.slide_id, index_digest(slide.sha256, card)).is_file()
        if slide.status is not SlideStatus.OK or done:
            continue
        if not any(run.model == model for run in catalogue.slide_runs(settings, slide.slide_id)):
            continue
        payload = embeddings_payload(model)
        jobs.enqueue_task(settings, slide.slide_id, kind=JobKind.EXPLAIN, payload=payload, actor=actor)
        queued += 1
    return queued


def embeddings_payload(model: str) -> Json:
    """Return what the worker is told."""
    return {WHAT: EMBEDDINGS, "model": model}


def neighbours(settings: Settings, slide_id: str, region: Region, *, count: int = 6, actor: str) -> Neighbours | None:
    """Return the tiles and cases most like a tile and its slide, or None where the slide has no embeddings yet.

    Only slides that are embedded by the same weights are compared; `request_embeddings` embeds one.

    Raises:
        NotFoundError, ConflictError, NotAllowedError: as `request_embeddings`.
    """
    _, card = seen_run(settings, slide_id, actor=actor)
    own = read_index(settings, slide_id, card.name)
    if own is None:
        return None
    with open_log(settings) as database, reading(database):
        own_case = cases.get_slide(database, slide_id).case_id
        known, hidden = _comparable(settings, database, card, but=slide_id, actor=actor)
        labels = {one: _label(database, case_id, one) for one, case_id in known.items()}
    others = [index for index in (read_index(settings, one, card.name) for one in known) if index is not None]
    space = whitening_of(np.concatenate([_sample(one) for one in (own, *others)]))
    row = _nearest_kept(own, region)
    query = space.units(own.vectors[row : row + 1])[0]
    return Neighbours(
        _similar_tiles(query, others, known, labels, space, count=count),
        _similar_cases(own, others, known, labels, space, own_case=own_case, count=count),
        own.regions[row],
        len(others),
        hidden,
    )


def _similar_tiles(
    query: NDArray[np.float64],
    others: Sequence[SlideIndex],
    known: Mapping[str, str],
    labels: Mapping[str, str | None],
    space: Whitening,
    *,
    count: int,
) -> tuple[Similar, ...]:
    best = [(one, nearest(query, space.units(one.vectors), count=1)[0]) for one in others]
    best.sort(key=lambda pair: -pair[1].similarity)
    return tuple(
        Similar(known[one.slide_id], one.slide_id, one.regions[found.row], found.similarity, labels[one.slide_id])
        for one, found in best[:count]
    )


def _similar_cases(
    own: SlideIndex,
    others: Sequence[SlideIndex],
    known: Mapping[str, str],
    labels: Mapping[str, str | None],
    space: Whitening,
    *,
    own_case: str,
    count: int,
) -> tuple[Similar, ...]:
    elsewhere = [one for one in others if known[one.slide_id] != own_case]
    if not elsewhere:
        return ()
    query = space.units(own.mean[None])[0]
    means = space.units(np.stack([one.mean for one in elsewhere]))
    found = nearest(query, means, count=count, groups=[known[one.slide_id] for one in elsewhere])
    return tuple(
        Similar(known[one.slide_id], one.slide_id, _typical(one), near.similarity, labels[one.slide_id])
        for one, near in ((elsewhere[near.row], near) for near in found)
    )


def _sample(index: SlideIndex) -> NDArray[np.float32]:
    """Return so many of a slide's vectors that every slide has about the same say in what tiles have in common."""
    return index.vectors[:: max(1, len(index.vectors) // SAMPLED)]


def _typical(index: SlideIndex) -> Region:
    """Return the kept tile nearest to the slide's mean."""
    return index.regions[int(np.linalg.norm(index.vectors - index.mean, axis=1).argmin())]


def _nearest_kept(index: SlideIndex, region: Region) -> int:
    centre = np.array([region.centre.x, region.centre.y])
    middles = np.array([(one.centre.x, one.centre.y) for one in index.regions])
    return int(np.linalg.norm(middles - centre, axis=1).argmin())


def _comparable(
    settings: Settings, database: Log, card: ModelCard, *, but: str, actor: str
) -> tuple[Mapping[str, str], int]:
    """Return slide -> case of the embedded slides that the actor may compare, and how many are hidden."""
    known: dict[str, str] = {}
    hidden = 0
    for slide in cases.all_slides(database):
        indexed = (
            slide.sha256 and explain_files.path_of(settings, slide.slide_id, index_digest(slide.sha256, card)).is_file()
        )
        if slide.slide_id == but or not indexed:
            continue
        if not visibility_in(database, slide.case_id, actor=actor).model:
            hidden += 1
        elif len(known) < MOST_SLIDES:
            known[slide.slide_id] = slide.case_id
    return known, hidden


def _label(database: Log, case_id: str, slide_id: str) -> str | None:
    run = results.latest_runs(database, case_id).get(slide_id)
    return None if run is None else run.label
