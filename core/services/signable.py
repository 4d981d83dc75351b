"""What a signature would be put under, as the dialog shows it before anybody signs."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import NotFoundError
from core.services.visibility import require_unblinded
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.consult_records import ResolutionRecord
from core.store.people import name_key
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
    own = name_key(found[-1].author) == name_key(actor)
    barred = SignatureMeaning.REVIEW if own else SignatureMeaning.AUTHORSHIP
    return Signable(found[-1], digest, tuple(one for one in SignatureMeaning if one is not barred))
