"""Slides beside each other: who lies apart, how they scatter in two dimensions, and whether batches differ.

All functions take a table of features, a row a slide; a missing value is NaN. Distances are taken between robust
scores, so that no feature counts more because of its unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Features = NDArray[np.float64]
"""(N, F): slides x features, NaN where a value is missing."""

OUTLIER_Z = 3.5
"""Robust score beyond which a value is an outlier (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993)."""
MAD_TO_SIGMA = 0.6745
"""Median absolute deviation of a normal distribution, in standard deviations."""
MEAN_TO_SIGMA = 0.7979
"""Mean absolute deviation of a normal distribution, in standard deviations: where half of the slides or more share one
value, as with artefacts that most do not have, the median deviation is 0 and says nothing."""
CLIP_Z = 5.0
"""Scores are cut off here before distances are taken: one wild value must not decide them alone."""
ISOLATION_TREES = 100
ISOLATION_SHARE = 0.02
"""Share of slides that the isolation forest names: it ranks; it has no natural limit."""
SIGNIFICANT = 0.05
"""p up to which a batch effect is called one."""
MAX_BATCH_SLIDES = 1_000
"""Slides drawn for the batch effect: distances between all pairs are needed."""

Method = Literal["pca", "tsne"]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """Slides in two dimensions."""

    points: NDArray[np.float64]
    """(N, 2)"""
    method: Method
    words: str
    """How it was made, and how to read it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchEffect:
    """How far slides of one batch lie together, with what chance would give."""

    groups: Mapping[str, float]
    """Batch -> mean silhouette of its slides."""
    sizes: Mapping[str, int]
    silhouette: float
    """Mean over all slides, -1 to 1; about 0 where batches do not differ."""
    expected: float
    """Mean when the batches are dealt out at random."""
    highest_by_chance: float
    """95th percentile of that."""
    p_value: float
    """Share of random dealings, itself counted, that separate the batches as well."""
    between: NDArray[np.float64]
    """(F,) share of each feature's variance that lies between batches, 0-1."""
    between_p: NDArray[np.float64]
    """(F,) share of random dealings in which any feature at all reaches that much: holds for all features together."""
    permutations: int
    slides: int
    """Slides it was measured on."""
    words: str
    """What the figure says."""


def robust_scores(features: Features) -> Features:
    """Return (N, F) distances from the median in robust standard deviations; 0 in a feature that does not vary.

    NaN stays NaN.
    """
    known = np.isfinite(features)
    if not len(features):
        return features.copy()
    filled = np.where(known, features, np.nan)
    centre = _over_columns(np.nanmedian, filled, known)
    away = np.abs(filled - centre)
    median = _over_columns(np.nanmedian, away, known) / MAD_TO_SIGMA
    mean = _over_columns(np.nanmean, away, known) / MEAN_TO_SIGMA
    scale = np.where(median > 0, median, mean)
    return np.divide(filled - centre, scale, out=np.where(known, 0.0, np.nan), where=known & (scale > 0))


def outlying(scores: Features) -> list[list[int]]:
    """Return for each slide the features in which it is an outlier, the farthest first; see `OUTLIER_Z`."""
    beyond = np.abs(np.nan_to_num(scores)) > OUTLIER_Z
    return [
        sorted(np.flatnonzero(row).tolist(), key=lambda place, one=one: -abs(float(scores[one, place])))
        for one, row in enumerate(beyond)
    ]


def isolation(scores: Features, *, seed: int = 0) -> NDArray[np.float64]:
    """Return (N,) how easily each slide is set apart from the rest by random cuts, 0-1; about 0.5 is ordinary.

    Isolation forest (F. T. Liu, K. M. Ting and Z.-H. Zhou, ICDM 2008).
    """
    from sklearn.ensemble import IsolationForest  # pyright: ignore[reportMissingTypeStubs]

    if len(scores) < 2:
        return np.full(len(scores), 0.5)
    forest = IsolationForest(n_estimators=ISOLATION_TREES, random_state=seed)
    ready = _ready(scores)
    fitted = forest.fit(ready)  # pyright: ignore[reportUnknownMemberType]
    return -np.asarray(fitted.score_samples(ready), np.float64)  # pyright: ignore[reportUnknownMemberType]


