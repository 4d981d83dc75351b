"""Agreement on a number, such as a percentage: interval alpha and intraclass correlation.

Sources: Krippendorff 2011 (interval alpha); Shrout and Fleiss 1979 (ICC(1,1) and ICC(2,1)), the former for unequal
numbers of reads a case after Searle 1971.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap, Estimate, Values, Weights, estimates, ratio
from core.agreement.table import MISSING, ReadTable
from core.errors import InputError

CONTINUOUS_STATISTICS = ("alpha_interval", "icc_one_way", "icc_two_way", "mean_distance")
"""Names in the order in which they are shown."""
NO_CASE = "No case has two reads."
ALL_ALIKE = "All reads are the same number, so agreement beyond chance is not defined."
NOT_COMPLETE = "Fewer than two cases were read by all readers."


@dataclass(frozen=True, slots=True, eq=False)
class NumberTable:
    """Reads that are numbers: (N cases, R readers), NaN where there is none."""

    cases: tuple[str, ...]
    readers: tuple[str, ...]
    numbers: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.numbers.shape != (len(self.cases), len(self.readers)):
            raise InputError(f"The reads are {self.numbers.shape} for {len(self.cases)} cases.")
        if np.isinf(self.numbers).any():
            raise InputError("A read is infinite.")

    @property
    def n_missing(self) -> int:
        """Number of cells without a read."""
        return int(np.isnan(self.numbers).sum())

    def only(self, readers: tuple[str, ...]) -> NumberTable:
        """Return the table of some of the readers, in the order given."""
        columns = [self.readers.index(reader) for reader in readers]
        return replace(self, readers=readers, numbers=self.numbers[:, columns])

    def binned(self, edges: tuple[float, ...]) -> ReadTable:
        """Return the reads in bins: below the first edge, from each edge to below the next, from the last on.

        Raises:
            InputError: the edges do not ascend.
        """
        if not edges or any(low >= high for low, high in pairwise(edges)):
            raise InputError("The edges of bins must ascend, for example 10,40.")
        inner = (f"{low:g} to <{high:g}" for low, high in pairwise(edges))
        there = ~np.isnan(self.numbers)
        codes = np.where(there, np.digitize(np.where(there, self.numbers, 0), edges), MISSING)
        names = (f"<{edges[0]:g}", *inner, f">={edges[-1]:g}")
        return ReadTable(self.cases, self.readers, names, codes.astype(np.intp))


def continuous_estimates(table: NumberTable, *, bootstrap: Bootstrap | None = None) -> dict[str, Estimate]:
    """Return every statistic with its interval over cases.

    `icc_two_way` and its interval rest on the cases that all readers read; `mean_distance` is the mean absolute
    difference of two readers of a case, in the unit of the reads.
    """
    there = ~np.isnan(table.numbers)
    if not (there.sum(axis=1) >= 2).any():
        return {name: Estimate(None, reason=NO_CASE) for name in CONTINUOUS_STATISTICS}
    how = bootstrap or Bootstrap()
    reads = np.where(there, table.numbers, 0.0)[there.sum(axis=1) >= 2]
    there = there[there.sum(axis=1) >= 2]
    reasons: dict[str, str] = dict.fromkeys(CONTINUOUS_STATISTICS, ALL_ALIKE)
    found = estimates(_Moments(reads, there).statistics, n_cases=len(reads), bootstrap=how, reasons=reasons)
    complete = reads[there.all(axis=1)]
    if len(complete) < 2:
        return found | {"icc_two_way": Estimate(None, reason=NOT_COMPLETE)}
    return found | estimates(_two_way(complete), n_cases=len(complete), bootstrap=how, reasons=reasons)


class _Moments:
    """Sums over the reads of each case, from which the statistics of any resample follow."""

    def __init__(self, reads: NDArray[np.float64], there: NDArray[np.bool_]) -> None:
        self.count = there.sum(axis=1).astype(np.float64)
        # Centred, so that sums of squares do not lose digits.
        centred = np.where(there, reads - reads[there].mean(), 0.0)
        self.sum = centred.sum(axis=1)
        self.square = (centred**2).sum(axis=1)
        self.distance = _mean_distance(reads, there)

    def statistics(self, weights: Weights) -> dict[str, Values]:
        within = self.square - self.sum**2 / self.count
        n, total = weights @ self.count, weights @ self.sum
        spread = weights @ self.square - total**2 / n
        cases = weights.sum(axis=1)
        alpha = 1 - ratio((n - 1) * (weights @ (within * self.count / (self.count - 1))), n * spread)
        inside = ratio(weights @ within, n - cases)
        between = ratio(spread - weights @ within, cases - 1)
        usual = ratio(n - (weights @ self.count**2) / n, cases - 1)
        return {
            "alpha_interval": alpha,
            "icc_one_way": ratio(between - inside, between + (usual - 1) * inside),
            "mean_distance": ratio(weights @ self.distance, cases),
        }


def _mean_distance(reads: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) mean absolute difference over the pairs of reads of each case, from the sorted reads."""
    far = np.where(there, reads, np.inf)
    ordered = np.sort(far, axis=1)
    count = there.sum(axis=1, keepdims=True)
    place = np.arange(int(reads.shape[1]), dtype=np.intp)
    # In ascending order the i-th of r reads is added i times and subtracted r - 1 - i times.
    factor = np.where(place < count, 2 * place - count + 1, 0)
    sums = (np.where(np.isfinite(ordered), ordered, 0.0) * factor).sum(axis=1)
    return sums / (count[:, 0] * (count[:, 0] - 1) / 2)


def _two_way(complete: NDArray[np.float64]) -> Callable[[Weights], dict[str, Values]]:
    """Return ICC(2,1) as a function of case weights, from the cases that all readers read."""
    centred = complete - complete.mean()
    readers = complete.shape[1]

    def statistic(weights: Weights) -> dict[str, Values]:
        cases = weights.sum(axis=1)
        grand = (weights @ centred.sum(axis=1)) / (cases * readers)
        total = weights @ (centred**2).sum(axis=1) - cases * readers * grand**2
        rows = weights @ (centred.sum(axis=1) ** 2) / readers - cases * readers * grand**2
        columns = ((weights @ centred) ** 2).sum(axis=1) / cases - cases * readers * grand**2
        between = ratio(rows, cases - 1)
        among = columns / (readers - 1)
        error = ratio(total - rows - columns, (cases - 1) * (readers - 1))
        return {
            "icc_two_way": ratio(
                between - error, between + (readers - 1) * error + ratio(readers * (among - error), cases)
            )
        }

    return statistic
