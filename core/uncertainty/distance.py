"""How unlike the calibration cases a case is: distances of embeddings or colour statistics, with calibrated p-values.

Mahalanobis distance with a covariance shrunk after Ledoit and Wolf 2004 (Lee et al. 2018 for its use on network
features), and distance to the k-th nearest neighbour (Sun et al. 2022). A distance means nothing by itself; the p-value
is the conformal one: the share of held-out calibration cases at least as far away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Features = NDArray[np.float64]
"""(N, D): embeddings or colour statistics, one row a case."""
DistanceKind = Literal["mahalanobis", "k_nearest"]

FEWEST_CASES = 20
"""Fewer reference cases than this cannot tell what is usual."""
HELD_OUT = 0.5
"""Share of the reference cases that the p-values are calibrated on."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What usual cases look like."""

    kind: DistanceKind
    centre: Features
    """(D,) mean; features are taken relative to it and in units of `scale`."""
    scale: Features
    """(D,) standard deviation of each feature; 1 where it does not vary."""
    whitening: Features
    """(D, D) that turns differences into distances (Mahalanobis)."""
    neighbours: Features
    """(M, D) scaled cases that distances are measured to (k nearest); empty otherwise."""
    k: int
    distances: Features
    """(H,) distances of held-out calibration cases, ascending."""


def fit_reference(features: Features, *, kind: DistanceKind = "mahalanobis", k: int = 5, seed: int = 0) -> Reference:
    """Learn what usual cases look like: one half sets the measure, the other half calibrates it.

    Args:
        features: (N, D) of usual cases, N at least `FEWEST_CASES`.
        kind: Which distance.
        k: Neighbour whose distance counts (k nearest).
        seed: Of the random halves.

    Raises:
        InputError: too few cases, k too large, or a feature that is no number.
    """
    if features.ndim != 2 or len(features) < FEWEST_CASES or not np.isfinite(features).all():
        raise InputError(f"What is usual needs at least {FEWEST_CASES} cases with features that are all numbers.")
    order = np.random.default_rng(seed).permutation(len(features))
    held = order[: round(HELD_OUT * len(features))]
    base = features[order[len(held) :]]
    if not 1 <= k <= len(base):
        raise InputError(f"k is {k}; it must lie between 1 and {len(base)}.")
    centre, spread = base.mean(axis=0), base.std(axis=0)
    scale = np.where(spread > 1e-12 * (1 + np.abs(centre)), spread, 1.0)
    scaled = (base - centre) / scale
    measured = Reference(
        kind=kind,
        centre=centre,
        scale=scale,
        whitening=_whitening(scaled) if kind == "mahalanobis" else np.empty((0, 0)),
        neighbours=scaled if kind == "k_nearest" else np.empty((0, features.shape[1])),
        k=k,
        distances=np.empty(0),
    )
    calibrated = np.sort(distances(measured, features[held]))
    return Reference(
        kind, centre, scale, measured.whitening, measured.neighbours, k, np.asarray(calibrated, np.float64)
    )


def distances(reference: Reference, features: Features) -> Features:
    """Return (N,) distances from what is usual.

    Raises:
        InputError: the features are not those of the reference.
    """
    if features.ndim != 2 or features.shape[1] != len(reference.centre) or not np.isfinite(features).all():
        raise InputError(f"Each case needs {len(reference.centre)} features that are all numbers.")
    scaled = (features - reference.centre) / reference.scale
    if reference.kind == "mahalanobis":
        return np.asarray(np.linalg.norm(scaled @ reference.whitening, axis=1), np.float64)
    squared = (
        (scaled**2).sum(axis=1)[:, None]
        + (reference.neighbours**2).sum(axis=1)[None]
        - 2 * scaled @ reference.neighbours.T
    )
    nearest = np.partition(np.maximum(squared, 0), reference.k - 1, axis=1)[:, reference.k - 1]
    return np.sqrt(nearest)


def p_values_of_distance(reference: Reference, features: Features) -> Features:
    """Return (N,): the share, counted with the case itself, of calibration cases at least as far away.

    For cases like those of the reference the value is uniform, so a rule "unlike if below alpha" raises a false alarm
    in a share alpha of them at most. The least possible value is 1 / (calibration cases + 1).
    """
    far = len(reference.distances) - np.searchsorted(reference.distances, distances(reference, features), side="left")
    return (far + 1) / (len(reference.distances) + 1)


def colour_statistics(tiles: NDArray[np.uint8]) -> Features:
    """Return (N, 9): mean, standard deviation and median of the optical density of red, green and blue of each tile.

    Args:
        tiles: (N, H, W, 3) uint8. Optical density is -log10((value + 1) / 256), which is near linear in the stain.
    """
    density = -np.log10((tiles.reshape(len(tiles), -1, 3).astype(np.float64) + 1) / 256)
    return np.concatenate([density.mean(axis=1), density.std(axis=1), np.median(density, axis=1)], axis=1)


def _whitening(scaled: Features) -> Features:
    """Return W with |x W| the Mahalanobis distance under the Ledoit-Wolf covariance of (N, D) centred rows."""
    count, size = scaled.shape
    sample = scaled.T @ scaled / count
    level = np.trace(sample) / size
    spread = ((sample - level * np.eye(size)) ** 2).sum()
    squares = scaled**2
    noise = ((squares.T @ squares) / count - sample**2).sum() / count
    share = 1.0 if spread <= 0 else min(1.0, float(noise / spread))
    values, vectors = np.linalg.eigh((1 - share) * sample + share * level * np.eye(size))
    floor = max(float(values.max()) * 1e-10, 1e-300)
    return vectors / np.sqrt(np.maximum(values, floor))
