"""The removal test: what a slide's score becomes without the tiles that carry it, without artefact, and only with them.

Everything is recomputed from the stored tile probabilities with the very functions that decided the slide; no network
runs. Deletion and insertion of what matters most follow Petsiuk et al. 2018 (arXiv:1806.07421), with tiles for pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.aggregation import Aggregation, aggregate
from core.explain.slide_tiles import SlideTiles, TileRegion

FEW_TILES = 5
"""A positive call that falls when so many tiles or fewer are taken away rests on few."""
FEW_SHARE = 0.01
"""The same as a share of all tiles."""
POINTS = 20
"""Points of a curve beside its ends."""

Scores = Mapping[Aggregation, float]
"""Score of the target under every rule; empty where no tile is left."""


class Kept(StrEnum):
    """Which tiles a recomputed score looks at."""

    ALL = "all"
    WITHOUT_TOP = "without_top"
    ONLY_TOP = "only_top"
    WITHOUT_ARTEFACT = "without_artefact"
    ONLY_ARTEFACT = "only_artefact"


KEPT_WORDS: Mapping[Kept, str] = {
    Kept.ALL: "All tiles",
    Kept.WITHOUT_TOP: "Without the top regions",
    Kept.ONLY_TOP: "Only the top regions",
    Kept.WITHOUT_ARTEFACT: "Without tiles of artefact",
    Kept.ONLY_ARTEFACT: "Only tiles of artefact",
}


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The slide's scores from some of its tiles."""

    kept: Kept
    tiles: int
    mm2: float
    scores: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Scores while the most suspicious tiles are taken away, and from these tiles alone."""

    tiles: NDArray[np.int64]
    """(P,) most suspicious tiles taken away, ascending from 0."""
    without: Mapping[Aggregation, NDArray[np.float64]]
    """(P,) the score without them."""
    only: Mapping[Aggregation, NDArray[np.float64]]
    """(P,) the score from them alone; NaN at 0 tiles."""


@dataclass(frozen=True, slots=True)
class Turning:
    """When a positive call turns."""

    rule: Aggregation
    threshold: float
    score: float
    """With all tiles."""
    tiles: int | None
    """Fewest most suspicious tiles without which the score is below the threshold; None if all but one do not do."""
    mm2: float | None
    share: float | None
    """Of all tiles."""
    score_without: float | None

    @property
    def rests_on_few(self) -> bool:
        """Whether the call hangs on a few tiles."""
        if self.tiles is None or self.share is None:
            return False
        return self.tiles <= FEW_TILES or self.share <= FEW_SHARE


@dataclass(frozen=True, slots=True, eq=False)
class RemovalTest:
    """The whole test of one slide."""

    recomputed: tuple[Recomputed, ...]
    """In the order of `Kept`; what would look at no tile has no scores."""
    curve: Curve
    turning: Mapping[Aggregation, Turning]
    """For every rule with a threshold under which the slide is called."""
    regions_removed: int

    def scores_of(self, kept: Kept) -> Scores:
        """Return the scores of one choice of tiles."""
        return next(one.scores for one in self.recomputed if one.kept is kept)


def removal_test(
    tiles: SlideTiles,
    *,
    thresholds: Mapping[Aggregation, float],
    regions: tuple[TileRegion, ...],
    remove: int = 1,
    points: int = POINTS,
) -> RemovalTest:
    """Recompute a slide's scores from parts of its tiles.

    Args:
        tiles: Of the slide, at least one.
        thresholds: Score from which the target is called, for the rules that have one.
        regions: From `regions_above`, most suspicious first.
        remove: How many of them are the top regions.
        points: Of the curve.

    Raises:
        ValueError: there is no tile.
    """
    if not len(tiles):
        raise ValueError("A slide without tiles has no score to recompute.")
    top = np.zeros(len(tiles), np.bool_)
    for region in regions[:remove]:
        top[region.rows] = True
    choices = {
        Kept.ALL: np.ones(len(tiles), np.bool_),
        Kept.WITHOUT_TOP: ~top,
        Kept.ONLY_TOP: top,
        Kept.WITHOUT_ARTEFACT: ~tiles.unusable,
        Kept.ONLY_ARTEFACT: tiles.unusable,
    }
    recomputed = tuple(_recomputed(tiles, kept, rows) for kept, rows in choices.items())
    order = np.argsort(-tiles.target, kind="stable")
    turnings = [turning(tiles, rule=rule, threshold=limit, order=order) for rule, limit in thresholds.items()]
    return RemovalTest(
        recomputed,
        _curve(tiles, order, points),
        {one.rule: one for one in turnings if one is not None},
        min(remove, len(regions)),
    )


def scores_of(tiles: SlideTiles, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Scores:
    """Return the score of the target under every rule from some tiles; empty if there is none."""
    target = tiles.target[rows].astype(np.float32)
    if not len(target):
        return {}
    saliency = None if tiles.saliency is None else tiles.saliency[rows]
    # Two columns, as where the call is decided: the target, however many classes it is, against everything else.
    found = aggregate(np.column_stack((1 - target, target)), saliency=saliency)
    return {rule: float(values[1]) for rule, values in found.items()}


def turning(tiles: SlideTiles, *, rule: Aggregation, threshold: float, order: NDArray[np.intp]) -> Turning | None:
    """Return after how many tiles a positive call turns; None if the call is not positive, or the rule not available.

    Taking away the most suspicious tile never raises a score, under any rule, so halving finds the fewest exactly.

    Args:
        tiles: Of the slide.
        rule: Whose score.
        threshold: From which the target is called.
        order: Rows, the most suspicious first.
    """
    score = scores_of(tiles, order).get(rule)
    if score is None or score < threshold:
        return None
    low, high = 0, len(order)  # called without `low` tiles; no longer called, or nothing left, without `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if scores_of(tiles, order[middle:])[rule] >= threshold else (low, middle)
    if high == len(order):
        return Turning(rule, threshold, score, None, None, None, None)
    without = scores_of(tiles, order[high:])[rule]
    return Turning(rule, threshold, score, high, high * tiles.tile_mm2, high / len(order), without)


def _recomputed(tiles: SlideTiles, kept: Kept, rows: NDArray[np.bool_]) -> Recomputed:
    count = int(rows.sum())
    return Recomputed(kept, count, count * tiles.tile_mm2, scores_of(tiles, rows))


def _curve(tiles: SlideTiles, order: NDArray[np.intp], points: int) -> Curve:
    at = _steps(len(order), points)
    without = [scores_of(tiles, order[count:]) for count in at]
    only = [scores_of(tiles, order[:count]) for count in at]
    rules = list(without[0])
    return Curve(
        np.array(at, np.int64),
        {rule: np.array([scores[rule] for scores in without]) for rule in rules},
        {rule: np.array([scores.get(rule, math.nan) for scores in only]) for rule in rules},
    )


def _steps(count: int, points: int) -> list[int]:
    """Return how many tiles are taken away at each point: every one of the first few, then ever more."""
    last = count - 1
    if last <= points:
        return list(range(count))
    return [0, *sorted({round(step) for step in np.geomspace(1, last, points)})]
