"""How well the shipped artefact network tells artefacts: simulated ones on unseen sources, and the real ones there are.

    python -m models.evaluation.artefacts --data DIR --table    # measures, and writes the tables into models/README.md
    python -m models.evaluation.artefacts --table               # writes the tables from the stored figures

The shares of artefact tiles in a batch are trained by `python -m models.evaluation.artefact_shares`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from models.artefacts.classes import CLASSES
from models.artefacts.sources import TilePlan
from models.artefacts.tiles import TileMaker
from models.cards import SHIPPED, load_card
from models.data.splits import read_split
from models.evaluation.artefact_features import forest_probabilities
from models.evaluation.artefact_real import (
    BY_EYE,
    breast_by_eye,
    clean_pictures,
    damage_tiles,
    defocus_grades,
    masked_pictures,
)
from models.evaluation.artefact_scores import class_scores
from models.evaluation.artefact_sets import SCALES_UM_PER_PX, HeldOut, makers, simulated
from models.evaluation.artefact_shares import CONFIG, RESULTS, SHARES, TEST_SEED, held_out
from models.evaluation.artefact_table import MARKERS, markdown
from models.evaluation.comparison_table import replace_between
from models.evaluation.measuring import predict_probabilities
from models.registry import load_model
from models.torch_model import TorchTileModel
from models.training.config import read_config

NAME = "artefacts"
FIGURES = "figures.json"
HELD = "held_out.npz"
PIXELS = "pixels.json"
"""Written by benchmarks/artefact_table.py, which runs the whole of quality control."""
FOREST_TILES = 6000
"""Tiles of the training part that the forest learns from, half of them with an artefact."""

_LOG = logging.getLogger(__name__)


def measure(data: Path, *, results: Path = RESULTS, root: Path = SHIPPED) -> dict[str, object]:
    """Measure everything and store it.

    Args:
        data: Folder of the real data.
        results: Where figures are kept.
        root: Registry of the network.

    Raises:
        InputError: a source cannot be read.
        ModelError: there is no such model.
    """
    config = read_config(CONFIG)
    model = load_model(NAME, root=root)
    train, test = makers(data, config.artefacts or TilePlan(), read_split(config.split))
    breast = tuple(source for source in test.sources if source.kind == "idc")
    tiles = held_out(test)
    probabilities = predict_probabilities(model, tiles.images)
    _LOG.info("Held-out tiles are measured.")
    figures: dict[str, object] = {
        "weights_sha256": load_card(NAME, root=root).weights_sha256,
        "tiles": len(tiles.labels),
        "sources": len(set(tiles.groups.tolist())),
        "network": class_scores(tiles.labels, probabilities, tiles.groups),
        "by_hand": class_scores(tiles.labels, by_hand(train, tiles, seed=config.seed), tiles.groups),
        "stain": {
            name: class_scores(tiles.labels[part], probabilities[part], tiles.groups[part], draws=100)
            for name, part in (("H&E", ~tiles.ihc), ("IHC", tiles.ihc))
        },
        "scale": {f"{scale:g}": at_scale(model, test, scale) for scale in SCALES_UM_PER_PX},
        "speed": speed(model, tiles),
        "by_eye": breast_by_eye(model, data, listed=results / BY_EYE, clean=breast),
        "masks": masked_pictures(model, data),
        "damage_tiles": damage_tiles(model, data),
        "clean": clean_pictures(model, data),
        "defocus": defocus_grades(model, breast),
    }
    digest = hashlib.sha256(tiles.images.tobytes()).hexdigest()
    np.savez_compressed(results / HELD, labels=tiles.labels.astype(np.uint8), groups=tiles.groups, sha256=digest)
    (results / FIGURES).write_text(json.dumps(_rounded(figures), indent=1) + "\n", encoding="utf-8")
    return figures


def by_hand(train: TileMaker, tiles: HeldOut, *, seed: int) -> NDArray[np.float64]:
    """Fit the hand-crafted baseline on training tiles and return its (N, C) probabilities of the held-out ones."""
    random = np.random.default_rng(seed)
    spoilt = random.random(FOREST_TILES) < 0.5
    labels = np.where(spoilt, random.integers(1, len(CLASSES), FOREST_TILES), 0).astype(np.int64)
    return forest_probabilities(train.draw(labels, seed=(seed, 1)), labels, tiles.images, seed=seed)


def at_scale(model: TorchTileModel, test: TileMaker, scale: float) -> Mapping[str, Mapping[str, float]]:
    """Measure on tiles of one scale, um/px, of sources that reach it."""
    tiles = simulated(test, each=60, clean=420, seed=TEST_SEED + 1, um_per_px=scale)
    found = class_scores(tiles.labels, predict_probabilities(model, tiles.images), tiles.groups, draws=100)
    return {**found, "sources": {"value": float(len(set(tiles.groups.tolist())))}}


def speed(model: TorchTileModel, tiles: HeldOut) -> Mapping[str, float]:
    """Return CPU milliseconds a tile in batches of 64, and of what 40 mm2 of tissue need with half-tile steps."""
    batch = tiles.images[:64]
    model.predict(batch)
    started = time.process_time()
    for _ in range(4):
        model.predict(batch)
    each = (time.process_time() - started) / (4 * len(batch))
    step_mm = model.tile_px / 2 * model.mpp / 1000
    return {"cpu_ms_per_tile": 1000 * each, "tiles_40_mm2": 40 / step_mm**2, "cpu_s_40_mm2": 40 / step_mm**2 * each}


def shares(*, results: Path = RESULTS) -> dict[str, Mapping[str, Mapping[str, float]]]:
    """Measure the stored logits of the networks trained with other shares; those never trained are left out."""
    held = np.load(results / HELD)
    found: dict[str, Mapping[str, Mapping[str, float]]] = {}
    for name in SHARES:
        path = results / f"share-{name}.npz"
        if path.exists():
            logits = np.load(path)["logits"].astype(np.float64)
            found[name] = class_scores(held["labels"].astype(np.int64), softmax(logits, axis=1), held["groups"])
    return found


def table(*, results: Path = RESULTS) -> str:
    """Return the Markdown that stands in models/README.md, from what is stored."""
    figures = json.loads((results / FIGURES).read_text(encoding="utf-8"))
    pixels = results / PIXELS
    measured = json.loads(pixels.read_text(encoding="utf-8")) if pixels.exists() else None
    return markdown(figures, shares(results=results), pixels=measured)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluation.artefacts", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, help="folder of the real data: measure again")
    parser.add_argument("--table", action="store_true", help="write the tables into models/README.md")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if options.data is not None:
        measure(options.data)
    if options.table:
        readme = SHIPPED / "README.md"
        text = replace_between(readme.read_text(encoding="utf-8"), table(), markers=MARKERS)
        readme.write_text(text, encoding="utf-8")


def _rounded(value: object) -> object:
    """Keep four digits after the point; what is not defined becomes null."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in cast("Mapping[str, object]", value).items()}
    return value


if __name__ == "__main__":
    main()
