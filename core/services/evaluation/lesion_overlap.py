"""How well the tiles that a model calls cover what somebody outlined: figures, the map in three colours, a human score.

Compared where there are tiles, so on tissue. A tile is called whole, so even a perfect model does not reach a Dice of 1
on an outline that cuts tiles: `ceiling` says what the tiles' size allows.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain import Size, SlideStatus
from core.errors import ConflictError, InputError, NotFoundError
from core.qc.comparison import MaskComparison, compare_masks, comparison_map
from core.roles import Permission
from core.services.analysis.run_files import RunFolder
from core.services.cases.visibility import of_slide
from core.services.evaluation.cohort import visible_slides
from core.services.evaluation.tiles import (
    POSITIVE_SHARE,
    TileFacts,
    outlines_digest,
    target_mask,
    target_names,
    tile_facts,
)
from core.services.evaluation.values import Cohort
from core.services.people.authority import require
from core.settings import Settings
from core.store.cases import get_slide
from core.store.connection import open_log, reading, writing
from core.store.error_reviews import OverlapScoreRecord, insert_overlap_score, standing_overlap_scores
from core.store.evaluations import ModelRun, latest_runs_of_model
from core.store.records import SlideRecord
from models.cards import ModelCard, load_card

SCORE_WORDS = ("nothing fits", "hardly", "in part", "fairly", "well", "as I would draw it")
"""What a person's score of 0 to 5 means."""


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """One slide."""

    slide_id: str
    case_id: str
    run_id: str
    figures: MaskComparison
    ceiling: float | None
    """Dice of the tiles that a perfect model would call; None where nothing is outlined."""


@dataclass(frozen=True, slots=True, eq=False)
class OverlapPicture:
    """One slide to look at."""

    row: OverlapRow
    threshold: float
    picture: NDArray[np.uint8]
    """(h, w, 3) thumbnail with the map over it: blue found, red found but not annotated, black missed."""
    scores: tuple[OverlapScoreRecord, ...]
    """People's standing scores."""


def lesion_slides(
    settings: Settings, model: str, *, cohort: Cohort | None = None, actor: str
) -> tuple[tuple[str, str], ...]:
    """Return (slide, hash of run and outlines) of the slides that can be compared.

    Raises:
        NotAllowedError: the actor may not see reports.
        NotFoundError: there is no such model.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        card = load_card(model)
        slides = visible_slides(database, cohort=cohort or Cohort(), actor=actor).slides
        runs = latest_runs_of_model(database, card.name)
    found: list[tuple[str, str]] = []
    for slide in slides:
        run, digest = runs.get(slide.slide_id), outlines_digest(Path(slide.path))
        if run is not None and run.status is SlideStatus.OK and digest is not None and slide.mpp_x and slide.mpp_y:
            found.append((slide.slide_id, hashlib.sha256(f"{run.run_id}{digest}".encode()).hexdigest()))
    return tuple(found)


def overlap_row(settings: Settings, slide_id: str, *, model: str, threshold: float, actor: str) -> OverlapRow:
    """Compare one slide.

    Raises:
        NotAllowedError: the actor may not see cases.
        NotFoundError: there is no such slide or result, or it is hidden from the actor.
        InputError: nothing is outlined beside the slide, or the threshold makes no sense.
    """
    row, *_ = _compared(settings, slide_id, model=model, threshold=threshold, actor=actor)
    return row


def overlap_picture(settings: Settings, slide_id: str, *, model: str, threshold: float, actor: str) -> OverlapPicture:
    """Compare one slide and draw the map over its thumbnail; see `overlap_row`."""
    row, found, annotated, tissue, extent = _compared(settings, slide_id, model=model, threshold=threshold, actor=actor)
    thumbnail = RunFolder.of(settings, slide_id, row.run_id).read_image("thumbnail.jpg")
    overlay = comparison_map(found, annotated, tissue=tissue)
    with open_log(settings) as database, reading(database):
        scores = standing_overlap_scores(database, row.run_id)
        slide = get_slide(database, slide_id)
    size = Size(slide.width or extent.width, slide.height or extent.height)
    return OverlapPicture(row, threshold, _laid_over(thumbnail, overlay, extent=extent, slide=size), scores)


def score_overlap(
    settings: Settings, slide_id: str, *, run_id: str, threshold: float, score: int, note: str = "", actor: str
) -> OverlapScoreRecord:
    """Record how well a person finds that the model's area fits the outlines, 0 to 5.

    Raises:
        NotAllowedError: the actor may not mark slides.
        NotFoundError: there is no such slide.
        ConflictError: the model's result on it is hidden from the actor.
        InputError: the score is not 0 to 5.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.ANNOTATE)
        if not 0 <= score < len(SCORE_WORDS):
            raise InputError(f"The score is {score}; it must be a whole number from 0 to 5.")
        if not of_slide(database, slide_id, actor=actor).model:
            raise ConflictError(f"The model's result on slide {slide_id} is hidden from you at the moment.")
        return insert_overlap_score(
            database, slide_id, run_id=run_id, threshold=threshold, score=score, note=note.strip(), actor=actor
        )


