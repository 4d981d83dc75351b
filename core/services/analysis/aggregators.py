"""Trained aggregators in the analysis: those the user activated score every slide beside the rules without training.

An aggregator is used only on what it was trained for: tiles of the model with the same weights, or embeddings of the
encoder with the same weights. Otherwise it is refused for the run, with the reason in the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.aggregation import Aggregation, share_out
from core.errors import InputError, ModelError, NotApplicableError
from core.services.analysis.aggregation_facts import AGGREGATORS, DECISION_CHOSEN, REFUSED
from core.services.analysis.deciding import (
    Choice,
    Decision,
    decided,
    default_decision,
    read_choice,
    rule_score,
    target_of,
)
from core.services.analysis.run_files import RunFolder
from core.services.analysis.tile_columns import ARTEFACT
from core.services.training.embeddings import SlideEmbeddings, slide_embeddings
from core.services.viewing.layers import ATTENTION_COLUMN
from core.settings import Settings
from core.store.records import RunResult
from models.aggregators.cards import (
    ATTENTION_KIND,
    AggregatorCard,
    StoredAggregator,
    find_aggregator,
    read_aggregator,
)
from models.aggregators.machine_learning import Fitted, Kind, predict
from models.aggregators.statistics import STATISTICS_VERSION, TileStatistics, tile_statistics
from models.cards import ModelCard
from models.encoders.protocol import Encoder

_TARGET = "target"
"""Stands for the positive classes together among the names of the tile statistics, where there are several."""


@dataclass(frozen=True, slots=True, eq=False)
class Active:
    """The aggregators of a run."""

    usable: tuple[StoredAggregator, ...]
    refused: Mapping[str, str]
    choice: Choice | None
    """What decides, where the user chose; None = the default rule."""


def load_active(settings: Settings, card: ModelCard) -> Active:
    """Load the aggregators that the settings name, before any work is done.

    Args:
        settings: Names them, and what decides.
        card: Of the tile model of the run.

    Raises:
        NotFoundError: there is none of that name.
        ModelError: card or weights cannot be used, or what should decide is refused.
        InputError: two of one name, more than one with attention, or the decision cannot be read.
    """
    found = [read_aggregator(find_aggregator(spec, folder=settings.aggregators_dir)) for spec in settings.aggregators]
    names = [one.card.name for one in found]
    if len(set(names)) != len(names):
        raise InputError(f"An aggregator is named twice: {', '.join(names)}.")
    if sum(one.card.kind == ATTENTION_KIND for one in found) > 1:
        raise InputError("Only one aggregator with attention can be active: a slide has one attention layer.")
    choice = read_choice(settings.decision, aggregators=names)
    reasons = {one.card.name: _why_refused(settings, one.card, card) for one in found}
    refused = {name: reason for name, reason in reasons.items() if reason}
    if choice is not None and choice.by in refused:
        raise ModelError(f"{choice.by} should decide and cannot: {refused[choice.by]}")
    return Active(tuple(one for one in found if one.card.name not in refused), refused, choice)


def apply_active(
    settings: Settings,
    run: RunResult,
    card: ModelCard,
    active: Active,
    *,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> RunResult:
    """Add the aggregators' scores to a finished run, write attention into its tiles, and decide as the user chose.

    Args:
        settings: Home and device.
        run: With status ok, its tiles written.
        card: Of its tile model.
        active: From `load_active`.
        progress: Of tiles embedded.
        cancelled: Asked before every batch.

    Raises:
        CancelledError, UnreadableSlideError, StorageError: as the stages raise them.
        NotApplicableError: what should decide cannot judge this slide.
    """
    if not active.usable and not active.refused and active.choice is None:
        return run
    folder = RunFolder.of(settings, run.slide_id, run.run_id)
    tiles = folder.read_tiles()
    scores: dict[str, Mapping[str, float]] = dict(run.scores)
    refused = dict(active.refused)
    for one in active.usable:
        try:
            probability = _score(settings, run, one, tiles, card, progress=progress, cancelled=cancelled)
        except NotApplicableError as err:
            # The other scores of the slide stand; only what should decide must not be missing.
            if active.choice is not None and active.choice.by == one.card.name:
                raise
            refused[one.card.name] = str(err)
            continue
        scores[one.card.name] = _row(one.card, probability)
    if ATTENTION_COLUMN in tiles:
        folder.write_tiles(tiles)
    used = [_facts(one.card) for one in active.usable if one.card.name in scores]
    scored = replace(run, scores=scores, settings={**run.settings, AGGREGATORS: used, REFUSED: refused})
    return _redecided(scored, card, active, tiles)


def statistics_of(card: ModelCard, tiles: pd.DataFrame) -> TileStatistics:
    """Return the statistics of a run's tiles: of every class, and of the target where that is several classes.

    Args:
        card: Of the tile model.
        tiles: Rows of `tiles.parquet`; at least one.
    """
    probabilities = tiles[[f"prob_{name}" for name in card.classes]].to_numpy(np.float32)
    classes = card.classes
    if len(card.positive_classes) > 1:
        probabilities = np.column_stack((probabilities, card.target_probability(probabilities)))
        classes = (*classes, _TARGET)
    return tile_statistics(probabilities, xy_level0=_corners(tiles), tile_level0=_tile_size(tiles), classes=classes)


def tiles_in_words(settings: Settings, card: ModelCard) -> str:
    """Return how a run with these settings cuts its tiles: what an aggregator was trained on, it must be given."""
    stride_um = settings.stride_um or card.tile_um
    return f"{card.tile_um:g} um every {stride_um:g} um with at least {settings.min_tissue_fraction:.0%} tissue"


@lru_cache(maxsize=2)
def shared_encoder(settings: Settings, spec: str) -> Encoder:
    """Load an encoder whose licence is accepted, once per process."""
    from core.services.training.encoders import open_encoder

    return open_encoder(settings, spec)


def _score(
    settings: Settings,
    run: RunResult,
    one: StoredAggregator,
    tiles: pd.DataFrame,
    card: ModelCard,
    *,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> float:
    """Return the slide's probability; attention is put into `tiles`."""
    if one.card.kind != ATTENTION_KIND:
        features = statistics_of(card, tiles).values[None]
        return float(predict(Fitted(_kind(one.card), _doubles(one)), features)[0])
    from models.aggregators.attention import attend, network_from

    encoder = shared_encoder(settings, one.card.encoder)
    found = slide_embeddings(settings, run.slide_id, encoder, progress=progress, cancelled=cancelled)
    if len(found.vectors) == 0:
        raise NotApplicableError(f"{one.card.encoder} finds no tile with enough tissue on this slide.")
    attended = attend(network_from(one.arrays), found.vectors)
    tiles[ATTENTION_COLUMN] = _on_tiles(attended.attention, found, tiles).astype(np.float32)
    return attended.probability


