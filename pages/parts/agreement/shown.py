"""What the agreement page shows, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.services.agreement.view import AgreementReport, Estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """What the page shows."""

    title: str
    overall: Mapping[str, Estimate]
    report: AgreementReport | None
    """None where the reads are numbers."""
    influence: Mapping[str, Estimate] | None
    pairs: int
    """Reads before and after the model's result."""
    pairs_with_reference: int
    cases: int
    readers: int
    missing: int
    """Cells of the table of cases and readers without a read."""
    content: Mapping[str, object]
    """For the JSON export."""
    facts: Mapping[str, object]
    """Where it comes from, for exports."""
    in_log: bool = False
    """Whether the cases are those of the log."""
    others: tuple[tuple[str, Mapping[str, Estimate]], ...] = ()
    """Further tables beside it: title and statistics."""
