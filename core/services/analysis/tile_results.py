"""The tiles of one slide: predicted, aggregated, judged and written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.aggregation import Aggregation, AggregationSettings, aggregate, labels_present
from core.domain import Mpp, Size, SlideStatus
from core.heatmap import colourise, value_image
from core.inference import TileModel, TilePredictions, predict_tiles
from core.qc.artefact_map import ArtefactMap, TileQuality
from core.saliency import SALIENCY_VERSION, haematoxylin_density
from core.services.analysis.deciding import decided, default_decision
from core.services.analysis.run_files import THUMBNAIL_PX, Checkpoint, RunFolder
from core.services.analysis.tile_columns import ARTEFACT, PROBABILITY, USABLE, target_column
from core.settings import Settings
from core.slides import SlideReader
from core.store.records import CLASSES_PRESENT, RunResult
from core.tiles import TileGrid, TileSpec, tile_grid
from core.tissue import TissueMask
from models.cards import ModelCard

CHECKPOINT_EVERY_S = 10.0
"""Work a killed run may lose."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Predictions of a slide with what was measured on the same tiles."""

    predictions: TilePredictions
    quality: TileQuality
    saliency: NDArray[np.float32]
    """(N,) haematoxylin density of every tile: its weight in the saliency-weighted mean."""
    seconds: float
    """Time spent on reading, predicting and measuring."""


def analyse_tiles(
    settings: Settings,
    card: ModelCard,
    model: TileModel,
    run: RunResult,
    reader: SlideReader,
    mpp: Mpp,
    mask: TissueMask,
    *,
    artefacts: ArtefactMap,
    folder: RunFolder,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> RunResult:
    """Run the model over a slide's tissue, write the tile files and return the completed run.

    Every tile counts in the scores; what they would be without the tiles that artefacts spoil stands beside them.

    Raises:
        CancelledError, UnreadableSlideError, StorageError: as the stages raise them.
    """
    spec = TileSpec(
        card.tile_um, mpp=card.mpp, stride_um=settings.stride_um, min_tissue_fraction=settings.min_tissue_fraction
    )
    grid = tile_grid(reader.info.size, mpp, spec, mask)
    run = replace(run, tiles_total=grid.total, tiles_kept=len(grid), tiles_dropped=dict(grid.dropped))
    if len(grid) == 0:
        message = (
            f"No tile of {spec.size_um:g} um holds at least {spec.min_tissue_fraction:.0%} tissue "
            f"({mask.area_mm2:.2f} mm2 in all): there is too little to run the model on."
        )
        return replace(run, status=SlideStatus.NO_TISSUE, message=message)
    key = _checkpoint_key(run, grid)
    started = time.monotonic()
    predictions, saliency = _predict(
        settings, model, reader, grid, mask, key, folder=folder, progress=progress, cancelled=cancelled
    )
    measured = Measured(predictions, artefacts.of_tiles(grid), saliency, time.monotonic() - started)
    _write_files(folder, measured, card=card, slide=reader.info.size)
    return _judge(replace(run, device=model.device), card, measured)


def _predict(
    settings: Settings,
    model: TileModel,
    reader: SlideReader,
    grid: TileGrid,
    mask: TissueMask,
    key: str,
    *,
    folder: RunFolder,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> tuple[TilePredictions, NDArray[np.float32]]:
    """Return the predictions and the saliency of every tile; a run that was killed goes on where it stopped."""
    saliency = np.full(len(grid), np.nan, np.float32)
    earlier = folder.read_checkpoint(key=key)
    start = 0 if earlier is None else len(earlier.probabilities)
    if earlier is not None:
        saliency[:start] = earlier.saliency
    um_per_px = grid.spec.size_um / grid.size_px

    def measure_saliency(tiles: NDArray[np.uint8], rows: slice) -> None:
        saliency[rows] = haematoxylin_density(tiles, um_per_px=um_per_px, glass=mask.glass)

    predictions = predict_tiles(
        reader,
        grid,
        model,
        batch_size=settings.batch_size,
        read_threads=settings.read_threads,
        progress=progress,
        cancelled=cancelled,
        tile_sink=measure_saliency,
        start=start,
        previous=None if earlier is None else earlier.probabilities,
        checkpoint=_throttled_checkpoint(folder, key, saliency),
    )
    return predictions, saliency


def _checkpoint_key(run: RunResult, grid: TileGrid) -> str:
    """Hash of everything that the tile values depend on, so that no value lands on another run's tile."""
    sizes = (grid.size_level0.width, grid.size_level0.height, grid.size_px)
    slide = run.facts.sha256 if run.facts else None
    parts = (slide, run.weights_sha256, run.code_version, SALIENCY_VERSION, sizes)
    return hashlib.sha256(repr(parts).encode() + grid.xy_level0.tobytes()).hexdigest()


def _throttled_checkpoint(
    folder: RunFolder, key: str, saliency: NDArray[np.float32]
) -> Callable[[int, NDArray[np.float32]], None]:
    last = time.monotonic()

    def keep(done: int, probabilities: NDArray[np.float32]) -> None:
        nonlocal last
        if time.monotonic() - last >= CHECKPOINT_EVERY_S:
            folder.write_checkpoint(Checkpoint(key, probabilities, saliency[:done]))
            last = time.monotonic()

    return keep


def _judge(run: RunResult, card: ModelCard, measured: Measured) -> RunResult:
    """Aggregate, decide, and say how much of the deciding tissue is artefact."""
    probabilities = measured.predictions.probabilities
    found = aggregate(probabilities, saliency=measured.saliency)
    scores = {
        rule.value: {name: float(value) for name, value in zip(card.classes, values, strict=True)}
        for rule, values in found.items()
    }
    present = labels_present(
        found[Aggregation.THRESHOLD],
        classes=card.classes,
        normal=card.normal_class,
        slide_threshold=AggregationSettings().slide_threshold,
    )
    positive = card.target_probability(probabilities)
    judged = replace(
        run,
        scores=scores,
        settings={**run.settings, CLASSES_PRESENT: list(present)},
        peak=measured.predictions.grid.region(int(positive.argmax())),
        tiles_per_second=round(len(probabilities) / measured.seconds, 2),
    )
    return decided(
        judged,
        card,
        default_decision(card, positive),
        target=positive,
        saliency=measured.saliency,
        unusable=measured.quality.unusable,
    )


def _write_files(folder: RunFolder, measured: Measured, *, card: ModelCard, slide: Size) -> None:
    grid, probabilities = measured.predictions.grid, measured.predictions.probabilities
    quality, of_target = measured.quality, target_column(card.positive_classes)
    tiles = pd.DataFrame(
        {
            "x": grid.xy_level0[:, 0],
            "y": grid.xy_level0[:, 1],
            "width": np.full(len(grid), grid.size_level0.width, np.int32),
            "height": np.full(len(grid), grid.size_level0.height, np.int32),
            **{f"{PROBABILITY}{name}": probabilities[:, i] for i, name in enumerate(card.classes)},
            **({} if of_target is None else {of_target: card.target_probability(probabilities)}),
            USABLE: quality.usable,
            ARTEFACT: quality.artefact,
            "saliency": measured.saliency,
        }
    )
    folder.write_tiles(tiles)
    scale = min(1.0, THUMBNAIL_PX / max(slide.width, slide.height))
    out = Size(max(1, round(slide.width * scale)), max(1, round(slide.height * scale)))
    picture = value_image(
        grid.xy_level0, grid.size_level0, card.target_probability(probabilities), slide=slide, out=out
    )
    folder.write_image("heatmap.png", colourise(picture))
