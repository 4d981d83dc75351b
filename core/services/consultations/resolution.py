"""From an opinion to the resolution: compare it with the first read, agree or ask a third reader, settle, reopen.

A second opinion is not the truth: who compares says what the difference means, and the resolution says what was done.
"""

from __future__ import annotations

from datetime import UTC, datetime

from core.discordance import Proposal, Said, propose
from core.domain import CaseStatus
from core.errors import ConflictError, InputError
from core.roles import Permission
from core.schemes import INDETERMINATE, Scheme
from core.services.cases.progress import take
from core.services.cases.visibility import require_unblinded
from core.services.consultations.answers import plain_text
from core.services.consultations.rounds import comparison_of, first_read_of, opinions_of_round
from core.services.people.authority import require
from core.services.rules.scheme_library import find_scheme
from core.settings import Settings
from core.states import Step
from core.store import consultations, opinions, resolutions, reviews
from core.store.cases import get_case
from core.store.connection import Log, open_log, reading, writing
from core.store.consult_records import ComparisonRecord, NewComparison, NewResolution, OpinionRecord, ResolutionRecord
from core.store.records import DiagnosisRecord
from core.store.submissions import earlier_record, keep_record
from core.vocabulary import ReadRole, ResolutionMethod


def proposal(settings: Settings, opinion_id: int, *, actor: str) -> Proposal:
    """Return what the reading scheme makes of an opinion and the read it was asked about, for the form.

    Raises:
        NotFoundError: there is no such opinion.
        NotAllowedError, ConflictError: it is not for the actor to see.
    """
    with open_log(settings) as database, reading(database):
        opinion, case_id = _opinion(database, opinion_id)
        require_unblinded(database, case_id, actor=actor)
        first = first_read_of(database, case_id, opinion)
    return _proposal(settings, first, opinion.read)


def compare(
    settings: Settings,
    opinion_id: int,
    new: NewComparison,
    *,
    expected: CaseStatus | None = None,
    key: str | None = None,
    actor: str,
) -> ComparisonRecord:
    """Record what the difference between an opinion and the first read means; a later comparison supersedes it.

    Raises:
        NotFoundError: there is no such opinion.
        NotAllowedError: the actor may not do this.
        InputError: the note is too long.
        ConflictError: not in this state, or a blinded opinion is awaited from the actor.
    """
    plain_text(new.note, what="The note")
    with open_log(settings) as database, reading(database):
        opinion, case_id = _opinion(database, opinion_id)
        first = first_read_of(database, case_id, opinion)
    proposed = _proposal(settings, first, opinion.read)
    content = {"opinion": opinion_id, "comparison": repr(new)}
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RESOLVE)
        earlier = earlier_record(database, key, action="compare", actor=actor, content=content)
        if earlier is not None:
            return opinions.get_comparison(database, earlier)
        require_unblinded(database, case_id, actor=actor)
        if opinion_id not in {one.opinion_id for one in opinions_of_round(database, case_id)}:
            raise ConflictError("This opinion is of an earlier round; the case was reopened since.")
        take(database, case_id, Step.COMPARE_OPINION, expected=expected, actor=actor)
        made = opinions.insert_comparison(
            database,
            case_id,
            new,
            opinion_id=opinion_id,
            first_id=first.diagnosis_id,
            second_id=opinion.read.diagnosis_id,
            proposed=proposed.discordance,
            actor=actor,
        )
        keep_record(database, key, action="compare", actor=actor, content=content, record_id=made.comparison_id)
        return made


def agree(settings: Settings, case_id: str, *, expected: CaseStatus | None = None, actor: str) -> CaseStatus:
    """Record that the readers agree, from the start or after talking it over.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        ConflictError: not in this state, or an opinion is not compared yet.
    """
    return _decide(settings, case_id, Step.AGREE, expected=expected, reason="", actor=actor)


def adjudicate(
    settings: Settings, case_id: str, *, reason: str = "", expected: CaseStatus | None = None, actor: str
) -> CaseStatus:
    """Record that the readers differ and that a third reader decides; ask one with `consult.request`.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        ConflictError: not in this state, or an opinion is not compared yet.
    """
    return _decide(settings, case_id, Step.ADJUDICATE, expected=expected, reason=reason.strip(), actor=actor)


