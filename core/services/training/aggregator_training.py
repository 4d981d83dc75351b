"""Training a slide aggregator on the catalogue: labels, inputs from runs or embeddings, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain import SlideStatus
from core.errors import InputError, MissingMppError, NotApplicableError, NotFoundError, UnreadableSlideError
from core.services import catalogue
from core.services.analysis.aggregators import shared_encoder, statistics_of, tiles_in_words
from core.services.analysis.run_files import RunFolder
from core.services.training.embeddings import slide_embeddings
from core.services.training.slide_labels import SlideLabels, slide_labels
from core.settings import Settings
from core.store.records import RunRecord, SlideRecord
from models.aggregators.cards import ATTENTION_KIND
from models.aggregators.records import AggregatorPlan, AggregatorResult
from models.aggregators.slides import LabelledSlide
from models.aggregators.training import train_attention, train_on_statistics
from models.cards import ModelCard, load_card

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What a user wants trained."""

    kind: str
    name: str
    labels: str
    """"reads", "truth", or the path of a CSV."""
    model: str
    """Tile model whose tiles or runs are learnt from."""
    encoder: str | None = None
    """For attention; None is the tile model itself."""
    folder: Path | None = None
    """Where it is kept; None is the home's own place for it."""
    seed: int = 0
    folds: int = 5
    split: Path | None = None
    few_slides_accepted: bool = False
    resume: bool = False
    command: str = ""
    """How the user called it, for the card."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it."""

    result: AggregatorResult
    left_out: Mapping[str, str]
    """Slide id -> why it was not learnt from."""


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """What is learnt from, one entry a slide."""

    slides: tuple[LabelledSlide, ...]
    arrays: tuple[NDArray[np.floating], ...]
    names: tuple[str, ...]
    """Of the tile statistics."""
    left_out: Mapping[str, str]


def train_aggregator(settings: Settings, request: TrainingRequest, *, progress: Progress | None = None) -> Trained:
    """Train an aggregator and keep it where `settings.aggregators` finds it by name.

    Args:
        settings: Home, device, and how tiles are cut.
        request: What to train.
        progress: Of embeddings, folds and epochs.

    Raises:
        InputError: labels, split or slides cannot be used, or there are too few; ids are named.
        ConflictError: one of that name is there already.
        ModelError, NotFoundError: no such tile model or encoder.
    """
    card = load_card(request.model)
    labels = slide_labels(settings, request.labels)
    encoder = request.encoder or f"model:{request.model}"
    if request.kind == ATTENTION_KIND:
        inputs = _embedded(settings, labels, encoder, progress=progress)
    else:
        inputs = _from_runs(settings, labels, card)
    if not inputs.slides:
        example = "; ".join(f"{slide_id}: {reason}" for slide_id, reason in list(inputs.left_out.items())[:3])
        raise InputError(f"There is no slide to learn from. {example}".strip())
    plan = _plan(settings, request, card, labels, encoder=encoder)
    if request.kind == ATTENTION_KIND:
        bags = [np.asarray(bag, np.float32) for bag in inputs.arrays]
        result = train_attention(plan, inputs.slides, bags, progress=_epochs(progress))
    else:
        features = np.stack(inputs.arrays).astype(np.float64)
        result = train_on_statistics(plan, inputs.slides, features, names=inputs.names, progress=_epochs(progress))
    return Trained(result, inputs.left_out)


def _plan(
    settings: Settings, request: TrainingRequest, card: ModelCard, labels: SlideLabels, *, encoder: str
) -> AggregatorPlan:
    attends = request.kind == ATTENTION_KIND
    return AggregatorPlan(
        name=request.name,
        kind=request.kind,
        folder=request.folder or settings.aggregators_dir / request.name,
        classes=card.classes,
        positive_classes=card.positive_classes,
        tile_model=card.name,
        tile_model_sha256=card.weights_sha256,
        tiles=tiles_in_words(settings, card),
        encoder=encoder if attends else "",
        encoder_sha256=shared_encoder(settings, encoder).sha256 if attends else "",
        labels=labels.source,
        command=request.command,
        seed=request.seed,
        folds=request.folds,
        split=request.split,
        few_slides_accepted=request.few_slides_accepted,
        resume=request.resume,
    )


def _from_runs(settings: Settings, labels: SlideLabels, card: ModelCard) -> _Inputs:
    """Take the statistics of each slide's latest run by this model with these tiles."""
    slides: list[LabelledSlide] = []
    arrays: list[NDArray[np.floating]] = []
    left_out = dict(labels.left_out)
    names: tuple[str, ...] = ()
    for slide in catalogue.list_slides(settings):
        if slide.slide_id not in labels.target:
            continue
        run = _usable_run(settings, slide, card)
        if run is None or slide.sha256 is None:
            left_out[slide.slide_id] = _why_no_run(slide, card)
            continue
        try:
            found = statistics_of(card, RunFolder.of(settings, slide.slide_id, run.run_id).read_tiles())
        except NotFoundError as err:
            left_out[slide.slide_id] = str(err)
            continue
        names = found.names
        slides.append(_labelled(slide, labels, slide.sha256))
        arrays.append(found.values)
    return _Inputs(tuple(slides), tuple(arrays), names, left_out)


def _usable_run(settings: Settings, slide: SlideRecord, card: ModelCard) -> RunRecord | None:
    wanted = {
        "tile_um": card.tile_um,
        "stride_um": settings.stride_um or card.tile_um,
        "min_tissue_fraction": settings.min_tissue_fraction,
    }
    return next(
        (
            run
            for run in catalogue.slide_runs(settings, slide.slide_id)
            if run.status is SlideStatus.OK
            and run.weights_sha256 == card.weights_sha256
            and all(run.settings.get(key) == value for key, value in wanted.items())
        ),
        None,
    )


def _why_no_run(slide: SlideRecord, card: ModelCard) -> str:
    if slide.status not in (None, SlideStatus.OK):
        return f"no result: {slide.message}"
    return f"not analysed by {card.name} with these weights and tiles"


def _embedded(settings: Settings, labels: SlideLabels, spec: str, *, progress: Progress | None) -> _Inputs:
    encoder = shared_encoder(settings, spec)
    slides: list[LabelledSlide] = []
    arrays: list[NDArray[np.floating]] = []
    left_out = dict(labels.left_out)
    chosen = [slide for slide in catalogue.list_slides(settings) if slide.slide_id in labels.target]
    for number, slide in enumerate(chosen, start=1):
        try:
            found = slide_embeddings(settings, slide.slide_id, encoder)
        except (UnreadableSlideError, MissingMppError, NotApplicableError) as err:
            left_out[slide.slide_id] = str(err)
        else:
            if len(found.vectors):
                slides.append(_labelled(slide, labels, found.slide_sha256))
                arrays.append(found.vectors)
            else:
                left_out[slide.slide_id] = "no tile with enough tissue"
        if progress is not None:
            progress("Embeddings", number, len(chosen))
    return _Inputs(tuple(slides), tuple(arrays), (), left_out)


def _labelled(slide: SlideRecord, labels: SlideLabels, sha256: str) -> LabelledSlide:
    return LabelledSlide(
        slide_id=slide.slide_id,
        case_id=slide.case_id,
        group=labels.groups.get(slide.slide_id, slide.case_id),
        sha256=sha256,
        label=labels.target[slide.slide_id],
    )


def _epochs(progress: Progress | None) -> Callable[[int, int, str], None] | None:
    if progress is None:
        return None
    return lambda done, total, sentence: progress(sentence.rstrip("."), done, total)
