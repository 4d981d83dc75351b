"""Logistic regression, support vector machine and random forest on tile statistics, kept as plain arrays.

scikit-learn fits; what is kept is the arrays of the fitted estimator, never a pickle, and predictions are recomputed
from them in numpy. The score of every kind is turned into a probability by Platt's method (Platt 1999, Advances in
Large Margin Classifiers): a logistic curve fitted on scores of slides that the estimator was not fitted on.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownParameterType=false
# Reason: scikit-learn ships no types.
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import SVC

from core.errors import InputError

FloatArray = NDArray[np.float64]
Arrays = Mapping[str, FloatArray]
"""Also whole numbers are kept as float64, which holds them exactly."""
Kind = Literal["logistic", "svm", "forest"]
KINDS: tuple[Kind, ...] = ("logistic", "svm", "forest")
TREES = 100
CHOICES: Mapping[Kind, tuple[float, ...]] = {
    "logistic": (0.003, 0.03, 0.3, 3.0),
    "svm": (0.1, 1.0, 10.0),
    "forest": (1, 3, 8),
}
"""What is tried: C of the first two (the smaller, the smoother), smallest leaf of the forest's trees."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted aggregator: `predict` needs nothing else."""

    kind: Kind
    arrays: Arrays
    """Standardisation, estimator and calibration; names as `_read_out` and `calibrate` give them."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted aggregator with how it was chosen."""

    fitted: Fitted
    choice: float
    """The entry of `CHOICES` with the highest AUC of held-out slides."""
    held_out: FloatArray
    """(N,) calibrated probability of every slide while it was held out: for choosing a threshold, not for measuring."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Rows of one round of cross-validation."""

    fit: NDArray[np.intp]
    held_out: NDArray[np.intp]


def feasible_folds(labels: NDArray[np.bool_], groups: NDArray[np.str_], *, wanted: int) -> int:
    """Return how many folds can each hold a group with and one without the target; at most `wanted`.

    Raises:
        InputError: not even two.
    """
    possible = min(wanted, *(len(np.unique(groups[labels == value])) for value in (True, False)))
    if possible < 2:
        raise InputError("Cross-validation needs at least two cases with and two without the target.")
    return possible


def folds_by_group(labels: NDArray[np.bool_], groups: NDArray[np.str_], *, folds: int, seed: int) -> tuple[Fold, ...]:
    """Divide slides into folds so that no group (case) is in two, and each holds about as many positives.

    Raises:
        InputError: too few groups.
    """
    count = feasible_folds(labels, groups, wanted=folds)
    rounds = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, groups)
    return tuple(Fold(np.asarray(fit), np.asarray(held_out)) for fit, held_out in rounds)


def fit(
    kind: Kind, features: FloatArray, labels: NDArray[np.bool_], groups: NDArray[np.str_], *, folds: int, seed: int
) -> Fit:
    """Choose, fit and calibrate by cross-validation within the slides given.

    Args:
        kind: Which estimator.
        features: (N, F).
        labels: (N,) whether the target is present.
        groups: (N,) case of each slide.
        folds: Rounds of the cross-validation; fewer where there are too few cases.
        seed: Of the folds and of the forest.

    Raises:
        InputError: too few cases.
    """
    tried = {
        choice: held_out_scores(kind, features, labels, groups, choice=choice, folds=folds, seed=seed)
        for choice in CHOICES[kind]
    }
    best = max(tried, key=lambda choice: float(roc_auc_score(labels, tried[choice])))
    calibration = calibrate(tried[best], labels)
    arrays = {**fit_estimator(kind, features, labels, choice=best, seed=seed), **calibration}
    return Fit(Fitted(kind, arrays), best, _calibrated(tried[best], calibration))


def nested_fits(
    kind: Kind, features: FloatArray, labels: NDArray[np.bool_], groups: NDArray[np.str_], *, folds: int, seed: int
) -> Iterator[tuple[Fold, Fit]]:
    """Yield the rounds of an outer cross-validation, each with a fit that saw nothing of what is held out.

    Estimator, calibration and whatever is derived from `Fit.held_out` come from the inner rounds alone, so measuring
    on the outer ones is honest.
    """
    for fold in folds_by_group(labels, groups, folds=folds, seed=seed):
        yield (
            fold,
            fit(kind, features[fold.fit], labels[fold.fit], groups[fold.fit], folds=folds, seed=seed + 1),
        )


def held_out_scores(
    kind: Kind,
    features: FloatArray,
    labels: NDArray[np.bool_],
    groups: NDArray[np.str_],
    *,
    choice: float,
    folds: int,
    seed: int,
) -> FloatArray:
    """Return (N,) uncalibrated scores, each from an estimator that saw no slide of the same group."""
    scores = np.zeros(len(labels))
    for fold in folds_by_group(labels, groups, folds=folds, seed=seed):
        arrays = fit_estimator(kind, features[fold.fit], labels[fold.fit], choice=choice, seed=seed)
        scores[fold.held_out] = raw_scores(Fitted(kind, arrays), features[fold.held_out])
    return scores


