"""Tables of model probabilities with the true label, one row a case; which label means which column is made sure of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.interop.csv_table import CsvTable

_YES = frozenset({"1", "yes", "true", "y", "t", "positive", "pos"})
_NO = frozenset({"0", "no", "false", "n", "f", "negative", "neg"})


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """Probabilities of cases whose label is known."""

    probabilities: NDArray[np.float64]
    """(N, K) in the order of the score columns."""
    labels: NDArray[np.intp]
    """(N,) index of the score column of the true class."""


def read_labelled_scores(
    table: CsvTable, *, label: str, scores: Sequence[str], meanings: Mapping[str, int]
) -> LabelledScores:
    """Return the scores and labels of a table.

    Args:
        table: One row a case.
        label: Column of the true label.
        scores: Columns of the probabilities.
        meanings: Label -> index of its score column, from `match_labels`.

    Raises:
        InputError: a column is missing, a cell is empty or no probability, or a label has no meaning; names the row.
    """
    label_at, score_at = table.position(label), [table.position(column) for column in scores]
    labels: list[int] = []
    values: list[list[float]] = []
    for row in table.rows:
        where = f"Row {row.number} of {table.name}"
        word = plain_label(row.cells[label_at])
        if word not in meanings:
            raise InputError(f"{where}, column {label}: {row.cells[label_at]!r} is no label of the calibration table.")
        labels.append(meanings[word])
        values.append([_probability(row.cells[place], f"{where}, column {table.columns[place]}") for place in score_at])
    return LabelledScores(np.array(values, np.float64), np.array(labels, np.intp))


def match_labels(
    values: Iterable[str], *, label: str, scores: Sequence[str], classes: Sequence[str] | None = None
) -> dict[str, int]:
    """Say which label belongs to which score column, or refuse to guess.

    Given `classes`, they stand in the order of the score columns. Otherwise, in this order: every label is named by
    one score column (benign ~ pr_benign, 3 ~ X3); labels are yes/no or 1/0, there are two score columns, and one of
    them is named after the label's column (cx: yes ~ pr_cx); labels are the numbers 0 to K-1 and count the columns.

    Args:
        values: Labels that occur.
        label: Column of the labels.
        scores: Columns of the probabilities, two or more.
        classes: Labels in the order of `scores`; None = find out.

    Returns:
        Label as `plain_label` writes it -> index of its score column.

    Raises:
        InputError: the labels cannot be matched with certainty; the sentence says what to give.
    """
    if len(scores) < 2 or len(set(scores)) != len(scores):
        raise InputError(f"Give two or more different score columns, one a class; got {', '.join(scores)}.")
    found = sorted({plain_label(value) for value in values})
    if "" in found:
        raise InputError(f"The column {label!r} has empty cells. Every case needs its label.")
    if classes is not None:
        return _given(found, scores=scores, classes=classes)
    for matched in (_by_name(found, scores), _by_label_column(found, scores, label), _by_number(found, scores)):
        if matched is not None:
            return matched
    raise InputError(
        f"It is not certain which of the labels {', '.join(found)} belongs to which of the score columns "
        f"{', '.join(scores)}. Give --classes with the labels in the order of the score columns."
    )


def plain_label(text: str) -> str:
    """Return a label as it is compared: without case and outer spaces, a whole number without '.0'."""
    return text.strip().casefold().removesuffix(".0")


def _given(found: Sequence[str], *, scores: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    plain = [plain_label(name) for name in classes]
    if len(plain) != len(scores) or len(set(plain)) != len(plain):
        raise InputError(f"--classes must name {len(scores)} different labels, one for each of {', '.join(scores)}.")
    strange = [value for value in found if value not in plain]
    if strange:
        raise InputError(f"The labels {', '.join(strange)} are not among --classes {','.join(classes)}.")
    return {name: index for index, name in enumerate(plain)}


def _by_name(found: Sequence[str], scores: Sequence[str]) -> dict[str, int] | None:
    owners = {value: [index for index, column in enumerate(scores) if _names(column, value)] for value in found}
    if any(len(indices) != 1 for indices in owners.values()):
        return None
    matched = {value: indices[0] for value, indices in owners.items()}
    return matched if len(set(matched.values())) == len(found) else None


def _by_label_column(found: Sequence[str], scores: Sequence[str], label: str) -> dict[str, int] | None:
    named = [index for index, column in enumerate(scores) if _names(column, plain_label(label))]
    if len(scores) != 2 or len(named) != 1 or not set(found) <= _YES | _NO:
        return None
    return {value: named[0] if value in _YES else 1 - named[0] for value in found}


def _by_number(found: Sequence[str], scores: Sequence[str]) -> dict[str, int] | None:
    numbers = {str(index): index for index in range(len(scores))}
    return {value: numbers[value] for value in found} if set(found) <= set(numbers) else None


def _names(column: str, value: str) -> bool:
    """Say whether a score column is named after a label: the label itself, or it as the last word of the name."""
    name = column.strip().casefold()
    if name == value:
        return True
    head = name.removesuffix(value)
    if head == name or not head:
        return False
    return re.search(r"\d$", head) is None if value.isdecimal() else re.search(r"[^a-z0-9]$", head) is not None


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InputError(f"{where}: {text!r} is no probability between 0 and 1.")
    return value