def embed(scores: Features, *, method: Method = "pca", seed: int = 0) -> Embedding:
    """Return slides in two dimensions.

    Args:
        scores: Robust scores.
        method: "pca" keeps distances as far as two dimensions can; "tsne" keeps neighbours.
        seed: Of t-SNE.

    Raises:
        InputError: there are fewer than three slides, or fewer than five for t-SNE.
    """
    least = 5 if method == "tsne" else 3
    if len(scores) < least:
        raise InputError(f"A map of slides needs at least {least} of them with a measurement; there are {len(scores)}.")
    ready = _ready(scores)
    return _tsne(ready, seed=seed) if method == "tsne" else _pca(ready)


def batch_effect(
    scores: Features, batches: Sequence[str], *, permutations: int = 200, seed: int = 0
) -> BatchEffect | None:
    """Measure whether slides of one batch lie nearer to each other than to those of the others.

    Silhouette (P. J. Rousseeuw, J Comput Appl Math 20:53, 1987), compared with the same after the batches are dealt
    out at random: unequal batches and features that go together shift it away from 0 without any batch effect.

    Args:
        scores: Robust scores.
        batches: Batch of each slide; "" leaves a slide out.
        permutations: How often the batches are dealt out at random.
        seed: Of the draw of slides and of the dealing.

    Returns:
        None where fewer than two batches have two slides each.
    """
    random = np.random.default_rng(seed)
    chosen = _comparable(batches, random)
    names = sorted({batches[place] for place in chosen})
    if len(names) < 2:
        return None
    codes = np.array([names.index(batches[place]) for place in chosen])
    ready = _ready(scores)[chosen]
    distances = _distances(ready)
    own, between = silhouettes(distances, codes), shares_between(ready, codes)
    dealt = [random.permutation(codes) for _ in range(permutations)]
    by_chance = np.array([silhouettes(distances, one).mean() for one in dealt])
    highest_between = np.array([shares_between(ready, one).max(initial=0.0) for one in dealt])
    value, highest = float(own.mean()), float(np.quantile(by_chance, 0.95))
    p_value = (1 + int((by_chance >= value).sum())) / (1 + permutations)
    between_p = (1 + (highest_between[:, None] >= between[None]).sum(axis=0)) / (1 + permutations)
    return BatchEffect(
        groups={name: float(own[codes == place].mean()) for place, name in enumerate(names)},
        sizes={name: int((codes == place).sum()) for place, name in enumerate(names)},
        silhouette=value,
        expected=float(by_chance.mean()),
        highest_by_chance=highest,
        p_value=p_value,
        between=between,
        between_p=between_p,
        permutations=permutations,
        slides=len(chosen),
        words=_batch_words(value, by_chance, p_value, between_p),
    )


