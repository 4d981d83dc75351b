"""The table of who read what: cases x readers, reads missing where there are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

MISSING = -1
"""Code of a read that is not there, or is indeterminate."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadTable:
    """Reads in categories.

    `codes[i, j]` is the index of the category that reader j gave to case i, or `MISSING`.
    """

    cases: tuple[str, ...]
    readers: tuple[str, ...]
    categories: tuple[str, ...]
    codes: NDArray[np.intp]
    ordinal: bool = True
    """Whether the categories stand in order, least severe first."""
    values: tuple[float, ...] | None = None
    """Number behind each category where the categories are numbers; None = their places 0, 1, 2 ..."""

    def __post_init__(self) -> None:
        shape = (len(self.cases), len(self.readers))
        if self.codes.shape != shape:
            raise InputError(f"The reads are {self.codes.shape} for {shape[0]} cases and {shape[1]} readers.")
        if self.codes.size and not (self.codes.min() >= MISSING and self.codes.max() < len(self.categories)):
            raise InputError("A read names a category that the table does not have.")
        if len(set(self.readers)) != len(self.readers) or len(set(self.cases)) != len(self.cases):
            raise InputError("A reader or a case occurs twice. Give each a name of its own.")

    @property
    def n_missing(self) -> int:
        """Number of cells without a read in a category."""
        return int((self.codes == MISSING).sum())

    @property
    def spacing(self) -> NDArray[np.float64]:
        """(K,) position of each category on its scale."""
        return np.array(self.values if self.values is not None else range(len(self.categories)), np.float64)

    def counts(self) -> NDArray[np.float64]:
        """Return (N, K): how many readers gave each category to each case."""
        return (self.codes[:, :, None] == np.arange(len(self.categories))).sum(axis=1).astype(np.float64)

    def pair(self, first: int, second: int) -> NDArray[np.float64]:
        """Return the (K, K) table of two readers, the first along the rows, over the cases both read."""
        a, b = self.codes[:, first], self.codes[:, second]
        both = (a != MISSING) & (b != MISSING)
        size = len(self.categories)
        return np.bincount(a[both] * size + b[both], minlength=size * size).reshape(size, size).astype(np.float64)

    def only(self, readers: Sequence[str]) -> ReadTable:
        """Return the table of some of the readers, in the order given."""
        columns = [self.readers.index(reader) for reader in readers]
        return replace(self, readers=tuple(readers), codes=self.codes[:, columns])


def table_of(
    reads: Iterable[tuple[str, str, str | None]],
    *,
    categories: Sequence[str],
    cases: Sequence[str] = (),
    readers: Sequence[str] = (),
    ordinal: bool = True,
    values: Sequence[float] | None = None,
) -> ReadTable:
    """Build a table from (case, reader, category) triples.

    None as a category is a read without one (indeterminate); it counts as missing. The cases and readers that are
    named come first and are in the table even without a read; others follow in order of their appearance.

    Raises:
        InputError: a category is not in the list, or a reader read a case twice with different results.
    """
    index = {category: position for position, category in enumerate(categories)}
    cells: dict[tuple[int, int], int] = {}
    row_of = {case: position for position, case in enumerate(cases)}
    column_of = {reader: position for position, reader in enumerate(readers)}
    for case, reader, category in reads:
        place = (row_of.setdefault(case, len(row_of)), column_of.setdefault(reader, len(column_of)))
        if category is not None and category not in index:
            raise InputError(f"{category!r} ({reader}, case {case}) is none of {', '.join(categories)}.")
        code = MISSING if category is None else index[category]
        if cells.setdefault(place, code) != code:
            raise InputError(
                f"{reader} read case {case} twice with different results. Leave one read a reader and case."
            )
    codes = np.full((len(row_of), len(column_of)), MISSING, np.intp)
    for (row, column), code in cells.items():
        codes[row, column] = code
    return ReadTable(
        cases=tuple(row_of),
        readers=tuple(column_of),
        categories=tuple(categories),
        codes=codes,
        ordinal=ordinal,
        values=None if values is None else tuple(values),
    )
