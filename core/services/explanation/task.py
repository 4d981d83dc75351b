"""What the worker does for a job of kind explain: maps of a tile, or what the networks see on a whole slide."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.domain import Region, Size
from core.errors import CancelledError, InputError, NotFoundError
from core.explain import Method, superpixels
from core.services import catalogue
from core.services.analysis.fit import fit_settings
from core.services.analysis.tile_columns import target_name
from core.services.explanation import files as explain_files
from core.services.explanation.explain import EMBEDDINGS, TILE, VERSION, WHAT, Place
from core.services.explanation.index import embed_slide
from core.settings import Settings
from core.slides import SlideReader, open_slide, sha256_of
from core.store.records import OVERRIDE, Json
from models.cards import ModelCard, load_card
from models.explanation.path_gradients import TOLERANCE
from models.explanation.target_model import TargetModel, load_target_model
from models.explanation.tile import LIME_SEEDS, WEIGHT_SEEDS, ExplainedTile, explain_tile

PIECES = 25
"""Superpixels of a tile, about: of 200 um each is some 40 um wide, a few nuclei."""
VIEW_PX = 400
"""Longest side of the picture for people."""


def run(
    settings: Settings,
    slide_id: str,
    payload: Json,
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> str:
    """Carry out one request; asking again for what is there already costs nothing.

    Returns:
        A sentence for the list of jobs.

    Raises:
        InputError: the payload asks for something unknown.
        NotFoundError, NotApplicableError, UnreadableSlideError, ModelError, StorageError, CancelledError: as the
            stages raise them.
    """
    what = payload.get(WHAT)
    if what == EMBEDDINGS:
        return embed_slide(settings, slide_id, str(payload["model"]), progress=progress, cancelled=cancelled)
    if what == TILE:
        return _explain(settings, slide_id, payload, progress=progress, cancelled=cancelled)
    raise InputError(f"An explanation of {what!r} cannot be computed; known are {TILE} and {EMBEDDINGS}.")


def _explain(
    settings: Settings,
    slide_id: str,
    payload: Json,
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> str:
    slide, card = catalogue.get_slide(settings, slide_id), load_card(str(payload["model"]))
    x, y, width, height = (int(cast(Any, payload[name])) for name in ("x", "y", "width", "height"))
    place = Place(slide, card, Region(x, y, width, height))
    done = f"The explanation of the tile at {x}, {y} by {card.name} is ready."
    if explain_files.read(settings, slide_id, place.digest) is not None:
        return done
    started = time.monotonic()
    with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
        if sha256_of(Path(slide.path)) != slide.sha256:
            raise InputError(f"The file of {slide_id} is not the one that was analysed. Analyse it again first.")
        _check_fit(settings, place, reader)
        tile = reader.read(place.region, Size(card.tile_px, card.tile_px))
        view = reader.read(place.region, _view_size(place.region))
    pieces = superpixels(tile, count=PIECES)
    model = shared_target_model(card.name)
    found = explain_tile(model, tile, pieces, step=partial(_step, progress, cancelled))
    header = _header(place, found, networks=len(model.members), seconds=time.monotonic() - started)
    arrays = {"tile": tile, "view": view, "pieces": pieces, "lime_weights": found.lime_weights, **_arrays(found)}
    explain_files.write(settings, slide_id, place.digest, header=header, arrays=arrays)
    progress(1, 1)
    return done


@lru_cache(maxsize=2)
def shared_target_model(name: str) -> TargetModel:
    """Load a model for explanations once per process."""
    return load_target_model(name)


def _check_fit(settings: Settings, place: Place, reader: SlideReader) -> None:
    """Refuse a model on a slide that it is not made for, unless the slide was analysed with it all the same."""
    mpp = reader.info.mpp
    if mpp is None:
        raise NotFoundError(f"The scale of {place.slide.slide_id} is not known. Analyse it with its scale first.")
    runs = catalogue.slide_runs(settings, place.slide.slide_id)
    if not any(one.model == place.card.name and OVERRIDE in one.settings for one in runs):
        fit_settings(place.card, place.slide, mpp, override=None)


def _step(progress: Callable[[int, int], None], cancelled: Callable[[], bool], done: int, total: int) -> None:
    if cancelled():
        raise CancelledError("The explanation was cancelled. Ask again to compute it.")
    progress(done, total)


def _view_size(region: Region) -> Size:
    scale = min(1.0, VIEW_PX / max(region.width, region.height))
    return Size(max(1, round(region.width * scale)), max(1, round(region.height * scale)))


def _arrays(found: ExplainedTile) -> Mapping[str, NDArray[np.float32]]:
    maps = {f"map_{method.value}": found.maps[method.value] for method in Method}
    random = {f"random_{method.value}": np.stack(found.random[method.value]) for method in Method}
    return maps | random


def _header(place: Place, found: ExplainedTile, *, networks: int, seconds: float) -> Json:
    card: ModelCard = place.card
    return {
        **place.payload,
        "slide_id": place.slide.slide_id,
        "weights_sha256": card.weights_sha256,
        "target": card.positive_title or target_name(card.positive_classes),
        "probability": found.probability,
        "of_glass": found.of_glass,
        "missing": found.missing,
        "is_complete": abs(found.missing) <= TOLERANCE,
        "networks": networks,
        "grains": dict(found.grains),
        "facts": {
            "version": VERSION,
            "digest": place.digest,
            "slide_sha256": place.slide.sha256,
            "lime_seeds": list(LIME_SEEDS),
            "weight_seeds": list(WEIGHT_SEEDS),
            "superpixels": int(found.lime_weights.shape[1]),
            "code_version": version("second-read"),
            "created_at_utc": datetime.now(UTC).isoformat(),
            "seconds": round(seconds, 2),
        },
    }
