"""An opinion beside the read that it was asked about, for whoever compares them."""

from __future__ import annotations

from dataclasses import dataclass

from core.discordance import Proposal
from core.services.cases.visibility import require_unblinded
from core.services.consultations.resolution import proposal
from core.services.consultations.rounds import first_read_of
from core.settings import Settings
from core.store import consultations, opinions
from core.store.connection import open_log, reading
from core.store.consult_records import OpinionRecord
from core.store.records import DiagnosisRecord


@dataclass(frozen=True, slots=True)
class Pair:
    """Two reads of a case, and what their scheme makes of the difference."""

    first: DiagnosisRecord
    opinion: OpinionRecord
    proposal: Proposal


def pair(settings: Settings, opinion_id: int, *, actor: str) -> Pair:
    """Return an opinion with the read it was asked about.

    Raises:
        NotFoundError: there is no such opinion.
        NotAllowedError, ConflictError: it is not for the actor to see.
    """
    proposed = proposal(settings, opinion_id, actor=actor)
    with open_log(settings) as database, reading(database):
        opinion = opinions.get_opinion(database, opinion_id)
        case_id = consultations.get_consultation(database, opinion.consultation_id).case_id
        require_unblinded(database, case_id, actor=actor)
        return Pair(first_read_of(database, case_id, opinion), opinion, proposed)
