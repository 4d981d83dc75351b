"""Each reader against the others, and each case's spread: who reads more severely, and what readers split over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap, Estimate, Values, Weights, estimates, ratio
from core.agreement.table import MISSING, ReadTable
from core.shares import Share, wilson

NO_OTHERS = "No case of this reader was read by another."
NO_ORDER = "The categories have no order, so no read is more severe than another."


@dataclass(frozen=True, slots=True)
class CaseSpread:
    """How far the reads of one case lie apart."""

    case: str
    reads: int
    counts: tuple[int, ...]
    """Reads of each category."""
    consensus: str | None
    """The category most readers gave; None on a tie or without reads."""
    agreement: float | None
    """Share of pairs of readers that agree; None with fewer than two reads."""
    steps: int | None
    """Categories between the least and the most severe read; None without reads or order."""


@dataclass(frozen=True, slots=True)
class ConfidenceLevel:
    """How often reads of one stated confidence agree with the consensus of the others."""

    confidence: int
    """1 (guess) to 5 (certain)."""
    agreeing: Share


@dataclass(frozen=True, slots=True)
class ReaderProfile:
    """One reader against the others."""

    reader: str
    reads: int
    drift: Estimate
    """Mean signed steps to the other readers of the same case; positive = more severe."""
    distance: Estimate
    """Mean absolute steps to the other readers of the same case."""
    consensus: Share
    """Reads that agree with the consensus of the others, among those where they have one."""
    higher: int
    """Reads more severe than that consensus."""
    lower: int
    confidence: tuple[ConfidenceLevel, ...]
    """Confidence against agreement, levels that occur; empty without stated confidence."""
    confidence_auc: float | None
    """Probability that an agreeing read was stated with more confidence than a differing one (0.5 = no relation)."""


def case_spreads(table: ReadTable) -> tuple[CaseSpread, ...]:
    """Return the spread of every case, in the order of the table."""
    counts = table.counts().astype(np.intp)
    return tuple(_spread(case, row, table) for case, row in zip(table.cases, counts, strict=True))


def consensus(table: ReadTable) -> NDArray[np.intp]:
    """Return (N,) the category most readers gave to each case; `MISSING` on a tie or without reads."""
    return _modes(table.counts())


def consensus_of_others(table: ReadTable) -> NDArray[np.intp]:
    """Return (N, R) the category most of the OTHER readers gave; `MISSING` on a tie or where no other read it."""
    counts = table.counts()
    columns: list[NDArray[np.intp]] = []
    for column in range(len(table.readers)):
        # A missing read has code -1: the last row of the identity, which lies beyond the categories.
        own = np.eye(counts.shape[1] + 1)[table.codes[:, column]][:, :-1]
        columns.append(_modes(counts - own))
    return np.stack(columns, axis=1) if columns else np.empty((len(table.cases), 0), np.intp)


def reader_profiles(
    table: ReadTable, *, confidence: NDArray[np.intp] | None = None, bootstrap: Bootstrap | None = None
) -> tuple[ReaderProfile, ...]:
    """Return the profile of every reader.

    Args:
        table: Cases x readers.
        confidence: (N, R) stated confidence 1-5, 0 where none was stated; None = nobody stated any.
        bootstrap: How intervals over cases are made.
    """
    others = consensus_of_others(table)
    stated = np.zeros(table.codes.shape, np.intp) if confidence is None else confidence
    return tuple(
        _profile(table, column, others[:, column], stated[:, column], bootstrap=bootstrap or Bootstrap())
        for column in range(len(table.readers))
    )


def _spread(case: str, counts: NDArray[np.intp], table: ReadTable) -> CaseSpread:
    reads = int(counts.sum())
    used = np.flatnonzero(counts)
    mode = int(_modes(counts[None])[0])
    return CaseSpread(
        case=case,
        reads=reads,
        counts=tuple(int(count) for count in counts),
        consensus=None if mode == MISSING else table.categories[mode],
        agreement=float((counts * (counts - 1)).sum() / (reads * (reads - 1))) if reads > 1 else None,
        steps=int(used[-1] - used[0]) if len(used) and table.ordinal else None,
    )


def _modes(counts: NDArray[np.intp] | NDArray[np.float64]) -> NDArray[np.intp]:
    highest = counts.max(axis=1, keepdims=True)
    alone = ((counts == highest).sum(axis=1) == 1) & (highest[:, 0] > 0)
    return np.where(alone, counts.argmax(axis=1), MISSING)


def _profile(
    table: ReadTable, column: int, others: NDArray[np.intp], stated: NDArray[np.intp], *, bootstrap: Bootstrap
) -> ReaderProfile:
    own = table.codes[:, column]
    judged = (own != MISSING) & (others != MISSING)
    agrees = own == others
    steps = _steps(table, column, bootstrap=bootstrap)
    known = judged & (stated > 0)
    return ReaderProfile(
        reader=table.readers[column],
        reads=int((own != MISSING).sum()),
        drift=steps["drift"],
        distance=steps["distance"],
        consensus=wilson(int((agrees & judged).sum()), int(judged.sum())),
        higher=int((judged & (own > others)).sum()),
        lower=int((judged & (own < others)).sum()),
        confidence=tuple(
            ConfidenceLevel(
                level, wilson(int(agrees[known & (stated == level)].sum()), int((stated[known] == level).sum()))
            )
            for level in sorted({int(value) for value in stated[known]})
        ),
        confidence_auc=_auc(stated[known & agrees], stated[known & ~agrees]),
    )


def _steps(table: ReadTable, column: int, *, bootstrap: Bootstrap) -> dict[str, Estimate]:
    if not table.ordinal:
        return dict.fromkeys(("drift", "distance"), Estimate(None, reason=NO_ORDER))
    own = table.codes[:, column]
    rest = np.delete(table.codes, column, axis=1)
    there = (rest != MISSING) & (own != MISSING)[:, None]
    difference = np.where(there, own[:, None] - rest, 0).astype(np.float64)
    with_others = there.any(axis=1)
    others = np.maximum(there.sum(axis=1), 1)
    signed = (difference.sum(axis=1) / others)[with_others]
    absolute = (np.abs(difference).sum(axis=1) / others)[with_others]
    if not len(signed):
        return dict.fromkeys(("drift", "distance"), Estimate(None, reason=NO_OTHERS))

    def statistic(weights: Weights) -> dict[str, Values]:
        total = weights.sum(axis=1)
        return {"drift": ratio(weights @ signed, total), "distance": ratio(weights @ absolute, total)}

    return estimates(statistic, n_cases=len(signed), bootstrap=bootstrap)


def _auc(agreeing: NDArray[np.intp], differing: NDArray[np.intp]) -> float | None:
    if not len(agreeing) or not len(differing):
        return None
    above = (agreeing[:, None] > differing).mean() + (agreeing[:, None] == differing).mean() / 2
    return float(above)
