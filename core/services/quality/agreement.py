"""How far first and second quality readers agree.

Counted over independent reads alone: a second verdict that was given without sight of the first, against the first
reader's last verdict before it. What either makes of it afterwards stands in the log but is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap, Estimate
from core.agreement.pairs import pair_estimates
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.blinding import hidden_slides
from core.services.quality.limits import ACCEPTED
from core.settings import Settings
from core.store import quality as store
from core.store.connection import open_log, reading
from core.store.quality_records import QcVerdictRecord
from core.vocabulary import QcDisposition, QcRole

__all__ = ["QcAgreement", "QcPair", "qc_agreement"]

DISPOSITIONS = tuple(one.value for one in QcDisposition)


@dataclass(frozen=True, slots=True, kw_only=True)
class QcPair:
    """A slide with two independent verdicts."""

    slide_id: str
    first: QcVerdictRecord
    second: QcVerdictRecord

    @property
    def agrees(self) -> bool:
        """Whether both decided the same."""
        return self.first.disposition is self.second.disposition


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QcAgreement:
    """How far first and second quality readers agree."""

    pairs: tuple[QcPair, ...]
    """One a slide and second reader, in the order of the slides."""
    left_out: int
    """Second verdicts that were given in sight of the first."""
    hidden: int
    """Slides left out because their verdicts are hidden from whoever asks."""
    categories: tuple[str, ...]
    table: NDArray[np.float64]
    """(K, K) pairs: first reader along the rows, second along the columns."""
    by_disposition: Mapping[str, Estimate]
    """po, kappa and ac1 over the six dispositions, which have no order."""
    acceptance: NDArray[np.float64]
    """(2, 2) accepted (with a limitation too) or not."""
    by_acceptance: Mapping[str, Estimate]


def qc_agreement(settings: Settings, *, bootstrap: Bootstrap | None = None, actor: str) -> QcAgreement:
    """Return how far the first and the second quality readers agree, on slides whose verdicts the actor may see.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        hidden = hidden_slides(database, actor=actor)
        history = store.verdicts_ever_doubled(database)
    shown = [one for one in history if one.slide_id not in hidden]
    pairs, left_out = _independent(shown)
    table = _table(pairs, {name: place for place, name in enumerate(QcDisposition)}, size=len(DISPOSITIONS))
    acceptance = _table(pairs, {name: int(name not in ACCEPTED) for name in QcDisposition}, size=2)
    how = bootstrap or Bootstrap()
    return QcAgreement(
        pairs=pairs,
        left_out=left_out,
        hidden=len({one.slide_id for one in history} & hidden),
        categories=DISPOSITIONS,
        table=table,
        by_disposition=_three(pair_estimates(table, ordinal=False, positive_from=None, bootstrap=how)),
        acceptance=acceptance,
        by_acceptance=_three(pair_estimates(acceptance, ordinal=False, positive_from=None, bootstrap=how)),
    )


def _independent(history: Sequence[QcVerdictRecord]) -> tuple[tuple[QcPair, ...], int]:
    """Return the pairs of independent verdicts, and how many second readers saw the first verdict."""
    by_slide: dict[str, list[QcVerdictRecord]] = {}
    for one in history:
        by_slide.setdefault(one.slide_id, []).append(one)
    pairs: list[QcPair] = []
    left_out = 0
    for slide_id, verdicts in by_slide.items():
        seconds = {one.reader: one for one in reversed(verdicts) if one.role is QcRole.SECOND and not one.withdrawn}
        for second in seconds.values():
            first = _first_for(second, verdicts)
            if first is None:
                continue
            if second.blinded_to_first:
                pairs.append(QcPair(slide_id=slide_id, first=first, second=second))
            else:
                left_out += 1
    return tuple(sorted(pairs, key=lambda pair: (pair.slide_id, pair.second.verdict_id))), left_out


def _first_for(second: QcVerdictRecord, verdicts: Sequence[QcVerdictRecord]) -> QcVerdictRecord | None:
    """Return the first verdict that stood when a second one was given; if none did, a later one that was blinded."""
    firsts = [one for one in verdicts if one.role is QcRole.FIRST and one.reader != second.reader]
    before = [one for one in firsts if one.verdict_id < second.verdict_id]
    if before and not before[-1].withdrawn:
        return before[-1]
    after = (one for one in firsts if one.verdict_id > second.verdict_id and not one.withdrawn)
    return next((one for one in after if one.blinded_to_first), None)


def _table(pairs: Sequence[QcPair], code: Mapping[QcDisposition, int], *, size: int) -> NDArray[np.float64]:
    table = np.zeros((size, size))
    for pair in pairs:
        if pair.first.disposition is not None and pair.second.disposition is not None:
            table[code[pair.first.disposition], code[pair.second.disposition]] += 1
    return table


def _three(statistics: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {name: statistics[name] for name in ("po", "kappa", "ac1")}
