"""Tiles as the network meets them: drawn from clean sources, given an artefact or none, seen by a camera."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from models.artefacts.change import Image, Simulation
from models.artefacts.classes import CLASSES, NEEDS_TISSUE, SIMULATIONS
from models.artefacts.defocus import SHARP_PX, gaussian
from models.artefacts.shapes import Random, log_uniform
from models.artefacts.sources import Source, tissue_share
from models.artefacts.staining import as_ihc, bland, glass, light_and_camera, pigment, vary_he
from models.artefacts.structures import border, clefts, fat, lumens

TILE_PX = 64
"""Side of a tile."""
MARGIN_PX = 12
"""Drawn around a tile and cut off at the end, so that blur and shifts meet real surroundings."""
CORE_SHARE = 0.08
"""Share of a tile's middle half that an artefact must plainly cover for the tile to carry its name."""
MIN_TISSUE = 0.35
"""Share of tissue in a tile for classes that speak of tissue."""
GLASS_SHARE = 0.06
"""Share of tiles that are empty glass, for classes that may lie on it."""
_Kind = TypeVar("_Kind", bound=np.generic)

_ORDINARY = ((bland, 0.12), (clefts, 0.1), (lumens, 0.06), (fat, 0.06), (border, 0.05))
"""What varies in ordinary tissue, and in which share of tiles it is added."""
_TRIES = 12
_ZOOM = {"idc": (0.9, 1.4), "lung": (0.34, 0.95), "region": (0.083, 1.0)}
"""Kind of source -> tile pixels for a pixel of the source, lowest and highest."""
_MOSAIC_ZOOM = (0.4, 0.8)
MOSAIC_SHARE = 0.12
"""Share of breast tiles that show a mosaic of patches, at 5 to 10 um/px."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the tile should be like; None leaves it to chance."""

    ihc: bool | None = None
    um_per_px: float | None = None
    """Wanted scale; the nearest that the source allows is taken."""
    glass_share: float = GLASS_SHARE
    """Share of empty glass."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A finished tile."""

    image: NDArray[np.uint8]
    """(TILE_PX, TILE_PX, 3) RGB."""
    group: str
    """Where its tissue comes from; "glass" for empty glass."""


