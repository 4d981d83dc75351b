"""Clean real tissue from which tiles are drawn: breast patches, lung tiles, one slide; in groups of the split."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from scipy import ndimage

from core.errors import InputError

REGION_MPP = 0.499
"""um/px of CMU-1-Small-Region, as its header states."""
IDC_MPP = 4.0
"""um/px of the breast patches: inferred from their grid, not stated by the authors."""
LUNG_MPP = 0.63
"""um/px of the lung tiles as they are kept here: a guess from nuclei of about 8 um, the authors state none. Used
only to choose how far they are reduced."""

KINDS = ("idc", "lung", "region")
"""Kinds of sources."""

_LUNG_PX = 160
"""Side to which lung tiles are reduced when they are read: the finest scale that is used needs no more."""


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Where clean tissue comes from and how tiles are made of it: the table [artefacts] of a training configuration."""

    idc: str = "idc"
    """Folder of breast patches below `data`."""
    lung: str = "lung"
    """Folder of lung tiles below `data`."""
    lung_copies: int = 2
    """Augmented copies of an original lung image that are used; they resemble each other."""
    region: str = "slides/CMU-1-Small-Region.svs"
    """Slide below `data`; empty for none."""
    region_bands: int = 5
    """Bands into which the slide is divided from top to bottom; each is a group of the split."""
    weights: dict[str, float] = field(default_factory=lambda: {"idc": 0.5, "lung": 0.25, "region": 0.25})
    """Kind -> share of the tiles drawn from it."""
    tiles: int = 12_000
    """Tiles of all parts together. Those of the training part only count: each epoch draws as many anew."""
    prevalence: float = 0.15
    """Share of tiles with an artefact, as a slide with artefacts has it: what validation is calibrated on, and what a
    batch holds where the balance is "none"."""
    ihc_share: float = 0.3
    """Share of tiles recoloured as immunohistochemistry."""
    seen: str = ""
    """CSV of breast patches in which a person saw an artefact (columns file, below `idc`, and seen, a class or another
    word), relative to the configuration; empty for none. None of them counts as clean, and those of the classes are
    real examples for the groups that they belong to."""
    real_share: float = 0.0
    """Share of the artefact tiles of a class that are made of its real examples, where there are any."""

    def __post_init__(self) -> None:
        if self.tiles < 1 or self.lung_copies < 1 or self.region_bands < 1:
            raise InputError("tiles, lung_copies and region_bands of [artefacts] must be at least 1.")
        if not 0 < self.prevalence < 1 or not 0 <= self.ihc_share <= 1 or not 0 <= self.real_share <= 1:
            raise InputError("prevalence, ihc_share and real_share of [artefacts] are shares, between 0 and 1.")
        if set(self.weights) - set(KINDS) or not sum(self.weights.values()) > 0 or min(self.weights.values()) < 0:
            raise InputError(f"weights of [artefacts] must name {', '.join(KINDS)}, with no number below 0.")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The clean images of one group of the split."""

    kind: str
    """idc, lung or region."""
    group: str
    """Patient, original image or band: never divided between training and test."""
    images: tuple[NDArray[np.uint8], ...]
    """Each (H, W, 3) RGB."""
    um_per_px: float
    """Stated for region, inferred for idc, a guess for lung."""
    seen: tuple[tuple[str, NDArray[np.uint8]], ...] = ()
    """Class and image of the group's real artefacts; none of them is among `images`."""


def read_sources(root: Path, plan: TilePlan) -> tuple[tuple[Source, ...], str]:
    """Read all clean images.

    Returns:
        The sources in the order of their groups, and a SHA-256 over what was read.

    Raises:
        InputError: a folder or file is missing or cannot be read, or nothing clean is left of a kind.
    """
    digest = hashlib.sha256()
    found: list[Source] = []
    readers = {"idc": (_idc, plan.idc), "lung": (_lung, plan.lung), "region": (_region, plan.region)}
    for kind, (reader, place) in readers.items():
        if not place or not plan.weights.get(kind, 0):
            continue
        if not (root / place).exists():
            raise InputError(f"There is no {root / place}; [artefacts] of the configuration names it for {kind}.")
        of_kind = list(reader(root / place, plan))
        if not of_kind:
            raise InputError(f"{root / place} holds no clean {kind} tiles.")
        found += of_kind
    for source in found:
        digest.update(source.group.encode())
        for image in source.images:
            digest.update(image.tobytes())
        for name, image in source.seen:
            digest.update(name.encode() + image.tobytes())
    return tuple(found), digest.hexdigest()


def is_clean(image: NDArray[np.uint8]) -> bool:
    """Say whether a breast patch shows tissue and glass only: no ink, no edge of glass, no large black spot.

    The data set was not curated for this: about one patch in twenty shows ink of the surgical margin, the edge of a
    coverslip or dirt. The limits were set by looking at what they let through and what not.
    """
    rgb = image.astype(np.float32)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    high, low = rgb.max(-1), rgb.min(-1)
    black = float((high < 60).mean())
    grey = float(((high - low < 14) & (rgb.mean(-1) < 200)).mean())
    ink = (green > red + 8) | (blue > red + 45) | ((high - low > 60) & (blue < green - 10))
    return black <= 0.01 and grey <= 0.03 and float(ink.mean()) <= 0.02


def tissue_share(image: NDArray[np.floating] | NDArray[np.uint8]) -> float:
    """Return the share of (H, W, 3) that is denser than glass, 0-1."""
    grey = -np.log((np.asarray(image, np.float32).mean(-1) + 1) / 256)
    return float((ndimage.uniform_filter(grey, 3) > 0.1).mean())


def _idc(root: Path, plan: TilePlan) -> Iterator[Source]:
    seen: Mapping[str, str] = _seen(Path(plan.seen)) if plan.seen else {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        images = {file.relative_to(root).as_posix(): _open(file) for file in sorted(folder.glob("*/*.png"))}
        large = {name: image for name, image in images.items() if min(image.shape[:2]) >= 50}
        clean = tuple(image for name, image in large.items() if name not in seen and is_clean(image))
        real = tuple((seen[name], image) for name, image in large.items() if name in seen)
        if clean:
            yield Source("idc", f"idc/{folder.name}", clean, IDC_MPP, real)


def _seen(path: Path) -> Mapping[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["file"]: row["seen"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as err:
        raise InputError(f"{path} cannot be read as a table with the columns file and seen: {err}.") from err


def _lung(root: Path, plan: TilePlan) -> Iterator[Source]:
    for folder in sorted(root.glob("*/*")):
        files = sorted(folder.glob("*.jp*g"))[: plan.lung_copies]
        images = tuple(_open(file, side_px=_LUNG_PX) for file in files)
        if images:
            yield Source("lung", f"lung/{folder.parent.name}/{folder.name}", images, LUNG_MPP)


def _region(path: Path, plan: TilePlan) -> Iterator[Source]:
    """Divide the slide into bands; Pillow reads a slide this small as one picture."""
    image = _open(path)
    edges = [image.shape[0] * number // plan.region_bands for number in range(plan.region_bands + 1)]
    for number, (top, bottom) in enumerate(pairwise(edges), start=1):
        yield Source("region", f"region/band_{number}", (image[top:bottom],), REGION_MPP)


def _open(file: Path, *, side_px: int | None = None) -> NDArray[np.uint8]:
    try:
        with Pillow.open(file) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as err:
        raise InputError(f"{file} cannot be read as an image; remove or replace it.") from err
    if side_px is not None and picture.width > side_px:
        picture = picture.resize((side_px, side_px), Pillow.Resampling.BOX)
    return np.asarray(picture)
