"""What agreement is computed from: standing reads in one scheme as one person may see them, the model beside them.

Gathering is cheap and asks the log every time; computing is dear and depends on nothing else, so that a page may keep
its results by the digest of what was gathered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.agreement.influence import PairedReads
from core.agreement.table import MISSING, ReadTable, table_of
from core.domain import ReadCategory
from core.errors import InputError
from core.flags import CaseEvidence, margin
from core.roles import Permission
from core.schemes import Scheme
from core.services.people.authority import permissions_of_actor, require
from core.services.people.reader_names import pseudonyms
from core.services.rules.evidence import evidence_of
from core.services.rules.scheme_library import schemes_in
from core.services.triage.board import hidden_cases
from core.settings import Settings
from core.store.connection import Log, open_log, reading, rows_of
from core.store.people import name_key
from core.store.records import DiagnosisRecord, ReadStage
from core.store.resolutions import reads_that_stand
from core.store.reviews import diagnosis_of, standing
from core.vocabulary import ReadRole

MODEL = "model"
"""Name of the model among the readers."""
PLAIN = "plain"
"""The scheme that every read can be put into: benign or malignant."""
HERE = "recorded here"
"""Stands for the source of reads that were not imported."""


class Reads(StrEnum):
    """Which read of each reader and case counts."""

    STANDING = "standing"
    """The last one, whatever the reader had seen."""
    BEFORE = "before_model"
    """The last one before the reader was shown the model's result."""
    AFTER = "after_model"
    """The last one after it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AgreementInput:
    """Everything that agreement is computed from."""

    scheme: Scheme
    table: ReadTable
    """Cases x readers, the model among them if it has a call."""
    model: str | None
    positive_from: int | None
    confidence: NDArray[np.intp] | None
    """(N, R) 1-5, 0 = none stated."""
    pairs: PairedReads
    """Reads before and after the model's result, where the model has a call."""
    hidden: int
    """Cases left out for who asks."""
    anonymous: bool
    """Whether the names of other readers are withheld."""

    @property
    def digest(self) -> str:
        """SHA-256 of the content: the same for the same reads under the same names."""
        held = (
            repr((self.scheme, self.table.cases, self.table.readers, self.model, self.positive_from)),
            *(one.tobytes() for one in (self.table.codes, self.pairs.before, self.pairs.after, self.pairs.model)),
            b"" if self.confidence is None else self.confidence.tobytes(),
            b"" if self.pairs.reference is None else self.pairs.reference.tobytes(),
            self.pairs.case.tobytes(),
        )
        found = hashlib.sha256()
        for part in held:
            found.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
        return found.hexdigest()


