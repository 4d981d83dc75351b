"""The layout "artefacts": clean tissue with simulated artefacts; tiles to learn from are made anew in every epoch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from core.errors import InputError
from models.artefacts.classes import CLASSES
from models.artefacts.sources import Source, TilePlan, read_sources
from models.artefacts.tiles import TILE_PX, TileMaker
from models.data.patches import Patches

ARTEFACTS = "artefacts"
"""Name of the layout."""


def read_artefact_tiles(root: Path, plan: TilePlan, *, classes: tuple[str, ...], tile_px: int, seed: int) -> Patches:
    """Read the clean tissue and make a first set of tiles of it; these stay as they are for validation and test.

    Args:
        root: Folder in which the places of the plan lie.
        plan: Sources, number of tiles and share of artefacts.
        classes: Must be the classes of the simulations, in their order.
        tile_px: Must be the side that the simulations are made for.
        seed: Same seed and data, same tiles.

    Raises:
        InputError: the classes or the side are others, or a source cannot be read.
    """
    if classes != CLASSES or tile_px != TILE_PX:
        raise InputError(f'The layout "{ARTEFACTS}" makes tiles of {TILE_PX} px of the classes {", ".join(CLASSES)}.')
    sources, digest = read_sources(root, plan)
    maker = TileMaker(sources, plan.weights, plan.ihc_share, plan.real_share)
    random = np.random.default_rng((seed, len(sources)))
    rows = _rows(sources, plan, random)
    spoilt = random.random(len(rows)) < plan.prevalence
    labels = np.where(spoilt, random.integers(1, len(CLASSES), len(rows)), 0).astype(np.int64)
    images = np.stack(
        [
            maker.one(int(label), np.random.default_rng((seed, number)), source=source).image
            for number, (source, label) in enumerate(zip(rows, labels, strict=True))
        ]
    )
    content = json.dumps([digest, asdict(replace(plan, seen="")), seed], sort_keys=True)
    return Patches(
        images,
        labels,
        tuple(source.group for source in rows),
        CLASSES,
        hashlib.sha256(content.encode() + images.tobytes()).hexdigest(),
        fresh=maker,
    )


def _rows(sources: tuple[Source, ...], plan: TilePlan, random: np.random.Generator) -> list[Source]:
    """The source of every tile: each kind has its share, and within it every group comes as often as any other.

    Raises:
        InputError: there are fewer tiles than groups, so that some could not be divided into parts.
    """
    kinds = sorted({source.kind for source in sources})
    total = sum(plan.weights[kind] for kind in kinds)
    rows: list[Source] = []
    for kind in kinds:
        among = [source for source in sources if source.kind == kind]
        count = round(plan.tiles * plan.weights[kind] / total)
        if count < len(among):
            raise InputError(f"{count} tiles are fewer than the {len(among)} groups of {kind}; raise tiles.")
        rounds = -(-count // len(among))
        rows += [among[int(index)] for _ in range(rounds) for index in random.permutation(len(among))][:count]
    return rows
