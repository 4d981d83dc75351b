"""The present round of a case: what was asked and said since it was last reopened."""

from __future__ import annotations

from core.states import Step
from core.store import opinions, reviews
from core.store.case_states import changes_of_case
from core.store.connection import Log
from core.store.consult_records import ComparisonRecord, OpinionRecord
from core.store.records import DiagnosisRecord
from core.vocabulary import COUNTING_ROLES


def opinions_of_round(database: Log, case_id: str) -> tuple[OpinionRecord, ...]:
    """Return the opinions given since a case was last reopened, in their order."""
    reopened = [change.created_at for change in changes_of_case(database, case_id) if change.step == Step.REOPEN.value]
    given = opinions.opinions_of_case(database, case_id)
    return tuple(opinion for opinion in given if not reopened or opinion.created_at > reopened[-1])


def first_read_of(database: Log, case_id: str, opinion: OpinionRecord) -> DiagnosisRecord:
    """Return the read that an opinion was asked about: the diagnosis that stood when the opinion was given.

    A correction that the author makes afterwards must not turn a difference into an agreement.
    """
    before = [
        read
        for read in reviews.diagnoses_of_case(database, case_id)
        if read.diagnosis_id < opinion.read.diagnosis_id and read.role in COUNTING_ROLES
    ]
    return before[-1]


def comparison_of(database: Log, case_id: str, opinion_id: int) -> ComparisonRecord | None:
    """Return the comparison of an opinion that stands, or None before the first."""
    made = [one for one in opinions.comparisons_of_case(database, case_id) if one.opinion_id == opinion_id]
    return made[-1] if made else None