def fit_estimator(
    kind: Kind, features: FloatArray, labels: NDArray[np.bool_], *, choice: float, seed: int
) -> dict[str, FloatArray]:
    """Standardise, fit, and return everything that a score needs as arrays."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    estimator = make_estimator(kind, choice=choice, seed=seed).fit((features - mean) / scale, labels)
    return {"mean": mean, "scale": scale, **_read_out(kind, estimator)}


def make_estimator(kind: Kind, *, choice: float, seed: int) -> BaseEstimator:
    """Return the unfitted estimator of a kind; both classes weigh the same, however rare one is."""
    if kind == "logistic":
        return LogisticRegression(C=choice, class_weight="balanced", max_iter=5000)
    if kind == "svm":
        return SVC(C=choice, kernel="rbf", gamma="scale", class_weight="balanced")
    return RandomForestClassifier(
        TREES, min_samples_leaf=int(choice), class_weight="balanced", random_state=seed, n_jobs=1
    )


def predict(fitted: Fitted, features: FloatArray) -> FloatArray:
    """Return (N,) calibrated probabilities of the target for (N, F) features.

    Raises:
        ValueError: the features have another width than those it was fitted on.
    """
    return _calibrated(raw_scores(fitted, features), fitted.arrays)


def raw_scores(fitted: Fitted, features: FloatArray) -> FloatArray:
    """Return (N,) uncalibrated scores: log odds, distance from the margin, or share of the trees."""
    arrays = fitted.arrays
    width = len(arrays["mean"])
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(f"The aggregator needs {width} statistics a slide, got an array of shape {features.shape}.")
    return _SCORES[fitted.kind]((features - arrays["mean"]) / arrays["scale"], arrays)


def calibrate(scores: FloatArray, labels: NDArray[np.bool_]) -> dict[str, FloatArray]:
    """Fit Platt's curve on held-out scores: `calibration` holds slope and intercept of the log odds in the score.

    Raises:
        InputError: higher scores go with fewer positives, so that there is nothing to calibrate.
    """
    curve = LogisticRegression(C=1e6).fit(scores[:, None], labels)
    if curve.coef_[0, 0] <= 0:
        raise InputError(
            "On slides held out, this aggregator tells slides with and without the target apart no better than chance. "
            "Nothing was written; check the labels, or gather more slides."
        )
    return {"calibration": np.array([curve.coef_[0, 0], curve.intercept_[0]], np.float64)}


def _calibrated(scores: FloatArray, arrays: Arrays) -> FloatArray:
    slope, intercept = arrays["calibration"]
    return np.asarray(expit(slope * scores + intercept), np.float64)


def _read_out(kind: Kind, estimator: BaseEstimator) -> dict[str, FloatArray]:
    if kind == "logistic":
        return {"coefficients": estimator.coef_[0].astype(np.float64), "intercept": estimator.intercept_.copy()}
    if kind == "svm":
        return {
            "vectors": estimator.support_vectors_.astype(np.float64),
            "weights": estimator.dual_coef_[0].astype(np.float64),
            "intercept": estimator.intercept_.astype(np.float64),
            # scikit-learn keeps the value it worked out for gamma="scale" under this name only.
            "gamma": np.array([estimator._gamma], np.float64),
        }
    trees = [tree.tree_ for tree in estimator.estimators_]
    positive = list(estimator.classes_).index(True)
    shares = [tree.value[:, 0, positive] / tree.value[:, 0].sum(axis=1) for tree in trees]
    return {
        "first_node": np.cumsum([0, *(tree.node_count for tree in trees)], dtype=np.float64),
        "left": np.concatenate([tree.children_left for tree in trees]).astype(np.float64),
        "right": np.concatenate([tree.children_right for tree in trees]).astype(np.float64),
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.float64),
        "limit": np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        "share": np.concatenate(shares).astype(np.float64),
    }


def _logistic_scores(x: FloatArray, arrays: Arrays) -> FloatArray:
    return x @ arrays["coefficients"] + arrays["intercept"][0]


def _svm_scores(x: FloatArray, arrays: Arrays) -> FloatArray:
    distance = ((x[:, None, :] - arrays["vectors"][None]) ** 2).sum(axis=2)
    return np.exp(-arrays["gamma"][0] * distance) @ arrays["weights"] + arrays["intercept"][0]


def _forest_scores(x: FloatArray, arrays: Arrays) -> FloatArray:
    """Walk all slides down every tree at once; a node without a left child is a leaf and keeps its slides."""
    single = x.astype(np.float32)  # scikit-learn's trees compare at this precision
    rows, total = np.arange(len(x)), np.zeros(len(x))
    firsts, left, right, feature = (
        arrays[name].astype(np.int64) for name in ("first_node", "left", "right", "feature")
    )
    for first in firsts[:-1]:
        node = np.full(len(x), first)
        while (inner := left[node] >= 0).any():
            goes_left = single[rows, np.maximum(feature[node], 0)] <= arrays["limit"][node]
            node = np.where(inner, first + np.where(goes_left, left[node], right[node]), node)
        total = total + arrays["share"][node]
    return total / (len(firsts) - 1)


_SCORES: Mapping[Kind, Callable[[FloatArray, Arrays], FloatArray]] = {
    "logistic": _logistic_scores,
    "svm": _svm_scores,
    "forest": _forest_scores,
}
