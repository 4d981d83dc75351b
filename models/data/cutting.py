"""Which tiles of an annotated slide become training patches, and of which class. Pure: slides are read elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

NO_CLASS = -1
"""Label of a tile that is not learnt from."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How patches are cut from slides: the table [cutting] of a training configuration."""

    annotations: Path
    """Folder with `<slide id>.geojson` for every slide, as QuPath exports them."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Class -> classifications in QuPath that mean it; a class that is not listed is called by its own name."""
    stride: Mapping[str, float] = field(default_factory=dict[str, float])
    """Class -> step from tile to tile in sides of a tile; 1, side by side, where not listed. A rare class gets more
    patches by a smaller one; they overlap, so they are not independent."""
    elsewhere: str = ""
    """Class of tissue that no annotation touches; empty if such tissue is not learnt from."""
    min_overlap: float = 0.5
    """Share of a tile that annotations of its class must cover, above 0 and at most 1."""
    min_tissue: float = 0.25
    """Share of a tile that must be tissue."""
    most_per_slide: int = 0
    """Patches of a class that one slide gives at most, drawn at random with the run's seed; 0 takes all."""

    def __post_init__(self) -> None:
        if not 0 < self.min_overlap <= 1 or not 0 <= self.min_tissue <= 1:
            raise InputError("min_overlap and min_tissue of [cutting] are shares of a tile, between 0 and 1.")
        if self.most_per_slide < 0:
            raise InputError("most_per_slide of [cutting] must not be negative; 0 takes all.")
        for name, step in self.stride.items():
            if not (math.isfinite(step) and 0 < step <= 10):
                raise InputError(f"The stride of {name} is {step}; it must be above 0 and at most 10 sides of a tile.")

    def check_names(self, classes: Sequence[str]) -> None:
        """Refuse a table that speaks of classes that do not exist.

        Raises:
            InputError: the classes are named.
        """
        used = {*self.names, *self.stride, *([self.elsewhere] if self.elsewhere else [])}
        unknown = sorted(used - set(classes))
        if unknown:
            raise InputError(f"[cutting] speaks of {', '.join(unknown)}; the classes are {', '.join(classes)}.")

    def class_of(self, classification: str, classes: Sequence[str]) -> int:
        """Return the label that a classification in QuPath means, or `NO_CLASS`; capitals do not matter."""
        wanted = classification.strip().casefold()
        for label, name in enumerate(classes):
            if wanted in {text.casefold() for text in self.names.get(name, (name,))}:
                return label
        return NO_CLASS


def label_tiles(
    shares: NDArray[np.float64],
    *,
    other: NDArray[np.float64],
    min_overlap: float,
    elsewhere: int = NO_CLASS,
) -> NDArray[np.int64]:
    """Label tiles by what annotations cover of them.

    Args:
        shares: (N, C) share of each tile that annotations of each class cover, 0-1.
        other: (N,) share that annotations of no known class cover.
        min_overlap: Least share of the class that covers most.
        elsewhere: Label of tiles that no annotation touches, or `NO_CLASS`.

    Returns:
        (N,) labels. `NO_CLASS` where two classes cover equally much, where none covers enough, and where an annotation
        of no known class covers more.
    """
    ordered = np.sort(shares, axis=1)
    most, second = ordered[:, -1], ordered[:, -2] if shares.shape[1] > 1 else np.zeros(len(shares))
    clear = (most >= min_overlap) & (most > second) & (most > other)
    labels = np.where(clear, shares.argmax(axis=1), NO_CLASS)
    untouched = (most == 0) & (other == 0)
    return np.where(untouched, elsewhere, labels).astype(np.int64)


def draw(rows: NDArray[np.intp], *, most: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Return at most `most` of the rows, drawn at random, in their order; all of them if `most` is 0."""
    if most == 0 or len(rows) <= most:
        return rows
    return np.sort(random.choice(rows, most, replace=False))