def silhouettes(distances: NDArray[np.float64], codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (N,) the silhouette of each point: 0 for one that is alone in its group.

    Args:
        distances: (N, N).
        codes: (N,) group of each point, 0 to G - 1, at least two groups.
    """
    place = np.arange(len(codes))
    member = np.eye(int(codes.max()) + 1)[codes]
    count = member.sum(axis=0)
    summed = distances @ member
    inside = summed[place, codes] / np.maximum(count[codes] - 1, 1)
    mean = np.divide(summed, count, out=np.full(summed.shape, np.inf), where=count > 0)
    mean[place, codes] = np.inf
    outside = mean.min(axis=1)
    larger = np.maximum(inside, outside)
    ratio = np.divide(outside - inside, larger, out=np.zeros(len(codes)), where=larger > 0)
    return np.where(count[codes] > 1, ratio, 0.0)


def shares_between(points: Features, codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (F,) the share of each column's variance that lies between groups (eta squared); 0 without variance.

    Args:
        points: (N, F), no value missing.
        codes: (N,) group of each row, 0 to G - 1.
    """
    member = np.eye(int(codes.max()) + 1)[codes]
    count = member.sum(axis=0)
    centred = points - points.mean(axis=0)
    means = (member.T @ centred) / np.maximum(count, 1)[:, None]
    total = (centred**2).sum(axis=0)
    return np.divide((means**2 * count[:, None]).sum(axis=0), total, out=np.zeros(len(total)), where=total > 1e-12)


def _comparable(batches: Sequence[str], random: np.random.Generator) -> list[int]:
    """Return the slides whose batch has another one, at most `MAX_BATCH_SLIDES` of them."""
    named = [place for place, batch in enumerate(batches) if batch]
    if len(named) > MAX_BATCH_SLIDES:
        drawn = random.choice(len(named), MAX_BATCH_SLIDES, replace=False)
        named = [named[int(one)] for one in np.sort(drawn)]
    counts = Counter(batches[place] for place in named)
    return [place for place in named if counts[batches[place]] > 1]


def _distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = (points**2).sum(axis=1)
    return np.sqrt(np.maximum(squared[:, None] + squared[None] - 2 * points @ points.T, 0.0))


def _ready(scores: Features) -> Features:
    """Return scores for distances: cut off, and 0, the median, where missing."""
    return np.clip(np.nan_to_num(scores), -CLIP_Z, CLIP_Z)


def _pca(ready: Features) -> Embedding:
    centred = ready - ready.mean(axis=0)
    left, size, axes = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(ready), 2))
    used = min(2, len(size))
    # The sign of an axis is arbitrary; the largest loading points up, so that the picture stays the same.
    sign = np.sign(axes[np.arange(used), np.abs(axes[:used]).argmax(axis=1)])
    points[:, :used] = left[:, :used] * size[:used] * sign
    total = float((size**2).sum())
    kept = float((size[:2] ** 2).sum()) / total if total > 0 else 1.0
    words = f"Principal components of robust scores; the two axes keep {100 * kept:.0f} % of the variance."
    return Embedding(points=points, method="pca", words=words)


def _tsne(ready: Features, *, seed: int) -> Embedding:
    from sklearn.manifold import TSNE  # pyright: ignore[reportMissingTypeStubs]

    perplexity = min(30.0, (len(ready) - 1) / 3)
    made = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    points = np.asarray(made.fit_transform(ready), np.float64)  # pyright: ignore[reportUnknownMemberType]
    words = (
        f"t-SNE of robust scores, perplexity {perplexity:.0f}, seed {seed}: neighbours mean something, distances and "
        "sizes of groups do not."
    )
    return Embedding(points=points, method="tsne", words=words)


def _batch_words(value: float, by_chance: NDArray[np.float64], p_value: float, between_p: NDArray[np.float64]) -> str:
    """Say what the figures say: of all features together, and of single ones, which many others may drown."""
    against = f"silhouette {value:.3f} against {by_chance.mean():.3f} by chance (p = {p_value:.3f})"
    if p_value > SIGNIFICANT:
        whole = f"All features together show no batch effect beyond chance: {against}."
    elif value <= 0:
        whole = f"Batches differ, but their slides overlap: {against}."
    else:
        whole = f"Slides of one batch lie together: {against}."
    single = int((between_p <= SIGNIFICANT).sum())
    return f"{whole} {single} of {len(between_p)} features alone differ between batches beyond chance."


def _over_columns(
    statistic: Callable[..., NDArray[np.float64]], values: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return a statistic of each column, NaN for a column without values."""
    found = np.full(values.shape[1], np.nan)
    some = known.any(axis=0)
    if some.any():
        found[some] = statistic(values[:, some], axis=0)
    return found
