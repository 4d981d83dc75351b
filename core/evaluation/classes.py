"""Every class against the rest, from a confusion matrix that stands beside each figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import Confusion


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class against all others; nan where the data do not define a figure."""

    name: str
    n: int
    """Units that are of the class."""
    called: int
    """Units that are called so."""
    accuracy: float
    precision: float
    recall: float
    f1: float
    specificity: float
    npv: float


@dataclass(frozen=True, slots=True)
class ClassTable:
    """A confusion matrix with what follows from it."""

    names: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    """Row = truth, column = call."""
    rows: tuple[ClassRow, ...]
    accuracy: float
    balanced_accuracy: float
    """Mean of the classes' recalls; nan if a class does not occur."""
    macro_f1: float


def class_table(matrix: Sequence[Sequence[int]] | NDArray[np.int64], *, names: Sequence[str]) -> ClassTable:
    """Derive the figures of every class.

    Args:
        matrix: (K, K) counts, row = truth, column = call.
        names: Of the classes, in order.

    Raises:
        ValueError: the matrix is not square with one row a name.
    """
    counts = np.asarray(matrix, np.int64)
    if counts.shape != (len(names), len(names)):
        raise ValueError(f"{len(names)} classes need as many rows and columns, got {counts.shape}.")
    of_classes = [_against_rest(counts, place) for place in range(len(names))]
    rows = tuple(_row(name, one) for name, one in zip(names, of_classes, strict=True))
    total = int(counts.sum())
    return ClassTable(
        names=tuple(names),
        matrix=tuple(tuple(int(count) for count in row) for row in counts),
        rows=rows,
        accuracy=float(np.trace(counts)) / total if total else float("nan"),
        balanced_accuracy=float(np.mean([row.recall for row in rows])),
        macro_f1=float(np.mean([row.f1 for row in rows])),
    )


def binary_table(found: Confusion, *, negative: str, positive: str) -> ClassTable:
    """Return the table of two classes."""
    matrix = (
        (round(found.true_negative), round(found.false_positive)),
        (round(found.false_negative), round(found.true_positive)),
    )
    return class_table(matrix, names=(negative, positive))


def _against_rest(counts: NDArray[np.int64], place: int) -> Confusion:
    hit, of_class, called = int(counts[place, place]), int(counts[place].sum()), int(counts[:, place].sum())
    return Confusion(hit, called - hit, int(counts.sum()) - of_class - called + hit, of_class - hit)


def _row(name: str, found: Confusion) -> ClassRow:
    return ClassRow(
        name=name,
        n=round(found.true_positive + found.false_negative),
        called=round(found.true_positive + found.false_positive),
        accuracy=found.accuracy,
        precision=found.ppv,
        recall=found.sensitivity,
        f1=found.f1,
        specificity=found.specificity,
        npv=found.npv,
    )
