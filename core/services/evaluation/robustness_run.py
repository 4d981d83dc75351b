"""The worker's task: predict the same tiles of a slide again under every change, and keep what came out.

The file of a slide grows change by change, so a task that is killed goes on with the change that is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain import Region, Size, SlideStatus
from core.errors import CancelledError, InputError, NotFoundError
from core.evaluation.perturbation import PERTURBATIONS, Perturbation
from core.inference import TileModel
from core.services.analysis.run_files import RunFolder
from core.services.evaluation.robustness_files import (
    UNCHANGED,
    RobustnessFile,
    read_robustness,
    robustness_path,
    write_robustness,
)
from core.settings import Settings
from core.slides import SlideReader, open_slide
from core.store.cases import get_slide
from core.store.connection import open_log, reading
from core.store.evaluations import latest_runs_of_model
from core.store.records import Json, SlideRecord
from models.cards import ModelCard, load_card

BATCH = 32


def run(
    settings: Settings,
    slide_id: str,
    payload: Json,
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> str:
    """Carry out one request: `model` and `sample` stand in the payload.

    Raises:
        NotFoundError: there is no such slide, model or result.
        InputError: the slide has no result of the model.
        CancelledError: the user cancelled; what was computed is kept.
        UnreadableSlideError: the slide cannot be read.
    """
    from core.services.analysis.analyse import shared_model  # brings torch

    card, sample = load_card(str(payload["model"])), int(str(payload["sample"]))
    with open_log(settings) as database, reading(database):
        slide = get_slide(database, slide_id)
        found = latest_runs_of_model(database, card.name).get(slide_id)
    if found is None or found.status is not SlideStatus.OK:
        raise InputError(f"{slide_id} has no result of {card.name}. Analyse it first.")
    path = robustness_path(settings, slide, card, run_id=found.run_id, sample=sample)
    kept = read_robustness(path) or _begun(settings, slide, card, run_id=found.run_id, sample=sample)
    return _complete(
        settings,
        slide,
        card,
        shared_model(card.name, settings.device),
        kept,
        path,
        progress=progress,
        cancelled=cancelled,
    )


def sample_rows(probability: NDArray[np.float64], *, sample: int, seed: str) -> NDArray[np.intp]:
    """Choose tiles: half of them the most suspicious, which carry the call, the rest at random; all if they are few.

    Args:
        probability: (N,) of the target.
        sample: How many.
        seed: The same seed chooses the same tiles.

    Returns:
        Rows in rising order.
    """
    if len(probability) <= sample:
        return np.arange(len(probability))
    order = np.argsort(-probability, kind="stable")
    first = order[: sample // 2]
    numbers = np.frombuffer(seed.encode(), np.uint8).astype(np.uint32)
    rest = np.random.default_rng(numbers).choice(order[sample // 2 :], size=sample - len(first), replace=False)
    return np.sort(np.concatenate([first, rest]))


def _begun(settings: Settings, slide: SlideRecord, card: ModelCard, *, run_id: str, sample: int) -> RobustnessFile:
    table = RunFolder.of(settings, slide.slide_id, run_id).read_tiles()
    if len(table) == 0:
        raise NotFoundError(f"The result of {slide.slide_id} holds no tile.")
    columns = table[[f"prob_{name}" for name in card.classes]].to_numpy(np.float64)
    rows = sample_rows(np.asarray(card.target_probability(columns), np.float64), sample=sample, seed=run_id)
    boxes = table[["x", "y", "width", "height"]].to_numpy(np.int64)[rows]
    return RobustnessFile(slide.slide_id, card.name, card.weights_sha256, run_id, len(table), boxes, {})


def _complete(
    settings: Settings,
    slide: SlideRecord,
    card: ModelCard,
    model: TileModel,
    kept: RobustnessFile,
    path: Path,
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> str:
    wanted = (Perturbation(UNCHANGED, PERTURBATIONS[0].family, "unchanged"), *PERTURBATIONS)
    missing = [one for one in wanted if one.name not in kept.probabilities]
    plain: NDArray[np.uint8] | None = None
    with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
        for done, one in enumerate(missing, start=len(wanted) - len(missing)):
            progress(done, len(wanted))
            if cancelled():
                raise CancelledError("The robustness check was cancelled. Run it again to go on where it stopped.")
            if one.read_scale != 1:
                tiles = _read(reader, kept.boxes, card.tile_px, scale=one.read_scale)
            else:
                plain = _read(reader, kept.boxes, card.tile_px, scale=1) if plain is None else plain
                tiles = plain if one.change is None else one.change(plain)
            kept = kept.with_values(one.name, _predict(card, model, tiles))
            write_robustness(settings, path, kept)
    progress(len(wanted), len(wanted))
    return f"{len(kept.boxes)} of {kept.tiles:,} tiles under {len(PERTURBATIONS)} changes."


def _read(reader: SlideReader, boxes: NDArray[np.int64], tile_px: int, *, scale: float) -> NDArray[np.uint8]:
    """Read (N, tile_px, tile_px, 3); at another scale about the same centres."""
    found = np.empty((len(boxes), tile_px, tile_px, 3), np.uint8)
    for row, (x, y, width, height) in enumerate(boxes.tolist()):
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        region = Region(round(x + (width - wide) / 2), round(y + (height - high) / 2), wide, high)
        found[row] = reader.read(region, Size(tile_px, tile_px))
    return found


def _predict(card: ModelCard, model: TileModel, tiles: NDArray[np.uint8]) -> NDArray[np.float64]:
    parts = [model.predict(tiles[start : start + BATCH]) for start in range(0, len(tiles), BATCH)]
    return np.asarray(card.target_probability(np.concatenate(parts)), np.float64)
