"""Explanations of tiles: asked for here, computed by the worker, read back by pages and documents.

Whoever may not see the model's result on a case gets no explanation of it either: a map of where the network looked is
its result. See `core.services.cases.visibility`.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.domain import JobKind, JobState, Region
from core.errors import ConflictError, InputError, NotFoundError
from core.roles import Permission
from core.services.cases.visibility import of_slide
from core.services.explanation import files as explain_files
from core.services.explanation.records import TileExplanation, explanation_of, region_of
from core.services.people.authority import require
from core.services.queue import jobs
from core.settings import Settings
from core.store import cases, results
from core.store.connection import Log, open_log, reading
from core.store.records import JobRecord, Json, RunRecord, SlideRecord
from models.cards import ModelCard, load_card

VERSION = "explain-1"
"""Part of every digest: raised whenever the same tile would give other maps."""
WHAT, TILE, EMBEDDINGS = "what", "tile", "embeddings"
"""Key of a job's payload, and what may be asked."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tile that may be explained."""

    slide: SlideRecord
    card: ModelCard
    region: Region

    @property
    def digest(self) -> str:
        """Name of its explanation: everything that it depends on."""
        where = (self.region.x, self.region.y, self.region.width, self.region.height)
        return explain_files.digest_of(VERSION, TILE, self.slide.sha256, self.card.weights_sha256, where)

    @property
    def payload(self) -> Json:
        """What the worker is told."""
        where = {"x": self.region.x, "y": self.region.y, "width": self.region.width, "height": self.region.height}
        return {WHAT: TILE, "model": self.card.name, **where}


def request_tile(settings: Settings, slide_id: str, region: Region, *, model: str | None = None, actor: str) -> int:
    """Queue the explanation of a tile and return its job; one that is in the queue already is kept.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        region: The tile, level-0 px.
        model: Name of a card; None = the model of the slide's latest run.
        actor: Who asks.

    Raises:
        NotFoundError: no such slide or model, or nothing analysed yet.
        ConflictError: the model's result on this case is hidden from the actor.
        InputError: the region does not touch the slide.
        NotAllowedError: the actor may not see cases.
    """
    place = place_of(settings, slide_id, region, model=model, actor=actor)
    return jobs.enqueue_task(settings, slide_id, kind=JobKind.EXPLAIN, payload=place.payload, actor=actor)


def tile_explanation(
    settings: Settings, slide_id: str, region: Region, *, model: str | None = None, actor: str
) -> TileExplanation | None:
    """Return the explanation of a tile, or None where it has not been computed yet.

    Raises:
        NotFoundError, ConflictError, InputError, NotAllowedError: as `request_tile`.
    """
    place = place_of(settings, slide_id, region, model=model, actor=actor)
    found = explain_files.read(settings, slide_id, place.digest)
    return None if found is None else explanation_of(*found)


def explained_regions(
    settings: Settings, slide_id: str, *, limit: int = 20, actor: str
) -> tuple[tuple[str, Region], ...]:
    """Return model and place of the tiles of a slide that are explained, latest first.

    Raises:
        NotFoundError, ConflictError, NotAllowedError: as `request_tile`.
    """
    with open_log(settings) as database, reading(database):
        require_seen(database, slide_id, actor=actor)
    found: list[tuple[str, Region]] = []
    for digest in explain_files.digests(settings, slide_id)[:limit]:
        one = explain_files.read(settings, slide_id, digest)
        if one is not None and one[0].get(WHAT) == TILE:
            found.append((str(one[0]["model"]), region_of(one[0])))
    return tuple(found)


def live_job(settings: Settings, slide_id: str, payload: Json) -> JobRecord | None:
    """Return the job that works on a request or waits to, or the last that failed at it; None otherwise."""
    same = [
        job
        for job in jobs.list_jobs(settings)
        if job.kind is JobKind.EXPLAIN and job.slide_id == slide_id and dict(job.payload) == dict(payload)
    ]
    latest = max(same, key=lambda job: job.job_id, default=None)
    return None if latest is None or latest.state is JobState.DONE else latest


def place_of(settings: Settings, slide_id: str, region: Region, *, model: str | None, actor: str) -> Place:
    """Return a tile with its slide and the card of the model, if the actor may see what the model says.

    Raises:
        NotFoundError, ConflictError, InputError, NotAllowedError: as `request_tile`.
    """
    with open_log(settings) as database, reading(database):
        slide, run = require_seen(database, slide_id, actor=actor)
    if slide.width is None or slide.height is None or slide.sha256 is None or run is None:
        raise NotFoundError(f"{slide_id} has not been analysed yet. Its tiles can be explained when it has a result.")
    outside = region.right <= 0 or region.bottom <= 0 or region.x >= slide.width or region.y >= slide.height
    if outside:
        raise InputError(
            f"The place {region.x}, {region.y} lies outside {slide_id} ({slide.width} x {slide.height} px)."
        )
    return Place(slide, load_card(model or run.model), region)


def region_at(slide: SlideRecord, card: ModelCard, *, x: float, y: float) -> Region:
    """Return the tile of a model's size whose middle is a place on a slide.

    Args:
        slide: With its scale.
        card: Of the model.
        x: Level-0 px, as y.
        y: See x.

    Raises:
        InputError: the slide's scale is not known.
    """
    if slide.mpp_x is None or slide.mpp_y is None:
        raise InputError(f"The scale of {slide.slide_id} is not known, so no tile of {card.tile_um:g} um can be cut.")
    width, height = max(1, round(card.tile_um / slide.mpp_x)), max(1, round(card.tile_um / slide.mpp_y))
    return Region(round(x - width / 2), round(y - height / 2), width, height)


def require_seen(database: Log, slide_id: str, *, actor: str) -> tuple[SlideRecord, RunRecord | None]:
    """Return a slide and its latest run, if the actor may see the model's result on it.

    Raises:
        NotFoundError: no such slide.
        NotAllowedError: the actor may not see cases.
        ConflictError: the result is hidden from the actor; the sentence says why.
    """
    require(database, actor, Permission.SEE_CASES)
    slide = cases.get_slide(database, slide_id)
    seen = of_slide(database, slide_id, actor=actor)
    if not seen.model:
        raise ConflictError(f"Explanations of {slide_id} tell of the model's result. {seen.because}")
    return slide, results.latest_runs(database, slide.case_id).get(slide_id)


def seen_run(settings: Settings, slide_id: str, *, model: str | None = None, actor: str) -> tuple[RunRecord, ModelCard]:
    """Return the latest run of a slide and the card of its model, or of another, if the actor may see its result.

    Raises:
        NotFoundError: no such slide or model, or nothing analysed yet.
        NotAllowedError, ConflictError: as `require_seen`.
    """
    with open_log(settings) as database, reading(database):
        _, run = require_seen(database, slide_id, actor=actor)
    if run is None:
        raise NotFoundError(f"{slide_id} has not been analysed yet. Analyse it first.")
    return run, load_card(model or run.model)
