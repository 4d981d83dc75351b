"""Signatures over a read or the resolution of a case (21 CFR 11.50): what, by whom, when, and with what meaning."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain import CaseStatus
from core.errors import ConflictError, InputError, NotAllowedError
from core.roles import Permission
from core.services.cases.progress import take
from core.services.cases.visibility import require_unblinded, visibility_in
from core.services.people.authority import require
from core.services.people.person_names import DEMONSTRATION_MARK
from core.settings import Settings
from core.states import Step
from core.store import resolutions, reviews
from core.store.cases import get_case
from core.store.connection import Log, open_log, reading, writing
from core.store.consult_records import SignatureRecord
from core.store.people import name_key
from core.store.resolutions import insert_signature, record_digest, signatures_of_case
from core.store.submissions import earlier_record, keep_record
from core.vocabulary import SignatureMeaning, SignedKind


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A signature, and whether what was signed is still what it was."""

    signature: SignatureRecord
    holds: bool


def sign_read(
    settings: Settings,
    diagnosis_id: int,
    *,
    meaning: SignatureMeaning,
    printed_name: str,
    key: str | None = None,
    actor: str,
) -> SignatureRecord:
    """Sign a read that stands.

    Args:
        settings: Names the home folder.
        diagnosis_id: The read.
        meaning: authorship is the reader's own; nobody reviews or approves a read of their own.
        printed_name: The signer's name, typed anew for the signature.
        key: Of the form; the same form sent twice is one signature.
        actor: Who signs.

    Raises:
        NotFoundError: there is no such read.
        NotAllowedError: the actor may not sign, or not with this meaning.
        InputError: the typed name is not the signer's.
        ConflictError: the read is superseded, signed so already, or not the actor's to see.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.SIGN)
        read = reviews.get_diagnosis(database, diagnosis_id)
        content = {"read": diagnosis_id, "meaning": meaning.value}
        earlier = earlier_record(database, key, action="sign", actor=actor, content=content)
        if earlier is not None:
            return resolutions.get_signature(database, earlier)
        own = name_key(read.reader) == name_key(actor)
        if not own:
            require_unblinded(database, read.case_id, actor=actor)
        _check_meaning(meaning, own=own)
        if read not in reviews.current_diagnoses(database, read.case_id):
            raise ConflictError("This read is superseded by a later one; sign that.")
        made = _sign(
            database, read.case_id, SignedKind.READ, diagnosis_id, meaning=meaning, name=printed_name, actor=actor
        )
        keep_record(database, key, action="sign", actor=actor, content=content, record_id=made.signature_id)
        return made


def sign_resolution(
    settings: Settings,
    case_id: str,
    *,
    meaning: SignatureMeaning,
    printed_name: str,
    expected: CaseStatus | None = None,
    key: str | None = None,
    actor: str,
) -> SignatureRecord:
    """Sign the resolution of a case; the first signature makes the case signed, others may follow.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not sign, or not with this meaning.
        InputError: the typed name is not the signer's.
        ConflictError: the case is not resolved, or signed so by the actor already.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.SIGN)
        get_case(database, case_id)
        content = {"case": case_id, "meaning": meaning.value}
        earlier = earlier_record(database, key, action="sign", actor=actor, content=content)
        if earlier is not None:
            return resolutions.get_signature(database, earlier)
        require_unblinded(database, case_id, actor=actor)
        take(database, case_id, Step.SIGN, expected=expected, actor=actor)
        resolution = resolutions.resolutions_of_case(database, case_id)[-1]
        _check_meaning(meaning, own=name_key(resolution.author) == name_key(actor))
        number = resolution.resolution_id
        made = _sign(database, case_id, SignedKind.RESOLUTION, number, meaning=meaning, name=printed_name, actor=actor)
        keep_record(database, key, action="sign", actor=actor, content=content, record_id=made.signature_id)
        return made


def signatures(settings: Settings, case_id: str, *, actor: str | None = None) -> tuple[CheckedSignature, ...]:
    """Return the signatures on a case that an actor may see, each checked against what was signed.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        seen = visibility_in(database, case_id, actor=actor)
        if not seen.authors or not seen.other_opinions:
            return ()
        return tuple(
            CheckedSignature(one, record_digest(database, one.kind, one.record_id) == one.record_sha256)
            for one in signatures_of_case(database, case_id)
        )


def printed_name_of(actor: str) -> str:
    """Return the name that a person types to sign."""
    return actor.removesuffix(DEMONSTRATION_MARK)


def _check_meaning(meaning: SignatureMeaning, *, own: bool) -> None:
    if meaning is SignatureMeaning.AUTHORSHIP and not own:
        raise NotAllowedError("Only who wrote it signs as its author.")
    if meaning is SignatureMeaning.REVIEW and own:
        raise NotAllowedError("Nobody signs as the reviewer of what they wrote. Sign as its author.")


def _sign(
    database: Log,
    case_id: str,
    kind: SignedKind,
    record_id: int,
    *,
    meaning: SignatureMeaning,
    name: str,
    actor: str,
) -> SignatureRecord:
    if name_key(name) != name_key(printed_name_of(actor)):
        raise InputError(f"The typed name is not yours. To sign, type {printed_name_of(actor)}.")
    known = signatures_of_case(database, case_id)
    if (kind, record_id, actor, meaning) in {(one.kind, one.record_id, one.signer, one.meaning) for one in known}:
        raise ConflictError("You have signed this with this meaning already.")
    digest = record_digest(database, kind, record_id)
    assert digest is not None  # noqa: S101 - the record was read above
    return insert_signature(
        database,
        case_id,
        kind=kind,
        record_id=record_id,
        record_sha256=digest,
        printed_name=printed_name_of(actor),
        meaning=meaning,
        actor=actor,
    )
