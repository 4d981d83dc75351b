"""What a signature would be put under, as the dialog shows it before anybody signs."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import NotFoundError
from core.roles import Permission
from core.services.cases.visibility import require_unblinded
from core.services.people.authority import require
from core.settings import Settings
from core.store import reviews
from core.store.connection import open_log, reading
from core.store.consult_records import ResolutionRecord
from core.store.people import name_key
from core.store.records import DiagnosisRecord
from core.store.resolutions import record_digest, resolutions_of_case
from core.vocabulary import SignatureMeaning, SignedKind


@dataclass(frozen=True, slots=True)
class Signable:
    """A resolution that may be signed."""

    resolution: ResolutionRecord
    sha256: str
    """Of the record; the signature keeps it."""
    meanings: tuple[SignatureMeaning, ...]
    """What the actor's signature may say."""


def resolution_to_sign(settings: Settings, case_id: str, *, actor: str) -> Signable:
    """Return the resolution of a case that stands, with its digest, for an actor who is about to sign.

    Raises:
        NotFoundError: there is no such case, or it has no resolution.
        NotAllowedError, ConflictError: it is not for the actor to see.
    """
    with open_log(settings) as database, reading(database):
        require_unblinded(database, case_id, actor=actor)
        found = resolutions_of_case(database, case_id)
        digest = record_digest(database, SignedKind.RESOLUTION, found[-1].resolution_id) if found else None
    if digest is None:
        raise NotFoundError(f"Case {case_id} has no resolution to sign.")
    return Signable(found[-1], digest, _meanings(own=name_key(found[-1].author) == name_key(actor)))


@dataclass(frozen=True, slots=True)
class SignableRead:
    """A read that may be signed."""

    read: DiagnosisRecord
    sha256: str
    """Of the record; the signature keeps it."""
    meanings: tuple[SignatureMeaning, ...]
    """What the actor's signature may say."""


def read_to_sign(settings: Settings, diagnosis_id: int, *, actor: str) -> SignableRead:
    """Return a read with its digest, for an actor who is about to sign it; one's own may be signed while blinded.

    Raises:
        NotFoundError: there is no such read.
        NotAllowedError, ConflictError: it is not for the actor to see.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SIGN)
        read = reviews.get_diagnosis(database, diagnosis_id)
        own = name_key(read.reader) == name_key(actor)
        if not own:
            require_unblinded(database, read.case_id, actor=actor)
        digest = record_digest(database, SignedKind.READ, diagnosis_id)
    assert digest is not None  # noqa: S101 - the record was read above
    return SignableRead(read, digest, _meanings(own=own))


def _meanings(*, own: bool) -> tuple[SignatureMeaning, ...]:
    barred = SignatureMeaning.REVIEW if own else SignatureMeaning.AUTHORSHIP
    return tuple(one for one in SignatureMeaning if one is not barred)
