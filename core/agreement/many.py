"""Agreement of any number of readers, with reads missing. Every statistic is a function of case weights (B, N).

Sources: Fleiss 1971 and, for missing reads and AC1, Gwet 2014 (Handbook of Inter-Rater Reliability, 4th ed.):
agreement over the cases with two or more reads, shares of the categories over all cases with a read; Krippendorff 2011
(alpha); Light 1971 (mean kappa over pairs of readers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap, Estimate, Values, Weights, estimates, ratio
from core.agreement.pairs import (
    CUT_NEEDED,
    ORDER_NEEDED,
    Weighting,
    ac1_chance,
    chance_corrected,
    kappa,
)
from core.agreement.table import MISSING, ReadTable

Metric = Literal["nominal", "ordinal", "interval"]

NO_CASE = "No case has two reads."
FEW_READERS = "There are fewer than two readers."
MANY_STATISTICS = (
    "po",
    "fleiss_kappa",
    "ac1",
    "alpha_nominal",
    "alpha_ordinal",
    "alpha_interval",
    "mean_kappa",
    "mean_kappa_linear",
    "mean_kappa_quadratic",
    "positive_agreement",
    "negative_agreement",
)
"""Names in the order in which they are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class _Cases:
    """What the statistics need of each case, computed once."""

    reads: NDArray[np.float64]
    """(N, K) reads of each category."""
    total: NDArray[np.float64]
    """(N,) reads."""
    pairable: NDArray[np.float64]
    """(N,) 1 where there are two reads or more, else 0."""


def overall_estimates(
    table: ReadTable, *, positive_from: int | None = None, bootstrap: Bootstrap | None = None
) -> dict[str, Estimate]:
    """Return every statistic of all readers together, with intervals over cases.

    Args:
        table: Cases x readers.
        positive_from: Index of the first category that counts as positive; None = not said.
        bootstrap: How intervals are made.
    """
    reason = _impossible(table)
    if reason:
        return {name: Estimate(None, reason=reason) for name in MANY_STATISTICS}
    found = estimates(
        _statistics(table, positive_from=positive_from),
        n_cases=len(table.cases),
        bootstrap=bootstrap or Bootstrap(),
        reasons={
            "mean_kappa": NO_PAIR_DEFINED,
            "positive_agreement": "No read is positive.",
            "negative_agreement": "No read is negative.",
        },
    )
    return {name: found[name] if name in found else _missing(name) for name in MANY_STATISTICS}


NO_PAIR_DEFINED = "For no pair of readers is kappa defined: each uses one and the same category throughout."


def category_agreement(table: ReadTable, *, bootstrap: Bootstrap | None = None) -> dict[str, Estimate]:
    """Return for each category the probability that a second reader gives it, given that a first one did."""
    reason = _impossible(table)
    if reason:
        return {name: Estimate(None, reason=reason) for name in table.categories}
    cases = _cases(table)

    def statistic(weights: Weights) -> dict[str, Values]:
        return {
            name: _specific(cases, weights, chosen=np.arange(len(table.categories)) == index)
            for index, name in enumerate(table.categories)
        }

    reasons = dict.fromkeys(table.categories, "Nobody used this category on a case with two reads.")
    return estimates(statistic, n_cases=len(table.cases), bootstrap=bootstrap or Bootstrap(), reasons=reasons)


def mean_kappa_with(table: ReadTable, *, reader: str, bootstrap: Bootstrap | None = None) -> dict[str, Estimate]:
    """Return the mean kappas of one reader, such as the model, with each of the others."""
    own = table.readers.index(reader)
    pairs = [(own, other) for other in range(len(table.readers)) if other != own]
    return estimates(
        _mean_kappas(table, pairs=pairs),
        n_cases=len(table.cases),
        bootstrap=bootstrap or Bootstrap(),
        reasons=dict.fromkeys(("mean_kappa", "mean_kappa_linear", "mean_kappa_quadratic"), NO_PAIR_DEFINED),
    )


def fleiss_kappa(table: ReadTable) -> float:
    """Fleiss' kappa on all cases; NaN where undefined."""
    return float(_fleiss(_cases(table), np.ones((1, len(table.cases))))[0])


def gwet_ac1_many(table: ReadTable) -> float:
    """Gwet's AC1 on all cases; NaN where undefined."""
    return float(_ac1(_cases(table), np.ones((1, len(table.cases))))[0])


def krippendorff_alpha(table: ReadTable, *, metric: Metric) -> float:
    """Krippendorff's alpha on all cases; NaN where undefined."""
    return float(_alpha(table, metric=metric)(np.ones((1, len(table.cases))))[0])


def _impossible(table: ReadTable) -> str:
    if len(table.readers) < 2:
        return FEW_READERS
    return "" if ((table.codes != MISSING).sum(axis=1) >= 2).any() else NO_CASE


def _missing(name: str) -> Estimate:
    return Estimate(None, reason=CUT_NEEDED if name.endswith("agreement") else ORDER_NEEDED)