@dataclass(frozen=True, slots=True, eq=False)
class TileMaker:
    """Makes tiles out of the sources of one part of the split."""

    sources: tuple[Source, ...]
    weights: dict[str, float]
    """Kind -> share of the tiles."""
    ihc_share: float = 0.3
    """Share of tiles recoloured as immunohistochemistry."""
    real_share: float = 0.0
    """Share of the artefact tiles of a class that are made of its real examples, where there are any."""

    def of_groups(self, groups: Collection[str]) -> TileMaker:
        """Return a maker that knows these groups only."""
        wanted = set(groups)
        return replace(self, sources=tuple(source for source in self.sources if source.group in wanted))

    def draw(self, labels: NDArray[np.int64], *, seed: Sequence[int]) -> NDArray[np.uint8]:
        """Return a tile for each label, of sources drawn anew: (N, TILE_PX, TILE_PX, 3)."""
        tiles = [self.one(int(label), np.random.default_rng((*seed, row))).image for row, label in enumerate(labels)]
        return np.stack(tiles) if tiles else np.empty((0, TILE_PX, TILE_PX, 3), np.uint8)

    def one(self, label: int, random: Random, *, source: Source | None = None, look: Look | None = None) -> Tile:
        """Return one tile.

        Args:
            label: Index into CLASSES.
            random: Source of chance; the same state gives the same tile.
            source: Where its tissue comes from; None draws one.
            look: Stain and scale; None leaves both to chance.
        """
        name = CLASSES[label]
        simulation = SIMULATIONS.get(name)
        look = look or Look()
        if source is None and random.random() < self.real_share and (real := self._real(name)):
            return self._shown(real[int(random.integers(len(real)))], random)
        if source is None and name not in NEEDS_TISSUE and random.random() < look.glass_share:
            tile, group = glass(TILE_PX + 2 * MARGIN_PX, random), "glass"
        else:
            cut_out, group = self._tissue(name, random, source, look)
            tile = self._stained(isometry(cut_out, random).astype(np.float32), random, look)
        if simulation is not None:
            tile = with_artefact(tile, simulation, random)
        return Tile(camera(_middle(tile, TILE_PX), random), group)

    def _tissue(self, name: str, random: Random, source: Source | None, look: Look) -> tuple[NDArray[np.uint8], str]:
        """Cut with margin until there is tissue enough for the class; after some tries take what there is."""
        side = TILE_PX + 2 * MARGIN_PX
        tries = 1 if name not in NEEDS_TISSUE else _TRIES
        chosen = source or self._source(random)
        found = cut(chosen, random, side_px=side, um_per_px=look.um_per_px)
        while tries > 1 and tissue_share(_middle(found, TILE_PX)) < MIN_TISSUE:
            tries -= 1
            chosen = source or self._source(random)
            found = cut(chosen, random, side_px=side, um_per_px=look.um_per_px)
        return found, chosen.group

    def _real(self, name: str) -> list[Source]:
        """Return the real examples of a class, each as a source of its own."""
        return [
            replace(source, images=(image,)) for source in self.sources for kind, image in source.seen if kind == name
        ]

    def _shown(self, real: Source, random: Random) -> Tile:
        """Show a real example as it is, but for light and camera: its colours are its own."""
        found = isometry(cut(real, random, side_px=TILE_PX + 2 * MARGIN_PX, mosaics=False), random)
        tile = light_and_camera(found.astype(np.float32), random)
        return Tile(camera(_middle(tile, TILE_PX), random), real.group)

    def _stained(self, tile: Image, random: Random, look: Look) -> Image:
        ihc = random.random() < self.ihc_share if look.ihc is None else look.ihc
        for change, share in _ORDINARY:
            if random.random() < share:
                tile = change(tile, random)
        tile = as_ihc(tile, random) if ihc else vary_he(tile, random)
        if random.random() < 0.08:
            tile = pigment(tile, random)
        return light_and_camera(np.clip(tile, 0, 255), random)

    def _source(self, random: Random) -> Source:
        kinds = sorted({source.kind for source in self.sources})
        weight = np.array([self.weights.get(kind, 0) for kind in kinds], np.float64)
        kind = kinds[int(random.choice(len(kinds), p=weight / weight.sum()))]
        among = [source for source in self.sources if source.kind == kind]
        return among[int(random.integers(len(among)))]


def cut(
    source: Source, random: Random, *, side_px: int, um_per_px: float | None = None, mosaics: bool = True
) -> NDArray[np.uint8]:
    """Cut (side_px, side_px, 3) out of a source, at a scale drawn or wanted; what it lacks is mirrored.

    Args:
        source: Clean images of one group.
        random: Source of chance.
        side_px: Side of the result.
        um_per_px: Wanted scale, taken as near as the source allows; None draws one.
        mosaics: Whether breast patches may be laid side by side for coarse scales.
    """
    image = source.images[int(random.integers(len(source.images)))]
    low, high = _ZOOM[source.kind]
    if mosaics and um_per_px is None and source.kind == "idc" and random.random() < MOSAIC_SHARE:
        image, low, high = mosaic(source, random), *_MOSAIC_ZOOM
    zoom = log_uniform(random, low, high) if um_per_px is None else np.clip(source.um_per_px / um_per_px, low, high)
    height, width = image.shape[:2]
    field = min(side_px / float(zoom), height, width)
    left, top = _corner(image, random, field=field, choosy=source.kind == "region")
    inner = image[int(top) : int(np.ceil(top + field)), int(left) : int(np.ceil(left + field))]
    out = min(side_px, round(field * float(zoom)))
    box = (left % 1, top % 1, min(left % 1 + field, inner.shape[1]), min(top % 1 + field, inner.shape[0]))
    resampling = Pillow.Resampling.BICUBIC if random.random() < 0.5 else Pillow.Resampling.BILINEAR
    found = np.asarray(Pillow.fromarray(np.ascontiguousarray(inner)).resize((out, out), resampling, box=box))
    before = (side_px - out) // 2
    margin = (before, side_px - out - before)
    return np.pad(found, (margin, margin, (0, 0)), mode="symmetric")