_Masks = tuple[OverlapRow, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_], Size]


def _compared(settings: Settings, slide_id: str, *, model: str, threshold: float, actor: str) -> _Masks:
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise InputError(f"The threshold is {threshold:g}; it must lie between 0 and 1.")
    card = load_card(model)
    slide, run = _run_of(settings, slide_id, card, actor=actor)
    facts = tile_facts(settings, card, slide_id=slide_id, run_id=run.run_id, path=Path(slide.path))
    if facts is None or len(facts.boxes) == 0:
        raise NotFoundError(f"The tiles of {slide_id} are gone. Analyse it again.")
    annotated, downsample, extent = _annotated(slide, card, facts)
    found = _painted(facts.boxes[facts.score >= threshold], annotated.shape, downsample)
    tissue = _painted(facts.boxes, annotated.shape, downsample)
    px_mm2 = (slide.mpp_x or 0) * (slide.mpp_y or 0) * downsample[0] * downsample[1] / 1e6
    share = np.zeros(len(facts.boxes)) if facts.share is None else facts.share
    best = _painted(facts.boxes[share >= POSITIVE_SHARE], annotated.shape, downsample)
    row = OverlapRow(
        slide_id=slide_id,
        case_id=slide.case_id,
        run_id=run.run_id,
        figures=compare_masks(found, annotated, tissue=tissue, px_mm2=px_mm2),
        ceiling=compare_masks(best, annotated, tissue=tissue, px_mm2=px_mm2).dice,
    )
    return row, found, annotated, tissue, extent


def _run_of(settings: Settings, slide_id: str, card: ModelCard, *, actor: str) -> tuple[SlideRecord, ModelRun]:
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        slide = get_slide(database, slide_id)
        if not of_slide(database, slide_id, actor=actor).model:
            raise NotFoundError(f"The model's result on slide {slide_id} is hidden from you at the moment.")
        run = latest_runs_of_model(database, card.name).get(slide_id)
    if run is None or run.status is not SlideStatus.OK:
        raise NotFoundError(f"{slide_id} has no result of {card.name}.")
    return slide, run


def _annotated(
    slide: SlideRecord, card: ModelCard, facts: TileFacts
) -> tuple[NDArray[np.bool_], tuple[float, float], Size]:
    path = Path(slide.path).with_suffix(".geojson")
    if not path.is_file():
        raise InputError(f"No outlines lie beside {slide.slide_id}. Put a GeoJSON of the same name beside the slide.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise InputError(f"{path.name} is not GeoJSON. Export the annotations from QuPath again.") from err
    x, y, width, height = facts.boxes.T
    extent = Size(int((x + width).max()), int((y + height).max()))
    tile = Size(int(width[0]), int(height[0]))
    mask, downsample = target_mask(content, names=target_names(card), size=extent, tile=tile)
    return mask, downsample, extent


def _painted(boxes: NDArray[np.int64], shape: tuple[int, ...], downsample: tuple[float, float]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    for x, y, width, height in boxes.tolist():
        left, right = round(x / downsample[0]), round((x + width) / downsample[0])
        top, bottom = round(y / downsample[1]), round((y + height) / downsample[1])
        mask[top:bottom, left:right] = True
    return mask


def _laid_over(
    thumbnail: NDArray[np.uint8], overlay: NDArray[np.uint8], *, extent: Size, slide: Size
) -> NDArray[np.uint8]:
    """Lay a map that covers `extent` level-0 px over a thumbnail that covers the slide; nearest neighbour."""
    rows, inside_y = _places(thumbnail.shape[0], overlay.shape[0], ratio=slide.height / extent.height)
    columns, inside_x = _places(thumbnail.shape[1], overlay.shape[1], ratio=slide.width / extent.width)
    looked_up = overlay[rows][:, columns].astype(np.float64)
    alpha = looked_up[..., 3:] / 255 * (inside_y[:, None] & inside_x[None, :])[..., None]
    mixed = thumbnail[..., :3] * (1 - alpha) + looked_up[..., :3] * alpha
    return np.asarray(np.rint(mixed), np.uint8)


def _places(wanted: int, there: int, *, ratio: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return for each picture row or column the one of the map, and whether the map reaches so far."""
    found = ((np.arange(wanted) + 0.5) / wanted * ratio * there).astype(np.intp)
    return np.minimum(found, there - 1), found < there
