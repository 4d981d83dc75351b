"""What one person may see of one case now: the single rule that pages, tile routes, exports and lists ask.

A consultant who is asked for a blinded opinion sees the slides as if reporting afresh (RCPA 2/2012), until the opinion
is locked. The same holds for everybody who may still answer for a pool. Else the model's result is hidden until the
case has its first read, or until the person chose to have it revealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import ConflictError, NotAllowedError
from core.roles import Permission
from core.services.people.authority import ActorKind, kind_of, permissions_of_actor, require
from core.settings import Settings
from core.store import cases, people, reviews
from core.store.connection import Log, open_log, reading
from core.store.consult_records import ConsultationRecord
from core.store.consultations import consultations_of_case, open_consultations
from core.store.opinions import opinions_of_case
from core.store.people import name_key
from core.vocabulary import Blinding, ConsultationRole

HIDDEN = "hidden"
"""Stands where a name may not be shown."""

_UNREAD = "Hidden until your diagnosis is recorded or you reveal it."
_ASKED = "Hidden until your opinion is locked: you are asked for a blinded second opinion."
_POOL = (
    "Hidden because a blinded second opinion is awaited from your group. Take the request, or reveal the result: "
    "you can then no longer give this opinion."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """What a person may see of a case."""

    model: bool = True
    """The model's result: scores, labels, tile values, galleries, and the flags and answers that speak of it."""
    first_read: bool = True
    """Reads, marks and states that others left."""
    other_opinions: bool = True
    """Second opinions of others, how they compare, and how the case was resolved."""
    authors: bool = True
    """Who read, reviewed, asked, or has the case."""
    because: str = ""
    """Why something is hidden, in a sentence; empty where nothing is."""
    blinding: Blinding | None = None
    """Of the request that hides; None where no request does."""
    consultation_id: int | None = None
    """The request that hides."""
    is_asked: bool = False
    """Whether that request is this person's own; otherwise it is of a pool that the person may answer for."""

    @property
    def is_blinded(self) -> bool:
        """Whether a request for an opinion hides something."""
        return self.consultation_id is not None

    @property
    def flags(self) -> bool:
        """Whether the flags that speak of the model's call may be seen."""
        return self.model

    @property
    def answers(self) -> bool:
        """Whether the answers of others to the model may be seen."""
        return self.model

    @property
    def marks(self) -> bool:
        """Whether marks of others may be seen."""
        return self.first_read

    @property
    def status(self) -> bool:
        """Whether the state of the case in words may be seen: flagged and concordant tell of the model."""
        return not self.is_blinded

    def may_see_read(self, *, reader: str, role: str, actor: str) -> bool:
        """Say whether a read may be seen by an actor; one's own always may."""
        opinion = role in (ConsultationRole.SECOND.value, ConsultationRole.ADJUDICATOR.value)
        return reader == actor or (self.other_opinions if opinion else self.first_read)


ALL = Visibility()
"""Nothing is hidden: for steps that show nothing to a person."""

UNREAD = Visibility(model=False, because=_UNREAD)
"""Nobody has read the case yet, and the person has not had the result revealed."""


def visibility(settings: Settings, case_id: str, *, actor: str | None) -> Visibility:
    """Return what an actor may see of a case now; None is the program itself, which sees everything.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not see cases at all.
    """
    with open_log(settings) as database, reading(database):
        return visibility_in(database, case_id, actor=actor)


def visibility_in(database: Log, case_id: str, *, actor: str | None) -> Visibility:
    """Return what an actor may see of a case, inside a transaction; see `visibility`."""
    cases.get_case(database, case_id)
    if actor is None:
        return ALL
    require(database, actor, Permission.SEE_CASES)
    if kind_of(actor) is not ActorKind.PERSON:
        return ALL  # whoever owns the files has them all; such an actor gives no opinion
    revealed = reviews.has_reveal(database, case_id, actor=actor)
    hiding = _hiding(database, open_consultations(database, case_id=case_id), actor=actor, revealed=revealed)
    if hiding is not None:
        return blinded_view(hiding, actor=actor)
    if revealed or reviews.diagnoses_of_case(database, case_id):
        return ALL
    return UNREAD


def blinds_of(database: Log, *, actor: str) -> Mapping[str, Visibility]:
    """Return what hides something from an actor, by case; cases that are not in it are not blinded."""
    awaited: dict[str, list[ConsultationRecord]] = {}
    for request in open_consultations(database):
        awaited.setdefault(request.case_id, []).append(request)
    revealed = reviews.revealed_cases(database, actor=actor) if awaited else frozenset[str]()
    found: dict[str, Visibility] = {}
    for case_id, requests in awaited.items():
        hiding = _hiding(database, requests, actor=actor, revealed=case_id in revealed)
        if hiding is not None:
            found[case_id] = blinded_view(hiding, actor=actor)
    return found