def resolve(
    settings: Settings,
    case_id: str,
    new: NewResolution,
    *,
    expected: CaseStatus | None = None,
    key: str | None = None,
    actor: str,
) -> ResolutionRecord:
    """Record how the case was settled and what became of the report.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        InputError: method and read do not fit, or something else in it cannot be used.
        ConflictError: not in this state, or an opinion is still awaited.
    """
    _check(new)
    content = {"case": case_id, "resolution": repr(new)}
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RESOLVE)
        get_case(database, case_id)
        earlier = earlier_record(database, key, action="resolve", actor=actor, content=content)
        if earlier is not None:
            return resolutions.get_resolution(database, earlier)
        require_unblinded(database, case_id, actor=actor)
        take(database, case_id, Step.RESOLVE, expected=expected, actor=actor)
        if consultations.open_consultations(database, case_id=case_id):
            raise ConflictError(
                f"An opinion on case {case_id} is still asked for. Wait for it, or withdraw the request."
            )
        _check_read(database, case_id, new)
        made = resolutions.insert_resolution(database, case_id, new, actor=actor)
        keep_record(database, key, action="resolve", actor=actor, content=content, record_id=made.resolution_id)
        return made


def reopen(
    settings: Settings, case_id: str, *, reason: str, expected: CaseStatus | None = None, actor: str
) -> CaseStatus:
    """Open a resolved or signed case again; what was said, resolved and signed stays in the log.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not do this.
        InputError: no reason is given.
        ConflictError: the case is neither resolved nor signed.
    """
    why = plain_text(reason, what="A reason", needed=True)
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RESOLVE)
        get_case(database, case_id)
        return take(database, case_id, Step.REOPEN, expected=expected, reason=why, actor=actor)


def _decide(
    settings: Settings, case_id: str, step: Step, *, expected: CaseStatus | None, reason: str, actor: str
) -> CaseStatus:
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.RESOLVE)
        get_case(database, case_id)
        require_unblinded(database, case_id, actor=actor)
        after = take(database, case_id, step, expected=expected, reason=reason, actor=actor)
        given = opinions_of_round(database, case_id)
        if any(comparison_of(database, case_id, one.opinion_id) is None for one in given):
            raise ConflictError("An opinion is not compared with the first read yet. Compare it, then decide.")
        return after


def _opinion(database: Log, opinion_id: int) -> tuple[OpinionRecord, str]:
    opinion = opinions.get_opinion(database, opinion_id)
    return opinion, consultations.get_consultation(database, opinion.consultation_id).case_id


def _proposal(settings: Settings, first: DiagnosisRecord, second: DiagnosisRecord) -> Proposal:
    shared = first.scheme if first.scheme == second.scheme else None
    scheme = None if shared is None else find_scheme(settings, shared)
    known = scheme if scheme is not None and _knows(scheme, first) and _knows(scheme, second) else None
    return propose(_said(first), _said(second), scheme=known)


def _knows(scheme: Scheme, read: DiagnosisRecord) -> bool:
    """Say whether a scheme, which may have a newer version by now, still has a read's answer."""
    return read.code is not None and read.code in (*scheme.codes, INDETERMINATE)


def _said(read: DiagnosisRecord) -> Said:
    return Said(read.category, read.grade, read.scheme, read.code)


def _check(new: NewResolution) -> None:
    plain_text(new.learning_note, what="The learning note")
    plain_text(new.communicated_to, what="Whom it was communicated to")
    if new.communicated_at is not None and new.communicated_at.tzinfo is None:
        raise InputError("The time of the communication has no time zone.")
    if new.communicated_at is not None and not new.communicated_to.strip():
        raise InputError("Say to whom it was communicated at that time.")
    if new.communicated_at is not None and new.communicated_at > datetime.now(UTC):
        raise InputError("It cannot have been communicated at a time that is to come.")
    if (new.diagnosis_id is None) != (new.method is ResolutionMethod.UNRESOLVED):
        raise InputError("Name the read that stands, and name none only where the case stays unresolved.")


def _check_read(database: Log, case_id: str, new: NewResolution) -> None:
    """Go on only if the read that stands is one of the case, and of the part that the method says."""
    reads = reviews.diagnoses_of_case(database, case_id)
    read = next((one for one in reads if one.diagnosis_id == new.diagnosis_id), None)
    if new.diagnosis_id is not None and read is None:
        raise InputError(f"Read {new.diagnosis_id} is not one of case {case_id}.")
    given = {one.read.diagnosis_id: one.read.role for one in opinions_of_round(database, case_id)}
    third = ReadRole.ADJUDICATOR in given.values()
    if new.method in (ResolutionMethod.THIRD_READER, ResolutionMethod.MAJORITY) and not third:
        raise InputError("No third reader has given an opinion in this round. Ask one, or choose another method.")
    wanted = {
        ResolutionMethod.SECOND_ADOPTED: ReadRole.SECOND,
        ResolutionMethod.THIRD_READER: ReadRole.ADJUDICATOR,
    }.get(new.method)
    if wanted is not None and given.get(new.diagnosis_id or 0) is not wanted:
        raise InputError(f"By {new.method.value.replace('_', ' ')}, the read that stands is an opinion of this round.")
    if new.method is ResolutionMethod.FIRST_UPHELD and new.diagnosis_id in given:
        raise InputError("Where the first read is upheld, the read that stands is not an opinion.")
