"""From tile probabilities to slide scores: seven rules without training, all computed and stored side by side.

Every rule maps an array (N tiles, C classes) of probabilities to one value in 0-1 for each class. The default,
`TOP_K_MEAN`, is made for focal disease: it looks at the most suspicious tiles only, so a lesion of 1 % of the tissue is
not outvoted. Majority and mean answer another question, namely how much of the tissue is affected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]
"""Array (N tiles, C classes); rows sum to 1."""


class Aggregation(StrEnum):
    """The rules, in the order in which they are shown."""

    TOP_K_MEAN = "top_k_mean"
    MAX = "max"
    COUNT_ABOVE = "count_above"
    THRESHOLD = "threshold"
    MEAN = "mean"
    SALIENCY_MEAN = "saliency_mean"
    MAJORITY = "majority"


DEFAULT_AGGREGATION = Aggregation.TOP_K_MEAN

MEANINGS: Mapping[Aggregation, str] = {
    Aggregation.TOP_K_MEAN: "Mean of the most suspicious 2 % of tiles, at least 3. For focal disease; the default.",
    Aggregation.MAX: "The single most suspicious tile. Sensitive, and raised by one false tile.",
    Aggregation.COUNT_ABOVE: "The level that at least 3 tiles reach: no call rests on one or two tiles.",
    Aggregation.THRESHOLD: "Share of tiles above the tile threshold. A class is present from a 5 % share on.",
    Aggregation.MEAN: "Mean over all tiles: how much of the tissue is affected. Misses focal disease.",
    Aggregation.SALIENCY_MEAN: "Mean over all tiles weighted by haematoxylin density: nuclei count more than fat and "
    "collagen. Misses focal disease.",
    Aggregation.MAJORITY: "Share of tiles that vote for the class. Misses focal disease.",
}


@dataclass(frozen=True, slots=True)
class AggregationSettings:
    """Numbers of the rules."""

    top_fraction: float = 0.02
    """Share of tiles that top-k averages."""
    top_minimum: int = 3
    """Fewest tiles that top-k averages, where there are as many."""
    count: int = 3
    """Tiles that must reach a level for count-above."""
    tile_threshold: float = 0.5
    """Probability from which a tile counts for a class in the threshold rule."""
    slide_threshold: float = 0.05
    """Share of tiles from which a class is present in the threshold rule."""


def aggregate(
    probabilities: Probabilities,
    *,
    saliency: NDArray[np.float32] | None = None,
    settings: AggregationSettings | None = None,
) -> dict[Aggregation, NDArray[np.float64]]:
    """Apply every rule.

    Args:
        probabilities: (N, C), N at least 1.
        saliency: (N,) weight of every tile, for instance `core.saliency.haematoxylin_density`; without it the rule
            that needs it is left out.
        settings: Numbers of the rules; the defaults if None.

    Returns:
        For every rule an array (C,) of values in 0-1.

    Raises:
        ValueError: no tiles, or values that are no probabilities or no weights.
    """
    settings = settings or AggregationSettings()
    _check(probabilities)
    weighted = {} if saliency is None else {Aggregation.SALIENCY_MEAN: saliency_mean(probabilities, saliency=saliency)}
    return {
        Aggregation.TOP_K_MEAN: top_k_mean(probabilities, fraction=settings.top_fraction, minimum=settings.top_minimum),
        Aggregation.MAX: probabilities.max(axis=0).astype(np.float64),
        Aggregation.COUNT_ABOVE: count_above(probabilities, count=settings.count),
        Aggregation.THRESHOLD: share_above(probabilities, threshold=settings.tile_threshold),
        Aggregation.MEAN: probabilities.mean(axis=0, dtype=np.float64),
        **weighted,
        Aggregation.MAJORITY: majority(probabilities),
    }


def top_k(count: int, *, fraction: float, minimum: int) -> int:
    """Return how many of `count` tiles the top-k rule averages."""
    return min(count, max(minimum, math.ceil(count * fraction)))


def top_k_mean(probabilities: Probabilities, *, fraction: float, minimum: int) -> NDArray[np.float64]:
    """Mean of the k highest probabilities of each class on its own (DSMIL and MIL top-k pooling practice)."""
    k = top_k(len(probabilities), fraction=fraction, minimum=minimum)
    return np.sort(probabilities, axis=0)[-k:].mean(axis=0, dtype=np.float64)


def count_above(probabilities: Probabilities, *, count: int) -> NDArray[np.float64]:
    """Return the highest level that at least `count` tiles reach: the count-th largest probability of each class.

    "At least `count` tiles are above t" holds exactly if this value is above t, so the rule needs no fixed t to be
    stored. A slide with fewer tiles than `count` has no such level: 0.
    """
    if len(probabilities) < count:
        return np.zeros(probabilities.shape[1:])
    return np.sort(probabilities, axis=0)[-count].astype(np.float64)


def share_above(probabilities: Probabilities, *, threshold: float) -> NDArray[np.float64]:
    """Share of tiles whose probability reaches `threshold`, for each class; several classes may share a tile."""
    return (probabilities >= threshold).mean(axis=0, dtype=np.float64)


def saliency_mean(probabilities: Probabilities, *, saliency: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over all tiles, each weighted by its saliency; where no tile is salient, the plain mean.

    Weighting patches by how much relevant tissue they hold, here by nuclear stain, keeps fat, collagen and glass from
    diluting the mean. It is still a mean: what fills 1 % of the tissue weighs little more than 1 %.

    Args:
        probabilities: (N, C).
        saliency: (N,) at least 0; relative, since it is divided by its sum.

    Raises:
        ValueError: not one finite weight of at least 0 for every tile.
    """
    weights = saliency.astype(np.float64)
    if weights.shape != (len(probabilities),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"Saliency needs one weight of at least 0 for each of {len(probabilities)} tiles.")
    total = weights.sum()
    return probabilities.mean(axis=0, dtype=np.float64) if total <= 0 else weights @ probabilities / total


