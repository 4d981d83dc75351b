"""Everything that is said about the agreement in one table, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap, Estimate
from core.agreement.many import category_agreement, mean_kappa_with, overall_estimates
from core.agreement.pairs import pair_estimates
from core.agreement.profiles import CaseSpread, ReaderProfile, case_spreads, consensus, reader_profiles
from core.agreement.table import ReadTable
from core.shares import Share

CONSENSUS = "consensus of the readers"
"""Name of the reader that stands for most of the readers of a case."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two readers."""

    first: str
    second: str
    cases: int
    """Cases that both read."""
    statistics: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {"first": self.first, "second": self.second, "n_cases": self.cases, **_plain(self.statistics)}


@dataclass(frozen=True, slots=True)
class ModelAgreement:
    """The model as one more reader."""

    name: str
    with_readers: tuple[PairAgreement, ...]
    """The model with each reader."""
    mean: Mapping[str, Estimate]
    """Mean kappas of the model with the readers; to be read beside the mean kappas among the readers."""
    with_consensus: PairAgreement
    """The model with the category most readers gave; cases with a tie are left out."""
    overall: Mapping[str, Estimate]
    """All statistics of the readers and the model together."""
    profile: ReaderProfile

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "name": self.name,
            "with_readers": [pair.to_dict() for pair in self.with_readers],
            "mean": _plain(self.mean),
            "with_consensus": self.with_consensus.to_dict(),
            "overall": _plain(self.overall),
            "profile": profile_dict(self.profile),
        }


@dataclass(frozen=True, slots=True, eq=False)
class AgreementReport:
    """Agreement of the readers of one table."""

    table: ReadTable
    """Without the model."""
    overall: Mapping[str, Estimate]
    by_category: Mapping[str, Estimate]
    pairs: tuple[PairAgreement, ...]
    profiles: tuple[ReaderProfile, ...]
    cases: tuple[CaseSpread, ...]
    model: ModelAgreement | None
    bootstrap: Bootstrap

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "n_cases": len(self.table.cases),
            "n_readers": len(self.table.readers),
            "n_missing": self.table.n_missing,
            "readers": list(self.table.readers),
            "categories": list(self.table.categories),
            "ordinal": self.table.ordinal,
            "overall": _plain(self.overall),
            "by_category": _plain(self.by_category),
            "pairs": [pair.to_dict() for pair in self.pairs],
            "profiles": [profile_dict(profile) for profile in self.profiles],
            "cases": [spread_dict(spread, self.table.categories) for spread in self.cases],
            "model": self.model.to_dict() if self.model else None,
            "intervals": interval_words(self.bootstrap),
        }


def agreement_report(
    table: ReadTable,
    *,
    model: str | None = None,
    positive_from: int | None = None,
    confidence: NDArray[np.intp] | None = None,
    bootstrap: Bootstrap | None = None,
) -> AgreementReport:
    """Compute every statistic of a table.

    Args:
        table: Cases x readers, the model among the readers if it is named.
        model: The reader that is the model; its reads are left out of the statistics of the readers.
        positive_from: Index of the first category that counts as positive; None = the second of two, else not said.
        confidence: (N, R) stated confidence 1-5 in the order of the table, 0 = none.
        bootstrap: How intervals are made.
    """
    how = bootstrap or Bootstrap()
    cut = 1 if positive_from is None and len(table.categories) == 2 else positive_from
    people = table.only([reader for reader in table.readers if reader != model])
    stated = None if confidence is None else confidence[:, [table.readers.index(reader) for reader in people.readers]]
    return AgreementReport(
        table=people,
        overall=overall_estimates(people, positive_from=cut, bootstrap=how),
        by_category=category_agreement(people, bootstrap=how),
        pairs=tuple(
            _pair(people, first, second, cut, how) for first, second in combinations(range(len(people.readers)), 2)
        ),
        profiles=reader_profiles(people, confidence=stated, bootstrap=how),
        cases=case_spreads(people),
        model=None if model is None else _model(table, people, model, cut, how),
        bootstrap=how,
    )


def interval_words(bootstrap: Bootstrap) -> str:
    """Say how the intervals were made."""
    return (
        f"{bootstrap.confidence:.0%} percentile bootstrap over cases, {bootstrap.replicates} resamples, "
        f"seed {bootstrap.seed}"
    )


def profile_dict(profile: ReaderProfile) -> dict[str, object]:
    """Return plain values for JSON."""
    return {
        "reader": profile.reader,
        "n_reads": profile.reads,
        "severity_drift": profile.drift.to_dict(),
        "distance": profile.distance.to_dict(),
        "with_consensus_of_others": share_dict(profile.consensus),
        "higher": profile.higher,
        "lower": profile.lower,
        "confidence": [{"confidence": level.confidence, **share_dict(level.agreeing)} for level in profile.confidence],
        "confidence_auc": profile.confidence_auc,
    }


def spread_dict(spread: CaseSpread, categories: tuple[str, ...]) -> dict[str, object]:
    """Return plain values for JSON."""
    return {
        "case": spread.case,
        "n_reads": spread.reads,
        "counts": dict(zip(categories, spread.counts, strict=True)),
        "consensus": spread.consensus,
        "agreement": spread.agreement,
        "steps": spread.steps,
    }


def share_dict(share: Share) -> dict[str, object]:
    """Return plain values for JSON."""
    return {"count": share.count, "of": share.of, "value": share.value, "low": share.low, "high": share.high}


def _plain(statistics: Mapping[str, Estimate]) -> dict[str, object]:
    return {name: value.to_dict() for name, value in statistics.items()}


def _pair(table: ReadTable, first: int, second: int, cut: int | None, bootstrap: Bootstrap) -> PairAgreement:
    square = table.pair(first, second)
    found = pair_estimates(square, ordinal=table.ordinal, positive_from=cut, bootstrap=bootstrap)
    return PairAgreement(table.readers[first], table.readers[second], int(square.sum()), found)


def _model(table: ReadTable, people: ReadTable, model: str, cut: int | None, how: Bootstrap) -> ModelAgreement:
    own = table.readers.index(model)
    others = [index for index in range(len(table.readers)) if index != own]
    against = replace(
        table,
        readers=(model, CONSENSUS),
        codes=np.stack([table.codes[:, own], consensus(people)], axis=1),
    )
    alone = reader_profiles(table, bootstrap=how)[own]
    return ModelAgreement(
        name=model,
        with_readers=tuple(_pair(table, own, other, cut, how) for other in others),
        mean=mean_kappa_with(table, reader=model, bootstrap=how),
        with_consensus=_pair(against, 0, 1, cut, how),
        overall=overall_estimates(table, positive_from=cut, bootstrap=how),
        profile=alone,
    )
