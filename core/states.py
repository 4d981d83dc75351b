"""How a case moves from its first read to a signed resolution: one table, without a database.

The states before a second opinion follow from the rows of a case (reads, results, flags, answers), so their steps are
taken by what arrives. From the request on, a person takes each step, and what is not in the table is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from core.domain import CaseStatus
from core.errors import ConflictError


class Step(StrEnum):
    """What moves a case."""

    LOCK_READ = "lock_read"
    COMPARE = "compare"
    CLEAR = "clear"
    FLAG = "flag"
    ANSWER = "answer"
    UNSETTLE = "unsettle"
    """A result came after the answer to the model, and nobody has read the case."""
    REQUEST = "request"
    RECEIVE_ONE = "receive_one"
    """An opinion arrives while others are awaited."""
    RECEIVE = "receive"
    """The last awaited opinion arrives, or the last request without one is withdrawn."""
    CANCEL = "cancel"
    """The only requests are withdrawn, so the case is where it was before."""
    COMPARE_OPINION = "compare_opinion"
    AGREE = "agree"
    ADJUDICATE = "adjudicate"
    REQUEST_ADJUDICATOR = "request_adjudicator"
    RESOLVE = "resolve"
    SIGN = "sign"
    REOPEN = "reopen"


_S = CaseStatus

BASE = (_S.UNREAD, _S.READ, _S.COMPARED, _S.CONCORDANT, _S.FLAGGED, _S.REVIEWED)
"""States that follow from reads, results, flags and answers."""

_ARRIVALS: Mapping[Step, CaseStatus] = {
    Step.LOCK_READ: _S.READ,
    Step.COMPARE: _S.COMPARED,
    Step.CLEAR: _S.CONCORDANT,
    Step.FLAG: _S.FLAGGED,
    Step.ANSWER: _S.REVIEWED,
}

_BY_ARRIVALS = {(state, step): target for state in BASE for step, target in _ARRIVALS.items()}

# Reads and answers are added, never changed, so they may come until the case is resolved; here they move nothing.
_UNMOVED = {
    (state, step): state
    for state in (_S.SECOND_OPINION_REQUESTED, _S.OPINION_RECEIVED, _S.AGREED, _S.ADJUDICATION)
    for step in (Step.LOCK_READ, Step.ANSWER)
}

_READ_STATES = (_S.READ, _S.COMPARED, _S.CONCORDANT, _S.FLAGGED, _S.REVIEWED)

TRANSITIONS: Mapping[tuple[CaseStatus, Step], CaseStatus] = {
    **_BY_ARRIVALS,
    (_S.REVIEWED, Step.UNSETTLE): _S.UNREAD,
    **_UNMOVED,
    **{(state, Step.REQUEST): _S.SECOND_OPINION_REQUESTED for state in _READ_STATES},
    (_S.SECOND_OPINION_REQUESTED, Step.REQUEST): _S.SECOND_OPINION_REQUESTED,
    (_S.OPINION_RECEIVED, Step.REQUEST): _S.SECOND_OPINION_REQUESTED,
    (_S.SECOND_OPINION_REQUESTED, Step.RECEIVE_ONE): _S.SECOND_OPINION_REQUESTED,
    (_S.SECOND_OPINION_REQUESTED, Step.RECEIVE): _S.OPINION_RECEIVED,
    (_S.SECOND_OPINION_REQUESTED, Step.CANCEL): _S.READ,
    (_S.OPINION_RECEIVED, Step.COMPARE_OPINION): _S.OPINION_RECEIVED,
    (_S.ADJUDICATION, Step.COMPARE_OPINION): _S.ADJUDICATION,
    (_S.OPINION_RECEIVED, Step.AGREE): _S.AGREED,
    (_S.OPINION_RECEIVED, Step.ADJUDICATE): _S.ADJUDICATION,
    (_S.ADJUDICATION, Step.REQUEST_ADJUDICATOR): _S.ADJUDICATION,
    (_S.ADJUDICATION, Step.RECEIVE_ONE): _S.ADJUDICATION,
    (_S.ADJUDICATION, Step.RECEIVE): _S.ADJUDICATION,
    (_S.ADJUDICATION, Step.CANCEL): _S.ADJUDICATION,
    (_S.AGREED, Step.RESOLVE): _S.RESOLVED,
    (_S.ADJUDICATION, Step.RESOLVE): _S.RESOLVED,
    (_S.RESOLVED, Step.SIGN): _S.SIGNED,
    (_S.SIGNED, Step.SIGN): _S.SIGNED,
    (_S.RESOLVED, Step.REOPEN): _S.READ,
    (_S.SIGNED, Step.REOPEN): _S.READ,
}
"""(state, step) -> next state. A step that is not here is not possible."""

_WORDS: Mapping[CaseStatus, str] = {
    _S.UNREAD: "not read yet",
    _S.READ: "read, with nothing to compare yet",
    _S.COMPARED: "read and compared in part",
    _S.CONCORDANT: "concordant",
    _S.FLAGGED: "flagged",
    _S.REVIEWED: "reviewed",
    _S.SECOND_OPINION_REQUESTED: "waiting for a second opinion",
    _S.OPINION_RECEIVED: "waiting for the opinion to be compared",
    _S.AGREED: "agreed upon and waiting for its resolution",
    _S.ADJUDICATION: "in adjudication",
    _S.RESOLVED: "resolved",
    _S.SIGNED: "signed",
}

_DEEDS: Mapping[Step, str] = {
    Step.LOCK_READ: "Recording a read",
    Step.ANSWER: "Answering the model",
    Step.REQUEST: "Asking for a second opinion",
    Step.RECEIVE_ONE: "Giving an opinion",
    Step.RECEIVE: "Giving an opinion",
    Step.CANCEL: "Withdrawing a request",
    Step.COMPARE_OPINION: "Comparing an opinion",
    Step.AGREE: "Recording agreement",
    Step.ADJUDICATE: "Handing the case to a third reader",
    Step.REQUEST_ADJUDICATOR: "Asking a third reader",
    Step.RESOLVE: "Recording the resolution",
    Step.SIGN: "Signing the resolution",
    Step.REOPEN: "Reopening",
}


def advance(state: CaseStatus, step: Step) -> CaseStatus:
    """Return the state after a step.

    Raises:
        ConflictError: the step is not possible in this state; the sentence says where the case stands and what is.
    """
    target = TRANSITIONS.get((state, step))
    if target is None:
        raise ConflictError(refusal(state, step))
    return target


def possible(state: CaseStatus) -> tuple[Step, ...]:
    """Return the steps that are possible in a state, in the order of the vocabulary."""
    return tuple(step for step in Step if (state, step) in TRANSITIONS)


def step_between(before: CaseStatus, after: CaseStatus) -> Step:
    """Return the step by which arriving rows moved a case between two states of `BASE`.

    Raises:
        ConflictError: no arrival leads there.
    """
    steps = (*_ARRIVALS, Step.UNSETTLE)
    found = next((step for step in steps if TRANSITIONS.get((before, step)) is after), None)
    if found is None:
        raise ConflictError(f"Nothing that arrives moves a case from {before.value} to {after.value}.")
    return found


def in_words(state: CaseStatus) -> str:
    """Return a state as the end of the sentence "The case is ..."."""
    return _WORDS[state]


def refusal(state: CaseStatus, step: Step) -> str:
    """Return the sentence that refuses a step."""
    deed = _DEEDS.get(step, step.value.replace("_", " ").capitalize())
    hint = " Reopen it first, with a reason." if Step.REOPEN in possible(state) and step is not Step.REOPEN else ""
    return f"{deed} is not possible now: the case is {in_words(state)}.{hint}"