def blinded_cases(settings: Settings, *, actor: str) -> frozenset[str]:
    """Return the cases that statistics, reports and lists must leave out for an actor for the time being.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        return frozenset(blinds_of(database, actor=actor))


def may_see_model_of(settings: Settings, slide_id: str, *, issuer: str, subject: str) -> bool:
    """Say whether somebody known by a sign-in may see the model's result on a slide at this moment.

    A slide in no case has no result to hide.

    Raises:
        NotAllowedError: nobody of that sign-in is known, or the person may not see cases.
    """
    with open_log(settings) as database, reading(database):
        person = people.find_by_subject(database, issuer, subject)
        if person is None:
            raise NotAllowedError("Nobody of this sign-in is known here. Sign in again and reload the page.")
        require(database, person.log_name, Permission.SEE_CASES)
        if not cases.slide_exists(database, slide_id):
            return True
        return of_slide(database, slide_id, actor=person.log_name).model


def of_slide(database: Log, slide_id: str, *, actor: str | None) -> Visibility:
    """Return what an actor may see of the case of a slide, inside a transaction.

    Raises:
        NotFoundError: there is no such slide.
        NotAllowedError: the actor may not see cases.
    """
    return visibility_in(database, cases.get_slide(database, slide_id).case_id, actor=actor)


def require_unblinded(database: Log, case_id: str, *, actor: str) -> None:
    """Go on only if no blinded request hides anything of a case from an actor.

    Raises:
        ConflictError: one does.
    """
    seen = visibility_in(database, case_id, actor=actor)
    if seen.is_blinded:
        raise ConflictError(f"You cannot do this on case {case_id} yet. {seen.because}")


def blinded_view(request: ConsultationRecord, *, actor: str) -> Visibility:
    """Return what a request leaves to be seen."""
    full = request.blinding is Blinding.FULL
    asked = _is(request.consultant, actor)
    return Visibility(
        model=False,
        first_read=not full,
        other_opinions=False,
        authors=not full,
        because=_ASKED if asked else _POOL,
        blinding=request.blinding,
        consultation_id=request.consultation_id,
        is_asked=asked,
    )


def awaited_from(database: Log, case_id: str, *, actor: str) -> ConsultationRecord | None:
    """Return the request about a case that waits for this very person's opinion, blinded or not."""
    requests = open_consultations(database, case_id=case_id)
    return next((request for request in requests if request.is_awaited and _is(request.consultant, actor)), None)


def awaited_cases(database: Log, *, actor: str) -> frozenset[str]:
    """Return the cases on which an opinion of this very person is awaited."""
    requests = open_consultations(database)
    return frozenset(request.case_id for request in requests if request.is_awaited and _is(request.consultant, actor))


def involved(database: Log, case_id: str) -> Mapping[str, str]:
    """Return who can no longer give an opinion on a case, and why: name key -> reason."""
    found: dict[str, str] = {}
    for read in reviews.diagnoses_of_case(database, case_id):
        found.setdefault(name_key(read.reader), "has read the case")
    for opinion in opinions_of_case(database, case_id):
        found[name_key(opinion.author)] = "has given an opinion on the case"
    for answer in reviews.reviews_of_case(database, case_id):
        found.setdefault(name_key(answer.reader), "has reviewed the model's result on the case")
    for request in consultations_of_case(database, case_id):
        found.setdefault(name_key(request.requester), "has asked for an opinion on the case")
    return found


def _hiding(
    database: Log, requests: Sequence[ConsultationRecord], *, actor: str, revealed: bool
) -> ConsultationRecord | None:
    """Return the request that hides most from an actor; one's own comes before that of a pool."""
    blinded = [request for request in requests if request.is_awaited and request.blinding is not Blinding.OPEN]
    own = [request for request in blinded if _is(request.consultant, actor)]
    if not own and not revealed:
        own = [
            request for request in blinded if request.pool is not None and _may_answer(database, request, actor=actor)
        ]
    return min(own, key=lambda request: list(Blinding).index(request.blinding), default=None)


def _may_answer(database: Log, request: ConsultationRecord, *, actor: str) -> bool:
    """Say whether somebody may still take a request of a pool, and so must be kept blind for it."""
    needed = Permission.ADJUDICATE if request.role is ConsultationRole.ADJUDICATOR else Permission.GIVE_OPINION
    able = needed in permissions_of_actor(database, actor)
    return able and name_key(actor) not in involved(database, request.case_id)


def _is(name: str | None, actor: str) -> bool:
    return name is not None and name_key(name) == name_key(actor)