def _on_tiles(attention: NDArray[np.float64], found: SlideEmbeddings, tiles: pd.DataFrame) -> NDArray[np.float64]:
    size = found.grid.size_level0
    return share_out(
        attention,
        from_xy=found.grid.xy_level0,
        from_size=(size.width, size.height),
        to_xy=_corners(tiles),
        to_size=_tile_size(tiles),
    )


def _redecided(run: RunResult, card: ModelCard, active: Active, tiles: pd.DataFrame) -> RunResult:
    """Return the run decided as the user chose; as it is where the default rule decides."""
    if active.choice is None:
        return run
    target = target_of(card, tiles)
    decision = _decision(active.choice, card, active.usable, run.scores, target, tiles)
    sentence = (
        f"Decided by {decision.by} from {decision.threshold:g} on, as set by SECOND_READ_DECISION or --decide-by; "
        f"the default rule says {default_decision(card, target).score:.3f}."
    )
    chosen = replace(run, settings={**run.settings, DECISION_CHOSEN: sentence})
    return decided(
        chosen,
        card,
        decision,
        target=target,
        saliency=tiles["saliency"].to_numpy(np.float32),
        unusable=tiles[ARTEFACT].to_numpy() > 0,
    )


def _decision(
    choice: Choice,
    card: ModelCard,
    usable: Sequence[StoredAggregator],
    scores: Mapping[str, Mapping[str, float]],
    target: NDArray[np.floating],
    tiles: pd.DataFrame,
) -> Decision:
    own = next((one.card for one in usable if one.card.name == choice.by), None)
    if own is not None:
        return Decision(choice.by, scores[choice.by][own.target], choice.threshold or own.threshold)
    saliency = tiles["saliency"].to_numpy(np.float32)
    score = rule_score(Aggregation(choice.by), target, saliency=saliency)
    return Decision(choice.by, score, choice.threshold or card.slide_threshold)


def _why_refused(settings: Settings, one: AggregatorCard, card: ModelCard) -> str:
    """Return why an aggregator must not be used on this model's tiles; empty if it may."""
    if one.kind == ATTENTION_KIND:
        found = shared_encoder(settings, one.encoder).sha256
        if found != one.encoder_sha256:
            return (
                f"{one.name} was trained on {one.encoder} {one.encoder_sha256[:12]}..., and the encoder here is "
                f"{found[:12]}.... Train it again."
            )
    elif one.tile_model_sha256 != card.weights_sha256:
        return (
            f"{one.name} was trained on tiles of {one.tile_model} {one.tile_model_sha256[:12]}..., and this run uses "
            f"{card.name} {card.weights_sha256[:12]}.... Train it again on these."
        )
    elif one.statistics_version != STATISTICS_VERSION:
        return (
            f"{one.name} was trained on statistics {one.statistics_version}, not {STATISTICS_VERSION}. Train it again."
        )
    used = tiles_in_words(settings, card)
    if one.tiles != used:
        return f"{one.name} was trained on tiles of {one.tiles}, and this run has {used}."
    if one.classes != card.classes or one.positive_classes != card.positive_classes:
        return f"{one.name} judges {one.target} of {', '.join(one.classes)}, other than {card.name} does."
    return ""


def _row(one: AggregatorCard, probability: float) -> dict[str, float]:
    """Return the row of scores: of the target, and of the other class where there is just one."""
    others = [name for name in one.classes if name not in one.positive_classes]
    return {one.target: probability} | ({others[0]: 1 - probability} if len(others) == 1 else {})


def _facts(one: AggregatorCard) -> dict[str, object]:
    return {
        "name": one.name,
        "kind": one.kind,
        "target": one.target,
        "meaning": one.meaning,
        "warning": one.warning,
        "threshold": one.threshold,
        "weights_sha256": one.weights_sha256,
        "encoder": one.encoder,
    }


def _doubles(one: StoredAggregator) -> dict[str, NDArray[np.float64]]:
    return {name: value.astype(np.float64) for name, value in one.arrays.items()}


def _kind(one: AggregatorCard) -> Kind:
    kinds: dict[str, Kind] = {"logistic": "logistic", "svm": "svm", "forest": "forest"}
    return kinds[one.kind]


def _corners(tiles: pd.DataFrame) -> NDArray[np.int64]:
    return tiles[["x", "y"]].to_numpy(np.int64)


def _tile_size(tiles: pd.DataFrame) -> tuple[int, int]:
    return int(tiles["width"].iloc[0]), int(tiles["height"].iloc[0])