def _corner(image: NDArray[np.uint8], random: Random, *, field: float, choosy: bool) -> tuple[float, float]:
    """Draw the left and upper edge of a square field; a choosy draw avoids glass, of which a slide is mostly made."""
    height, width = image.shape[:2]
    left = top = 0.0
    for _ in range(4):
        left, top = random.random() * (width - field), random.random() * (height - field)
        seen = image[int(top) : int(top + field) : 4, int(left) : int(left + field) : 4]
        if not choosy or tissue_share(seen) > 0.15 or random.random() < 0.1:
            break
    return left, top


def mosaic(source: Source, random: Random) -> NDArray[np.uint8]:
    """Lay nine breast patches of a patient side by side, their borders blended: tissue for coarse scales.

    The patches are no neighbours in truth; where they meet the tissue changes within a few pixels.
    """
    side, lap = 50, 12
    step = side - lap
    ramp = np.minimum(np.arange(side) + 1, np.arange(side, 0, -1)).clip(max=lap) / lap
    weight = (ramp[:, None] * ramp[None])[..., None].astype(np.float32)
    total = np.zeros((3 * step + lap, 3 * step + lap, 3), np.float32)
    amount = np.zeros((*total.shape[:2], 1), np.float32)
    for row in range(3):
        for column in range(3):
            piece = isometry(source.images[int(random.integers(len(source.images)))], random)
            place = np.s_[row * step : row * step + side, column * step : column * step + side]
            total[place] += weight * piece[:side, :side]
            amount[place] += weight
    return (total / amount).round().astype(np.uint8)


def isometry(tile: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """Return a tile under one of the eight symmetries of the square."""
    turned = np.rot90(tile, int(random.integers(4)))
    return turned[:, ::-1] if random.random() < 0.5 else turned


def camera(tile: Image, random: Random) -> NDArray[np.uint8]:
    """Return the tile as a file holds it: a trace of blur or sharpening, noise, and, mostly, JPEG."""
    kind = random.random()
    if kind < 0.4:
        tile = gaussian(tile, sigma_px=random.uniform(0.15, SHARP_PX))
    elif kind < 0.55:
        tile = tile + random.uniform(0.2, 0.8) * (tile - gaussian(tile, sigma_px=0.8))
    tile = tile + random.normal(0, random.uniform(0, 2.5), tile.shape)
    image = np.clip(np.rint(tile), 0, 255).astype(np.uint8)
    if random.random() < 0.75:
        buffer = BytesIO()
        Pillow.fromarray(image).save(buffer, "JPEG", quality=int(random.integers(35, 96)))
        image = np.asarray(Pillow.open(buffer).convert("RGB"))
    return image


def with_artefact(clean: Image, simulation: Simulation, random: Random) -> Image:
    """Simulate until the artefact plainly lies in the middle half of the tile; after some tries take the plainest."""
    best, image = -1.0, clean
    for _ in range(_TRIES):
        found = simulation(clean, random)
        share = float(_middle(found.core, TILE_PX // 2).mean())
        if share > best:
            best, image = share, found.image
        if share >= CORE_SHARE:
            break
    return image


def _middle(array: NDArray[_Kind], side_px: int) -> NDArray[_Kind]:
    top, left = ((length - side_px) // 2 for length in array.shape[:2])
    return array[top : top + side_px, left : left + side_px]
