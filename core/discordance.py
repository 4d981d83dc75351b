"""What the difference between two reads means, as far as their scheme says: a proposal, which a person decides upon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.domain import ReadCategory
from core.schemes import INDETERMINATE, Scheme, Severity
from core.vocabulary import Basis, Discordance

_MEANINGS: Mapping[Severity, Discordance] = {
    Severity.NONE: Discordance.AGREEMENT,
    Severity.MINOR: Discordance.MINOR,
    Severity.MAJOR: Discordance.MAJOR,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What one reader said."""

    category: ReadCategory
    grade: str | None = None
    scheme: str | None = None
    """Name of the reading scheme; None = the three plain categories."""
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What two reads differ in, and how much that matters."""

    discordance: Discordance
    basis: Basis | None
    """None where they do not differ, or cannot be compared."""


def propose(first: Said, second: Said, *, scheme: Scheme | None) -> Proposal:
    """Compare two reads.

    Args:
        first: The read that was asked about.
        second: The opinion.
        scheme: The scheme of both, if they share one.

    Returns:
        By the scheme's severity of the pair where both used it. Without one, benign against malignant is major, and
        grades in words that differ are minor. A reader who could not decide makes the pair deferred.
    """
    undecided = (ReadCategory.INDETERMINATE in (first.category, second.category)) and scheme is None
    if undecided or INDETERMINATE in (first.code, second.code):
        return Proposal(Discordance.DEFERRED, None)
    crosses = {first.category, second.category} == {ReadCategory.BENIGN, ReadCategory.MALIGNANT}
    if scheme is not None and first.code is not None and second.code is not None:
        severity = scheme.severity(first.code, second.code)
        found = Discordance.DEFERRED if severity is None else _MEANINGS[severity]
        basis = Basis.BENIGN_VS_MALIGNANT if crosses else Basis.GRADE
        return Proposal(found, None if found is Discordance.AGREEMENT else basis)
    if crosses:
        return Proposal(Discordance.MAJOR, Basis.BENIGN_VS_MALIGNANT)
    if first.scheme != second.scheme:
        return Proposal(Discordance.NOT_COMPARABLE, None)
    if _plain(first.grade) != _plain(second.grade):
        return Proposal(Discordance.MINOR, Basis.GRADE)
    return Proposal(Discordance.AGREEMENT, None)


def _plain(grade: str | None) -> str:
    return " ".join((grade or "").casefold().split())
