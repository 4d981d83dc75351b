"""Who may give an opinion on a case: somebody able to, who neither wrote, reviewed nor asked about it.

A reviewer is neither the author nor a previous reviewer, and whoever settles a difference is neither of the two.
"""

from __future__ import annotations

from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Permission
from core.services.cases.visibility import involved
from core.services.people.authority import refusal, require
from core.settings import Settings
from core.store import people, reviews
from core.store.connection import Log, open_log, reading
from core.store.consultations import open_consultations
from core.store.people import name_key
from core.store.records import PersonRecord
from core.vocabulary import Blinding, ConsultationRole

NEEDED = {
    ConsultationRole.SECOND: Permission.GIVE_OPINION,
    ConsultationRole.ADJUDICATOR: Permission.ADJUDICATE,
}
"""What somebody must be allowed, to answer."""


def eligible_people(
    settings: Settings, case_id: str, *, role: ConsultationRole, blinding: Blinding, actor: str
) -> tuple[PersonRecord, ...]:
    """Return whom an actor may ask about a case, in the order of their names.

    Raises:
        NotAllowedError: the actor may not ask for opinions.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.REQUEST_OPINION)
        able = [person for person in people.all_people(database) if NEEDED[role] in person.permissions]
        barred = {*involved(database, case_id), name_key(actor), *_awaited(database, case_id)}
        return tuple(
            person
            for person in able
            if name_key(person.log_name) not in barred
            and why_not_blinded(database, case_id, person.log_name, blinding=blinding) is None
        )


def eligible_name(
    database: Log, case_id: str, name: str, *, role: ConsultationRole, blinding: Blinding, requester: str
) -> str:
    """Return the name in the log of somebody who may be asked.

    Raises:
        NotFoundError: nobody bears that name.
        NotAllowedError: the person's roles do not allow it.
        ConflictError: the person has had a part in the case, is asked already, or has seen what would be hidden.
    """
    person = people.find_by_name(database, name)
    if person is None:
        raise NotFoundError(f"Nobody is named {name!r}. Choose somebody from the list of people.")
    if NEEDED[role] not in person.permissions:
        raise NotAllowedError(refusal(person.log_name, NEEDED[role]))
    if name_key(person.log_name) == name_key(requester):
        raise ConflictError("Nobody gives a second opinion on a request of their own. Ask somebody else.")
    check_uninvolved(database, case_id, person.log_name)
    if name_key(person.log_name) in _awaited(database, case_id):
        raise ConflictError(f"An opinion of {person.log_name} on case {case_id} is awaited already.")
    reason = why_not_blinded(database, case_id, person.log_name, blinding=blinding)
    if reason is not None:
        raise ConflictError(reason)
    return person.log_name


def check_uninvolved(database: Log, case_id: str, name: str) -> None:
    """Go on only if somebody has had no part in a case.

    Raises:
        ConflictError: the person has; the sentence says which.
    """
    part = involved(database, case_id).get(name_key(name))
    if part is not None:
        raise ConflictError(
            f"{name} {part}, so this would not be a second opinion. "
            "A reviewer is neither the author nor an earlier reviewer; ask somebody else."
        )


def check_not_author(database: Log, case_id: str, name: str) -> None:
    """Go on only if somebody has neither read a case nor given an opinion on it.

    Raises:
        ConflictError: the person has.
    """
    if any(name_key(read.reader) == name_key(name) for read in reviews.diagnoses_of_case(database, case_id)):
        raise ConflictError(f"{name} has read case {case_id}, and nobody reviews a read of their own.")


def why_not_blinded(database: Log, case_id: str, name: str, *, blinding: Blinding) -> str | None:
    """Return why somebody can no longer be blinded to the model's result, or None."""
    if blinding is Blinding.OPEN or not reviews.has_reveal(database, case_id, actor=name):
        return None
    return (
        f"{name} has seen the model's result on case {case_id}, so a blinded opinion is no longer possible. "
        "Ask somebody else, or ask without blinding."
    )


def target(consultant: str | None, pool: str | None) -> None:
    """Go on only if exactly one of a person and a pool is asked.

    Raises:
        InputError: both are, or neither.
    """
    if bool((consultant or "").strip()) == bool((pool or "").strip()):
        raise InputError("Ask either one person or a pool.")


def _awaited(database: Log, case_id: str) -> frozenset[str]:
    requests = open_consultations(database, case_id=case_id)
    return frozenset(name_key(one.consultant) for one in requests if one.is_awaited and one.consultant is not None)
