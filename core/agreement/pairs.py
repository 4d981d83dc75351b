"""Agreement of two readers from their square table. All functions take tables of shape (..., K, K).

Sources: Cohen 1960 and 1968 (kappa, weighted kappa); Gwet 2008 (AC1); Cicchetti and Feinstein 1990 (positive and
negative agreement).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import UNDEFINED, Bootstrap, Estimate, estimate, ratio

Tables = NDArray[np.float64]
"""(..., K, K) counts, first reader along the rows."""
Weighting = Literal["none", "linear", "quadratic"]

ORDER_NEEDED = "The categories have no order: name a scheme, or give the categories from least to most severe."
CUT_NEEDED = "It is not said from which category on a read counts as positive."
NO_PAIR = "No case was read by both."


def observed(tables: Tables) -> NDArray[np.float64]:
    """Share of cases on which the two agree (Po)."""
    return ratio(np.trace(tables, axis1=-2, axis2=-1), tables.sum(axis=(-2, -1)))


def kappa(tables: Tables, *, weighting: Weighting = "none") -> NDArray[np.float64]:
    """Cohen's kappa; NaN where both readers use one and the same category throughout."""
    disagreement = disagreement_weights(tables.shape[-1], weighting=weighting)
    # Products with matrices of ones instead of sums over the short axes: several times as fast on many resamples.
    ones = np.ones(tables.shape[-1])
    first, second = tables @ ones, tables.swapaxes(-2, -1) @ ones
    seen = tables.reshape(*tables.shape[:-2], -1) @ disagreement.ravel()
    return 1 - ratio(seen * (first @ ones), ((first @ disagreement) * second) @ ones)


def gwet_ac1(tables: Tables) -> NDArray[np.float64]:
    """Gwet's AC1; NaN where the table has only one category."""
    total = tables.sum(axis=(-2, -1))
    share = ratio(tables.sum(axis=-1) + tables.sum(axis=-2), 2 * total[..., None])
    return chance_corrected(observed(tables), ac1_chance(share))


def ac1_chance(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gwet's agreement by chance from the shares of the categories (..., K): sum p(1-p) / (K-1)."""
    size = shares.shape[-1]
    return (shares * (1 - shares)).sum(axis=-1) / (size - 1) if size > 1 else np.full(shares.shape[:-1], np.nan)


def chance_corrected(seen: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Po - Pe) / (1 - Pe)."""
    return ratio(seen - chance, 1 - chance)


def positive_agreement(tables: Tables, *, positive_from: int) -> NDArray[np.float64]:
    """2a / (2a + b + c), where categories from index `positive_from` on count as positive."""
    a = tables[..., positive_from:, positive_from:].sum(axis=(-2, -1))
    mixed = tables[..., :positive_from, positive_from:].sum(axis=(-2, -1))
    mixed = mixed + tables[..., positive_from:, :positive_from].sum(axis=(-2, -1))
    return ratio(2 * a, 2 * a + mixed)


def negative_agreement(tables: Tables, *, positive_from: int) -> NDArray[np.float64]:
    """2d / (2d + b + c); see `positive_agreement`."""
    return positive_agreement(tables[..., ::-1, ::-1], positive_from=tables.shape[-1] - positive_from)


def disagreement_weights(size: int, *, weighting: Weighting) -> NDArray[np.float64]:
    """Return (K, K) weights of disagreement: 0 on the diagonal, growing with the distance where weighted."""
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    if weighting == "none":
        return (distance > 0).astype(np.float64)
    return distance if weighting == "linear" else distance**2


def pair_estimates(
    table: NDArray[np.float64], *, ordinal: bool, positive_from: int | None, bootstrap: Bootstrap
) -> dict[str, Estimate]:
    """Return every statistic of two readers with its interval.

    Drawing the cases of a square table with replacement is drawing its cells from a multinomial distribution, so the
    resamples need no case by case work.

    Args:
        table: (K, K) counts.
        ordinal: Whether weighted kappas make sense.
        positive_from: First category that counts as positive; None = not said.
        bootstrap: How intervals are made.
    """
    n_cases = int(table.sum())
    if n_cases == 0:
        return {name: Estimate(None, reason=NO_PAIR) for name in PAIR_STATISTICS}
    random = np.random.default_rng(bootstrap.seed)
    drawn = random.multinomial(n_cases, (table / n_cases).ravel(), size=bootstrap.replicates)
    tables = np.concatenate([table[None], drawn.reshape(-1, *table.shape).astype(np.float64)])
    values = {
        "po": observed(tables),
        "kappa": kappa(tables),
        "kappa_linear": kappa(tables, weighting="linear"),
        "kappa_quadratic": kappa(tables, weighting="quadratic"),
        "ac1": gwet_ac1(tables),
    }
    if positive_from is not None:
        values["positive_agreement"] = positive_agreement(tables, positive_from=positive_from)
        values["negative_agreement"] = negative_agreement(tables, positive_from=positive_from)
    found = {
        name: estimate(
            float(row[0]), row[1:], n_cases=n_cases, bootstrap=bootstrap, reason=_REASONS.get(name, UNDEFINED)
        )
        for name, row in values.items()
    }
    return found | missing_statistics(ordinal=ordinal, positive_from=positive_from)


def missing_statistics(*, ordinal: bool, positive_from: int | None) -> dict[str, Estimate]:
    """Return the statistics that these categories cannot have, with the reason."""
    no_order = {} if ordinal else dict.fromkeys(("kappa_linear", "kappa_quadratic"), ORDER_NEEDED)
    no_cut = (
        {} if positive_from is not None else dict.fromkeys(("positive_agreement", "negative_agreement"), CUT_NEEDED)
    )
    return {name: Estimate(None, reason=reason) for name, reason in (no_order | no_cut).items()}


_REASONS = {
    "positive_agreement": "Neither reader called a case positive.",
    "negative_agreement": "Neither reader called a case negative.",
}
PAIR_STATISTICS = (
    "po",
    "kappa",
    "kappa_linear",
    "kappa_quadratic",
    "ac1",
    "positive_agreement",
    "negative_agreement",
)
"""Names in the order in which they are shown."""
