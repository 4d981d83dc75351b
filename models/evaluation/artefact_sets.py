"""Held-out tiles for the artefact network: simulated ones in a fixed set, and the windows of a real picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.artefacts.classes import CLASSES
from models.artefacts.sources import TilePlan, read_sources
from models.artefacts.tiles import TILE_PX, Look, TileMaker
from models.data.splits import Split

SCALES_UM_PER_PX = (0.5, 1.0, 2.0, 4.0)
"""At which tiles are shown to the network. Slides finer than its own scale are read at that scale."""

_KINDS_AT: Mapping[float, dict[str, float]] = MappingProxyType(
    {
        0.5: {"region": 1.0},
        1.0: {"lung": 0.5, "region": 0.5},
        2.0: {"lung": 0.5, "region": 0.5},
        4.0: {"idc": 0.6, "region": 0.4},
    }
)
"""Sources that reach a scale without being enlarged, with their shares."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """N tiles of sources that no training saw; entry i of every field belongs together."""

    images: NDArray[np.uint8]
    """(N, TILE_PX, TILE_PX, 3)."""
    labels: NDArray[np.int64]
    """(N,) index into CLASSES."""
    groups: NDArray[np.str_]
    """(N,) patient, original image or band."""
    ihc: NDArray[np.bool_]
    """(N,) recoloured as immunohistochemistry."""
    um_per_px: NDArray[np.float64]
    """(N,) scale asked for; nan where it was left to chance."""


def makers(data: Path, plan: TilePlan, split: Split) -> tuple[TileMaker, TileMaker]:
    """Return the makers of training tiles and of test tiles.

    Raises:
        InputError: a source cannot be read.
    """
    whole = TileMaker(read_sources(data, plan)[0], plan.weights, plan.ihc_share, plan.real_share)
    return whole.of_groups(split.train), whole.of_groups(split.test)


def simulated(maker: TileMaker, *, each: int, clean: int, seed: int, um_per_px: float | None = None) -> HeldOut:
    """Make a fixed set: half H&E, half immunohistochemistry, no empty glass.

    Args:
        maker: Of the sources to use.
        each: Tiles of every artefact class.
        clean: Tiles without an artefact.
        seed: Same seed, same set.
        um_per_px: Scale; None leaves it to chance.
    """
    if um_per_px is not None:
        kinds = _KINDS_AT[um_per_px]
        maker = TileMaker(tuple(source for source in maker.sources if source.kind in kinds), kinds, maker.ihc_share)
    labels = np.repeat(np.arange(len(CLASSES)), [clean, *[each] * (len(CLASSES) - 1)])
    ihc = np.arange(len(labels)) % 2 == 1
    tiles = [
        maker.one(
            int(label),
            np.random.default_rng((seed, row)),
            look=Look(ihc=bool(brown), um_per_px=um_per_px, glass_share=0.0),
        )
        for row, (label, brown) in enumerate(zip(labels, ihc, strict=True))
    ]
    return HeldOut(
        np.stack([tile.image for tile in tiles]),
        labels.astype(np.int64),
        np.array([tile.group for tile in tiles]),
        ihc,
        np.full(len(labels), np.nan if um_per_px is None else um_per_px),
    )


def windows(height: int, width: int, *, stride_px: int = TILE_PX // 2) -> Iterator[tuple[int, int]]:
    """Yield the upper left corners (y, x) of overlapping tiles; the last ones end with the picture."""
    for y in _starts(height, stride_px):
        for x in _starts(width, stride_px):
            yield y, x


def cut_windows(
    image: NDArray[np.uint8], *, stride_px: int = TILE_PX // 2
) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """Return the tiles (N, TILE_PX, TILE_PX, 3) of a picture and their corners; a smaller picture is mirrored."""
    missing = tuple((0, max(0, TILE_PX - side)) for side in image.shape[:2])
    whole = np.pad(image, (*missing, (0, 0)), mode="symmetric")
    corners = list(windows(whole.shape[0], whole.shape[1], stride_px=stride_px))
    return np.stack([whole[y : y + TILE_PX, x : x + TILE_PX] for y, x in corners]), corners


def _starts(length: int, stride: int) -> list[int]:
    last = max(0, length - TILE_PX)
    return sorted({*range(0, last + 1, stride), last})
