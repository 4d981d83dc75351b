"""A reading scheme as a value: categories in order, and the severity of each pair."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from core.domain import ReadCategory
from core.errors import InputError

INDETERMINATE = "indeterminate"
"""The answer every scheme takes beside its categories: the reader could not decide. It has no place in the order."""

_INDETERMINATE_WORDS = frozenset({INDETERMINATE, "unsure", "deferred", "equivocal", "?"})


class Severity(StrEnum):
    """What a difference between two reads means for the patient (Manion 2008; Moffitt)."""

    NONE = "none"
    MINOR = "minor"
    """No change of management."""
    MAJOR = "major"
    """A potential change of treatment or prognosis."""

    @property
    def rank(self) -> int:
        """0, 1 or 2, for ordering and for weights."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Category:
    """One answer of a scheme."""

    code: str
    """What is stored, e.g. "2"."""
    title: str
    """What is shown, e.g. "Grade 2"."""
    read: ReadCategory
    """What the answer says about malignancy, for the flag rules."""
    aliases: tuple[str, ...] = ()
    """Other ways in which files write it, compared without regard to case."""
    at_least: float | None = None
    """Smallest number that falls into it, where the scheme is made of bins of a number; None = no number does."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """Categories from least to most severe, and what a difference between two of them means."""

    name: str
    title: str
    source: str
    """Where the categories and the severities come from."""
    categories: tuple[Category, ...]
    severities: tuple[tuple[Severity, ...], ...]
    """Square matrix in the order of the categories."""
    version: str = "1"

    def __post_init__(self) -> None:
        problems = _problems(self)
        if problems:
            raise InputError(f"The reading scheme {self.name!r} cannot be used: {'; '.join(problems)}.")

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the categories from least to most severe."""
        return tuple(category.code for category in self.categories)

    def code_of(self, text: str) -> str | None:
        """Return the code that a cell of a file or a form means, `INDETERMINATE`, or None if it means none.

        Codes, titles and aliases are compared without regard to case and outer spaces; a whole number may carry ".0",
        as spreadsheets write it. In a scheme of bins any other number means the bin it falls into.
        """
        word = _plain(text)
        if word in _INDETERMINATE_WORDS:
            return INDETERMINATE
        known = next((category.code for category in self.categories if word in _words(category)), None)
        return known if known is not None else self._bin_of(word)

    @property
    def is_binned(self) -> bool:
        """Whether numbers fall into its categories."""
        return self.categories[0].at_least is not None

    def _bin_of(self, word: str) -> str | None:
        """Return the code of the bin that a number falls into; None for what is no number or below the first bin."""
        try:
            value = float(word.removesuffix("%"))
        except ValueError:
            return None
        fitting = [one.code for one in self.categories if one.at_least is not None and value >= one.at_least]
        return fitting[-1] if fitting and math.isfinite(value) else None

    def index(self, code: str) -> int | None:
        """Return the place of a code in the order, None for indeterminate.

        Raises:
            InputError: the scheme has no such code.
        """
        if code == INDETERMINATE:
            return None
        if code not in self.codes:
            raise InputError(f"{code!r} is no category of {self.title}. Use one of {', '.join(self.codes)}.")
        return self.codes.index(code)

    def read_category(self, code: str) -> ReadCategory:
        """Return what a code says about malignancy."""
        index = self.index(code)
        return ReadCategory.INDETERMINATE if index is None else self.categories[index].read

    def distance(self, first: str, second: str) -> int | None:
        """Return the steps from the first to the second, positive = more severe; None where one is indeterminate."""
        start, end = self.index(first), self.index(second)
        return None if start is None or end is None else end - start

    def severity(self, first: str, second: str) -> Severity | None:
        """Return what a difference between two reads means; None where one of them is indeterminate."""
        row, column = self.index(first), self.index(second)
        return None if row is None or column is None else self.severities[row][column]


def _plain(text: str) -> str:
    return text.strip().casefold().removesuffix(".0")


def _words(category: Category) -> frozenset[str]:
    return frozenset(_plain(word) for word in (category.code, category.title, *category.aliases))


def _problems(scheme: Scheme) -> list[str]:
    found: list[str] = []
    count = len(scheme.categories)
    if count < 2:
        found.append("it needs at least two categories")
    owners: dict[str, str] = dict.fromkeys(_INDETERMINATE_WORDS, "the indeterminate answer")
    for category in scheme.categories:
        for word in _words(category):
            if not word:
                found.append("a category has an empty code, title or alias")
            elif word in owners:
                found.append(f"{word!r} means both {owners[word]} and {category.code!r}")
            owners[word] = repr(category.code)
    edges = [category.at_least for category in scheme.categories]
    stated = [edge for edge in edges if edge is not None]
    if stated and (len(stated) != count or any(low >= high for low, high in pairwise(stated))):
        found.append("'at_least' must stand in every category or in none, and ascend")
    if len(scheme.severities) != count or any(len(row) != count for row in scheme.severities):
        found.append(f"the severities are not a square of {count} by {count}")
        return found
    return found + _problems_of_severities(scheme)


def _problems_of_severities(scheme: Scheme) -> list[str]:
    found: list[str] = []
    rank = [[severity.rank for severity in row] for row in scheme.severities]
    codes = scheme.codes
    for i, row in enumerate(rank):
        if row[i]:
            found.append(f"{codes[i]} against itself is not 'none'")
        for j in range(i + 1, len(rank)):
            if row[j] != rank[j][i]:
                found.append(f"{codes[i]} against {codes[j]} is not the same both ways")
            # The categories are ordinal: whoever differs by more cannot matter less.
            if row[j] < max(row[j - 1], rank[i + 1][j]):
                found.append(f"{codes[i]} against {codes[j]} weighs less than a smaller difference between them")
    return found