def agreement_input(
    settings: Settings,
    *,
    scheme: str = PLAIN,
    system: str | None = None,
    reads: Reads = Reads.STANDING,
    sources: Sequence[str] = (),
    actor: str,
) -> AgreementInput:
    """Return what the agreement of the reads in the log is computed from.

    A consensus read says what readers agreed upon, not what one of them saw, and is no read of a reader here.

    Args:
        settings: Names the home folder.
        scheme: Name of the scheme; in "plain" every read counts that says benign or malignant.
        system: Other system that is the model; None = the model of this program, which says benign or malignant only
            and so has no part in other schemes.
        reads: Which read of each reader and case counts.
        sources: Files that reads were imported from, or `HERE`; empty = all.
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
        found = [one for one in _recorded(database, sources) if one.case_id not in hidden]
        calls = _calls(evidence_of(database, sorted({one.case_id for one in found})), chosen, system=system)
        stand = reads_that_stand(database)
        open_names = Permission.SEE_READER_PROFILES in permissions_of_actor(database, actor)
    shown = {one.reader: one.reader for one in found} if open_names else pseudonyms(found, scheme=scheme, actor=actor)
    latest = _latest(found, chosen, shown, wanted=reads)
    table, model = _table(latest, calls, chosen)
    positive = next((at for at, one in enumerate(chosen.categories) if one.read is ReadCategory.MALIGNANT), None)
    return AgreementInput(
        scheme=chosen,
        table=table,
        model=MODEL if model else None,
        # A scheme that holds malignant categories only, such as a grade, has no cut between benign and malignant.
        positive_from=positive or None,
        confidence=_confidence(latest, table),
        pairs=_paired(found, calls, chosen, {read.case_id: read for read in found if read.diagnosis_id in stand}),
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


def _recorded(database: Log, sources: Sequence[str]) -> list[DiagnosisRecord]:
    rows = rows_of(database, "SELECT * FROM diagnoses ORDER BY diagnosis_id")
    reads = [diagnosis_of(row) for row in rows if not sources or (row["source"] or HERE) in sources]
    return [one for one in reads if one.role is not ReadRole.CONSENSUS]


def _latest(
    reads: Sequence[DiagnosisRecord], scheme: Scheme, shown: Mapping[str, str], *, wanted: Reads
) -> dict[tuple[str, str], DiagnosisRecord]:
    """Return (case, shown name) -> the read that counts.

    Raises:
        InputError: they are of fewer than two readers.
    """
    stage = None if wanted is Reads.STANDING else ReadStage(wanted.value)
    kept = standing([one for one in reads if stage is None or one.stage is stage])
    latest = {(one.case_id, shown[one.reader]): one for one in kept if code_in(one, scheme) is not None}
    if len({reader for _, reader in latest}) < 2:
        raise InputError(f"Fewer than two readers have such a read in {scheme.title}. Agreement needs two.")
    return latest


def _table(
    latest: Mapping[tuple[str, str], DiagnosisRecord], calls: Mapping[str, str], scheme: Scheme
) -> tuple[ReadTable, bool]:
    """Return the reads as a table, and whether the model is among the readers."""
    cases = sorted({case_id for case_id, _ in latest})
    people = [(case_id, reader, code_in(one, scheme)) for (case_id, reader), one in sorted(latest.items())]
    model = [(case_id, MODEL, calls[case_id]) for case_id in cases if case_id in calls]
    return table_of([*people, *model], categories=scheme.codes, cases=cases), bool(model)


def _confidence(latest: Mapping[tuple[str, str], DiagnosisRecord], table: ReadTable) -> NDArray[np.intp] | None:
    stated = np.zeros(table.codes.shape, np.intp)
    row_of = {case_id: row for row, case_id in enumerate(table.cases)}
    column_of = {reader: column for column, reader in enumerate(table.readers)}
    for (case_id, reader), one in latest.items():
        stated[row_of[case_id], column_of[reader]] = one.confidence or 0
    return stated if stated.any() else None


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


def _paired(
    reads: Sequence[DiagnosisRecord],
    calls: Mapping[str, str],
    scheme: Scheme,
    stand: Mapping[str, DiagnosisRecord],
) -> PairedReads:
    """Return each reader's last read before and first one after the model's result, with the read that stands."""
    pairs = _pairs(reads, calls, scheme)
    numbers = {name: number for number, name in enumerate(sorted({before.case_id for before, _ in pairs}))}

    def indices(values: Sequence[str | None]) -> NDArray[np.intp]:
        return np.array([MISSING if one is None else scheme.codes.index(one) for one in values], np.intp)

    right = indices([code_in(stand[one.case_id], scheme) if one.case_id in stand else None for one, _ in pairs])
    return PairedReads(
        case=np.array([numbers[before.case_id] for before, _ in pairs], np.intp),
        before=indices([code_in(before, scheme) for before, _ in pairs]),
        after=indices([code_in(after, scheme) for _, after in pairs]),
        model=indices([calls[before.case_id] for before, _ in pairs]),
        reference=right if (right != MISSING).any() else None,
    )


def _pairs(
    reads: Sequence[DiagnosisRecord], calls: Mapping[str, str], scheme: Scheme
) -> list[tuple[DiagnosisRecord, DiagnosisRecord]]:
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
