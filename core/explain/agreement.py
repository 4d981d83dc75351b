"""Whether maps of the same tile tell the same story: rank correlation, and overlap of their strongest areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.explain.maps import TileMap
from core.explain.methods import Method

TOP_SHARE = 0.2
"""Share of a tile's pixels that are a map's strongest area."""
LEAST_CORRELATION = 0.3
"""Mean rank correlation with the other maps below which a map stands alone."""
LEAST_OVERLAP = 0.2
"""The same for the overlap of the strongest areas. Two areas of a fifth each, placed at random, overlap by 0.11."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How far two maps agree."""

    first: Method
    second: Method
    correlation: float
    """Spearman's rank correlation over pixels, -1 to 1; 0 where one of the maps is flat."""
    overlap: float
    """Intersection over union of the strongest areas, 0-1."""


@dataclass(frozen=True, slots=True)
class MapAgreement:
    """How far all maps of a tile agree."""

    pairs: tuple[PairAgreement, ...]
    mean_correlation: float
    mean_overlap: float
    apart: tuple[Method, ...]
    """Maps that agree with the others less than the limits ask."""

    @property
    def disagree(self) -> bool:
        """Whether the maps must not be read as one: on average, or because one stands apart."""
        if not self.pairs:
            return False
        return self.mean_correlation < LEAST_CORRELATION or self.mean_overlap < LEAST_OVERLAP or bool(self.apart)


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation of two maps, ties sharing their mean rank; 0 if one of them is flat."""
    one, two = rankdata(first.ravel()), rankdata(second.ravel())
    one, two = one - one.mean(), two - two.mean()
    size = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / size if size > 0 else 0.0


def top_area(values: NDArray[np.floating], *, share: float = TOP_SHARE) -> NDArray[np.bool_]:
    """Return the strongest pixels for the target: those at or above the quantile, and above 0.

    A map with coarse steps may have fewer or more pixels than `share`; a map without any support has none.
    """
    limit = float(np.quantile(values, 1 - share))
    return (values >= limit) & (values > 0)


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return intersection over union of two areas, 0-1; 0 if both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def agreement_of(maps: Sequence[TileMap]) -> MapAgreement:
    """Compare every map with every other.

    Args:
        maps: Of one tile, at its pixels, all of one shape.

    Raises:
        ValueError: the maps have different shapes.
    """
    if len({one.values.shape for one in maps}) > 1:
        raise ValueError("Maps can be compared only at the same pixels.")
    tops = {one.method: top_area(one.values) for one in maps}
    pairs = tuple(
        PairAgreement(
            one.method, two.method, spearman(one.values, two.values), overlap(tops[one.method], tops[two.method])
        )
        for one, two in combinations(maps, 2)
    )
    return MapAgreement(
        pairs,
        _mean([pair.correlation for pair in pairs]),
        _mean([pair.overlap for pair in pairs]),
        tuple(one.method for one in maps if _stands_apart(one.method, pairs)),
    )


def _stands_apart(method: Method, pairs: Sequence[PairAgreement]) -> bool:
    own = [pair for pair in pairs if method in (pair.first, pair.second)]
    if not own:
        return False
    return (
        _mean([pair.correlation for pair in own]) < LEAST_CORRELATION
        or _mean([pair.overlap for pair in own]) < LEAST_OVERLAP
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 1.0