def _statistics(table: ReadTable, *, positive_from: int | None) -> Callable[[Weights], Mapping[str, Values]]:
    cases = _cases(table)
    metrics: tuple[Metric, ...] = ("nominal", "ordinal", "interval") if table.ordinal else ("nominal",)
    alphas = {f"alpha_{metric}": _alpha(table, metric=metric) for metric in metrics}
    mean_kappas = _mean_kappas(table, pairs=list(combinations(range(len(table.readers)), 2)))
    positive = None if positive_from is None else np.arange(len(table.categories)) >= positive_from

    def statistic(weights: Weights) -> dict[str, Values]:
        found = {"po": _po(cases, weights), "fleiss_kappa": _fleiss(cases, weights), "ac1": _ac1(cases, weights)}
        found |= {name: alpha(weights) for name, alpha in alphas.items()} | mean_kappas(weights)
        if positive is not None:
            found["positive_agreement"] = _specific(cases, weights, chosen=positive)
            found["negative_agreement"] = _specific(cases, weights, chosen=~positive)
        return found

    return statistic


def _cases(table: ReadTable) -> _Cases:
    reads = table.counts()
    total = reads.sum(axis=1)
    return _Cases(reads, total, (total >= 2).astype(np.float64))


def _po(cases: _Cases, weights: Weights) -> Values:
    """Mean over cases of the share of pairs of readers that agree."""
    pairs = np.where(cases.pairable > 0, cases.total * (cases.total - 1), 1.0)
    agreeing = (cases.reads * (cases.reads - 1)).sum(axis=1) / pairs
    return ratio(weights @ (agreeing * cases.pairable), weights @ cases.pairable)


def _shares(cases: _Cases, weights: Weights) -> NDArray[np.float64]:
    """(B, K) mean over the cases with a read of the share of their reads in each category."""
    any_read = (cases.total > 0).astype(np.float64)
    per_case = cases.reads / np.maximum(cases.total, 1)[:, None]
    return ratio(weights @ per_case, (weights @ any_read)[:, None])


def _fleiss(cases: _Cases, weights: Weights) -> Values:
    return chance_corrected(_po(cases, weights), (_shares(cases, weights) ** 2).sum(axis=1))


def _ac1(cases: _Cases, weights: Weights) -> Values:
    return chance_corrected(_po(cases, weights), ac1_chance(_shares(cases, weights)))


def _specific(cases: _Cases, weights: Weights, *, chosen: NDArray[np.bool_]) -> Values:
    """Specific agreement on the chosen categories: 2a / (2a + b + c) summed over pairs of readers."""
    inside = cases.reads[:, chosen].sum(axis=1)
    return ratio(weights @ (inside * (inside - 1)), weights @ (inside * np.maximum(cases.total - 1, 0)))


def _alpha(table: ReadTable, *, metric: Metric) -> Callable[[Weights], Values]:
    """Return alpha as a function of case weights, from the coincidences of each case."""
    cases = _cases(table)
    size = len(table.categories)
    scale = cases.pairable / np.maximum(cases.total - 1, 1)
    outer = cases.reads[:, :, None] * cases.reads[:, None, :]
    outer[:, np.arange(size), np.arange(size)] -= cases.reads
    coincidences = (outer * scale[:, None, None]).reshape(len(cases.reads), -1)
    spacing = table.spacing

    def statistic(weights: Weights) -> Values:
        seen = (weights @ coincidences).reshape(-1, size, size)
        margin = seen.sum(axis=2)
        distance = _squared_distance(margin, metric=metric, spacing=spacing)
        expected = (margin[:, :, None] * margin[:, None, :] * distance).sum(axis=(1, 2))
        return 1 - ratio((margin.sum(axis=1) - 1) * (seen * distance).sum(axis=(1, 2)), expected)

    return statistic


def _squared_distance(
    margin: NDArray[np.float64], *, metric: Metric, spacing: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (B or 1, K, K) squared distances; ordinal ones count the reads that lie between two categories."""
    if metric == "ordinal":
        middle = np.cumsum(margin, axis=1) - margin / 2
        return (middle[:, :, None] - middle[:, None, :]) ** 2
    difference = np.subtract.outer(spacing, spacing)[None]
    return (difference != 0).astype(np.float64) if metric == "nominal" else difference**2


def _mean_kappas(table: ReadTable, *, pairs: Sequence[tuple[int, int]]) -> Callable[[Weights], dict[str, Values]]:
    """Return the mean over pairs of readers, for those pairs for which kappa is defined."""
    size = len(table.categories)
    weightings: tuple[Weighting, ...] = ("none", "linear", "quadratic") if table.ordinal else ("none",)

    def statistic(weights: Weights) -> dict[str, Values]:
        total = {name: np.zeros(len(weights)) for name in weightings}
        defined = {name: np.zeros(len(weights)) for name in weightings}
        for first, second in pairs:
            tables = (weights @ _cells(table, first, second)).reshape(-1, size, size)
            for name in weightings:
                values = kappa(tables, weighting=name)
                finite = np.isfinite(values)
                total[name] += np.where(finite, values, 0)
                defined[name] += finite
        return {
            "mean_kappa" if name == "none" else f"mean_kappa_{name}": ratio(total[name], defined[name])
            for name in weightings
        }

    return statistic


def _cells(table: ReadTable, first: int, second: int) -> NDArray[np.float64]:
    """(N, K*K) one in the cell of the pair's table that each case falls into; zeros where one of them did not read."""
    a, b = table.codes[:, first], table.codes[:, second]
    size = len(table.categories)
    cell = np.where((a == MISSING) | (b == MISSING), MISSING, a * size + b)
    return (cell[:, None] == np.arange(size * size)).astype(np.float64)