def majority(probabilities: Probabilities) -> NDArray[np.float64]:
    """Share of tiles that vote for each class; a tie goes to the class listed first."""
    votes = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    return votes / len(probabilities)


def labels_present(
    shares: NDArray[np.float64], *, classes: tuple[str, ...], normal: str, slide_threshold: float
) -> tuple[str, ...]:
    """Return the classes present under the threshold rule: several may be, and `normal` only if none of the others is.

    Args:
        shares: (C,) output of `share_above`.
        classes: Names in the order of `shares`.
        normal: The class that is the fallback and is never present beside another.
        slide_threshold: Share of tiles from which a class is present.
    """
    if normal not in classes:
        raise ValueError(f"{normal!r} is not among the classes {', '.join(classes)}.")
    found = tuple(
        name for name, share in zip(classes, shares, strict=True) if name != normal and share >= slide_threshold
    )
    return found or (normal,)


def carrying_tiles(
    probabilities: NDArray[np.float32], *, settings: AggregationSettings | None = None
) -> NDArray[np.intp]:
    """Return the indices of the tiles that carry the top-k score of one class (N,), most suspicious first."""
    settings = settings or AggregationSettings()
    k = top_k(len(probabilities), fraction=settings.top_fraction, minimum=settings.top_minimum)
    return np.argsort(-probabilities, kind="stable")[:k]


def _check(probabilities: Probabilities) -> None:
    if probabilities.ndim != 2 or len(probabilities) == 0:
        raise ValueError(
            f"Aggregation needs an array (tiles, classes) with at least one tile, got {probabilities.shape}."
        )
    if not np.isfinite(probabilities).all() or probabilities.min() < 0 or probabilities.max() > 1:
        raise ValueError("Aggregation needs probabilities between 0 and 1; the model returned something else.")
