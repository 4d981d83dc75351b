"""Agreement straight from the log: standing reads in one scheme, the model as one more reader, before and after it.

Cases on which a blinded opinion is awaited from whoever asks are left out. Who may not see the profile of another
reader gets the others as "reader 1", "reader 2", in an order of their own for each scheme.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.agreement.estimates import Bootstrap, Estimate
from core.agreement.influence import PairedReads, model_influence
from core.agreement.report import AgreementReport, agreement_report
from core.agreement.table import MISSING, table_of
from core.domain import ReadCategory
from core.errors import InputError
from core.flags import CaseEvidence, margin
from core.roles import Permission
from core.schemes import Scheme
from core.services.authority import permissions_of_actor, require
from core.services.evidence import evidence_of
from core.services.scheme_library import schemes_in
from core.services.triage_board import hidden_cases
from core.settings import Settings
from core.store.connection import Log, open_log, reading, rows_of
from core.store.people import name_key
from core.store.records import DiagnosisRecord, ReadStage
from core.store.reviews import diagnosis_of, standing

MODEL = "model"
"""Name of the model among the readers."""
PLAIN = "plain"
"""The scheme that every read can be put into: benign or malignant."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AgreementView:
    """Agreement of the reads in the log."""

    scheme: Scheme
    report: AgreementReport
    influence: Mapping[str, Estimate]
    """What seeing the model's result does to a read; see `core.agreement.influence`."""
    pairs: int
    """Reads recorded both before and after the model's result, where the model has a call."""
    hidden: int
    """Cases left out for who asks."""
    anonymous: bool
    """Whether the names of other readers are withheld."""


def agreement_view(
    settings: Settings,
    *,
    scheme: str = PLAIN,
    system: str | None = None,
    bootstrap: Bootstrap | None = None,
    actor: str,
) -> AgreementView:
    """Return the agreement of all standing reads in one scheme.

    Args:
        settings: Names the home folder.
        scheme: Name of the scheme; in "plain" every read counts that says benign or malignant.
        system: Other system that is the model; None = the model of this program, which says benign or malignant only
            and so has no part in other schemes.
        bootstrap: How intervals are made.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not see agreement.
        InputError: there is no such scheme, or fewer than two readers have a read in it.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        known = schemes_in(database)
        if scheme not in known:
            raise InputError(f"There is no reading scheme {scheme!r}. There are {', '.join(known)}.")
        chosen = known[scheme]
        hidden = hidden_cases(database, actor)
        reads = [one for one in _reads(database) if one.case_id not in hidden]
        names = sorted({one.case_id for one in reads})
        calls = _calls(evidence_of(database, names), chosen, system=system)
        open_names = Permission.SEE_READER_PROFILES in permissions_of_actor(database, actor)
    shown = {one.reader: one.reader for one in reads} if open_names else pseudonyms(reads, scheme=scheme, actor=actor)
    how = bootstrap or Bootstrap()
    return AgreementView(
        scheme=chosen,
        report=_report(reads, calls, chosen, shown, how),
        influence=model_influence(_paired(reads, calls, chosen), bootstrap=how),
        pairs=len(_pairs(reads, calls, chosen)),
        hidden=len(hidden),
        anonymous=not open_names,
    )


def code_in(read: DiagnosisRecord, scheme: Scheme) -> str | None:
    """Return a read's category in a scheme, None for indeterminate and for reads of other schemes."""
    if read.scheme == scheme.name:
        return read.code if read.code in scheme.codes else None
    if scheme.name != PLAIN:
        return None
    return None if read.category is ReadCategory.INDETERMINATE else read.category.value


def _reads(database: Log) -> list[DiagnosisRecord]:
    return [diagnosis_of(row) for row in rows_of(database, "SELECT * FROM diagnoses ORDER BY diagnosis_id")]


def _calls(evidence: Mapping[str, CaseEvidence], scheme: Scheme, *, system: str | None) -> dict[str, str]:
    """Return the model's category of each case that it has one for: positive by one slide, negative only by all."""
    found: dict[str, str] = {}
    for case_id, one in evidence.items():
        if system is None and scheme.name == PLAIN and one.called:
            positive = margin(one.called[0]) >= 0
            if positive or one.complete:
                found[case_id] = (ReadCategory.MALIGNANT if positive else ReadCategory.BENIGN).value
        for other in one.systems:
            code = other.code if one.scheme is not None and one.scheme.name == scheme.name else None
            if code is None and scheme.name == PLAIN and other.category is not None:
                code = other.category.value
            if other.system == system and code in scheme.codes:
                found[case_id] = code
    return found


def _report(
    reads: Sequence[DiagnosisRecord],
    calls: Mapping[str, str],
    scheme: Scheme,
    shown: Mapping[str, str],
    bootstrap: Bootstrap,
) -> AgreementReport:
    latest: dict[tuple[str, str], DiagnosisRecord] = {}
    for one in standing(reads):
        if code_in(one, scheme) is not None:
            latest[one.case_id, shown[one.reader]] = one
    if len({reader for _, reader in latest}) < 2:
        raise InputError(f"Fewer than two readers have a read in {scheme.title}. Agreement needs two.")
    cases = sorted({case_id for case_id, _ in latest})
    triples = [(case_id, reader, code_in(one, scheme)) for (case_id, reader), one in sorted(latest.items())]
    model = [(case_id, MODEL, calls[case_id]) for case_id in cases if case_id in calls]
    table = table_of([*triples, *model], categories=scheme.codes, cases=cases)
    stated = np.zeros(table.codes.shape, np.intp)
    for (case_id, reader), one in latest.items():
        stated[table.cases.index(case_id), table.readers.index(reader)] = one.confidence or 0
    positive = next((at for at, one in enumerate(scheme.categories) if one.read is ReadCategory.MALIGNANT), None)
    return agreement_report(
        table,
        model=MODEL if model else None,
        # A scheme that holds malignant categories only, such as a grade, has no cut between benign and malignant.
        positive_from=positive or None,
        confidence=stated if stated.any() else None,
        bootstrap=bootstrap,
    )


def _pairs(
    reads: Sequence[DiagnosisRecord], calls: Mapping[str, str], scheme: Scheme
) -> list[tuple[DiagnosisRecord, DiagnosisRecord]]:
    """Return each reader's last read before and first one after the model's result, where the model has a call."""
    by_reader: dict[tuple[str, str], list[DiagnosisRecord]] = {}
    for one in reads:
        if one.case_id in calls and code_in(one, scheme) is not None:
            by_reader.setdefault((one.case_id, name_key(one.reader)), []).append(one)
    found: list[tuple[DiagnosisRecord, DiagnosisRecord]] = []
    for own in by_reader.values():
        after = next((one for one in own if one.stage is ReadStage.AFTER_MODEL), None)
        if after is not None:
            before = [one for one in own if one.diagnosis_id < after.diagnosis_id]
            found += [(before[-1], after)] if before else []
    return found


def _paired(reads: Sequence[DiagnosisRecord], calls: Mapping[str, str], scheme: Scheme) -> PairedReads:
    pairs = _pairs(reads, calls, scheme)
    numbers = {name: number for number, name in enumerate(sorted({before.case_id for before, _ in pairs}))}

    def indices(values: Sequence[str | None]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        return np.array([MISSING if one is None else scheme.codes.index(one) for one in values], np.intp)

    return PairedReads(
        case=np.array([numbers[before.case_id] for before, _ in pairs], np.intp),
        before=indices([code_in(before, scheme) for before, _ in pairs]),
        after=indices([code_in(after, scheme) for _, after in pairs]),
        model=indices([calls[before.case_id] for before, _ in pairs]),
    )


def pseudonyms(reads: Sequence[DiagnosisRecord], *, scheme: str, actor: str) -> dict[str, str]:
    """Return the actor's own name and numbers for the others, in an order that neither names nor first reads tell."""
    others = sorted(
        {one.reader for one in reads if name_key(one.reader) != name_key(actor)},
        key=lambda name: hashlib.sha256(f"{scheme}:{name}".encode()).hexdigest(),
    )
    names = {name: f"reader {number}" for number, name in enumerate(others, start=1)}
    return {one.reader: names.get(one.reader, one.reader) for one in reads}
