"""The triage board: what to look at again with the time there is, and what that buys as far as anybody can know.

Cases are ordered by expected benefit (severity x probability x quality). What a capacity buys is measured on RESOLVED
cases only: on those somebody looked again and said what the difference meant. They are no random sample (doubt is
resolved more often), which the numbers say beside themselves; what the rules miss is bounded by the audit sample alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.errors import InputError
from core.roles import Permission
from core.services.authority import ActorKind, kind_of, require
from core.services.consult_lists import WaitingCase, Waits, inbox, overdue, waiting
from core.services.request_rows import RequestRow
from core.services.visibility import blinds_of
from core.services.worklist_pages import PagedCase, WorklistOrder, WorklistQuery, worklist_page
from core.settings import Settings
from core.store.board import OpenCase, SettledCase, open_cases, settled_cases
from core.store.connection import Log, open_log, reading
from core.triage import TriagePoint, miss_rate_bound, triage_at_count
from core.vocabulary import Discordance

__all__ = ["AuditResult", "Board", "DayView", "OpenCase", "audit_result", "board", "day_view"]

DISCORDANT = frozenset({Discordance.MINOR, Discordance.MAJOR})
NOT_RANDOM = (
    "Measured on resolved cases only. They are not a random sample: doubtful cases are resolved more often, so the "
    "shares do not hold for all cases."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What the seeded audit of unflagged cases found."""

    audited: int
    """Audit cases with a compared second opinion."""
    missed: int
    """Of these, cases with a discordance."""
    bound: float | None
    """Highest miss rate among unflagged cases that this leaves possible (95 %, one-sided); None without an audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The board at one setting of the slider."""

    cases: tuple[OpenCase, ...]
    """The cases to look at, most worth it first."""
    waiting: int
    """Read cases that nobody looks at again yet."""
    flag_rate: float
    """Share of the waiting cases that is chosen."""
    measured: TriagePoint | None
    """What choosing that share of the resolved cases would have found, ordered by the probability of a difference as it
    was when the opinion was asked for; None while there is none to measure."""
    resolved: int
    """Resolved cases with a comparison, on which it is measured."""
    audit: AuditResult
    hidden: int
    """Cases left out because an opinion on them is awaited from the person who looks."""
    caution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayView:
    """What one person has to do today."""

    yours: tuple[PagedCase, ...]
    """Assigned to the person and not settled, by expected benefit."""
    unassigned: tuple[PagedCase, ...]
    """Assigned to nobody and flagged or unread."""
    opinions: tuple[RequestRow, ...]
    """Opinions awaited from the person, the urgent ones first."""
    decisions: tuple[WaitingCase, ...]
    """Cases of the person's own requests that wait for a comparison, a third reader, a resolution or a signature."""
    overdue: tuple[RequestRow, ...]


def board(settings: Settings, *, reviews_a_day: int | None = None, flag_rate: float | None = None, actor: str) -> Board:
    """Return the board for a capacity, given as cases a day or as a share of the waiting cases.

    Raises:
        NotAllowedError: the actor may not see reports.
        InputError: not exactly one of capacity and share is given, or it makes no sense.
    """
    if (reviews_a_day is None) == (flag_rate is None):
        raise InputError("Give either how many cases a day can be reviewed, or the share to be flagged.")
    if reviews_a_day is not None and reviews_a_day < 0:
        raise InputError(f"{reviews_a_day} cases a day cannot be reviewed.")
    if flag_rate is not None and not (math.isfinite(flag_rate) and 0 <= flag_rate <= 1):
        raise InputError(f"The flag rate is {flag_rate:g}; it must lie between 0 and 1.")
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        hidden = hidden_cases(database, actor)
        queue = open_cases(database, hidden=hidden)
        known = [one for one in settled_cases(database) if one.case_id not in hidden]
    chosen = reviews_a_day if flag_rate is None else round(flag_rate * len(queue))
    chosen = min(chosen or 0, len(queue))
    rate = chosen / len(queue) if queue else 0.0
    compared = [one for one in known if one.discordance is not None]
    return Board(
        cases=queue[:chosen],
        waiting=len(queue),
        flag_rate=rate,
        measured=_measured(compared, rate),
        resolved=len(compared),
        audit=audit_result(known),
        hidden=len(hidden),
        caution=NOT_RANDOM,
    )


def audit_result(settled: Sequence[SettledCase]) -> AuditResult:
    """Return what the audit found: only cases that were drawn while unflagged, and looked at again, say anything."""
    drawn = [one for one in settled if one.audited and not one.flagged and one.discordance is not None]
    missed = sum(one.discordance in DISCORDANT for one in drawn)
    return AuditResult(audited=len(drawn), missed=missed, bound=miss_rate_bound(missed, len(drawn)))


def day_view(settings: Settings, *, actor: str, limit: int = 50, now: datetime | None = None) -> DayView:
    """Return what waits for a person today.

    Args:
        settings: Names the home folder.
        actor: The person.
        limit: At most so many cases in each list.
        now: The present time; None = as it is.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    mine = worklist_page(settings, actor=actor, query=WorklistQuery(assigned_to=actor), limit=limit)
    free = worklist_page(
        settings, actor=actor, query=WorklistQuery(unassigned=True), order=WorklistOrder.BENEFIT, limit=limit
    )
    return DayView(
        yours=tuple(one for one in mine.cases if one.row.waiting_since is not None),
        unassigned=tuple(one for one in free.cases if one.row.waiting_since is not None),
        opinions=inbox(settings, actor=actor, now=now),
        decisions=tuple(one for one in waiting(settings, actor=actor) if one.is_mine and _is_due(one)),
        overdue=overdue(settings, actor=actor, now=now),
    )


def hidden_cases(database: Log, actor: str) -> frozenset[str]:
    """Return the cases that an actor's numbers must leave out; call inside a transaction."""
    return frozenset() if kind_of(actor) is not ActorKind.PERSON else frozenset(blinds_of(database, actor=actor))


def _is_due(case: WaitingCase) -> bool:
    """Say whether a case waits for the person who asked rather than for a consultant."""
    return case.waits is not Waits.OPINION


def _measured(compared: Sequence[SettledCase], rate: float) -> TriagePoint | None:
    if not compared:
        return None
    scores = np.array([one.score for one in compared])
    truth = np.array([one.discordance in DISCORDANT for one in compared])
    return triage_at_count(scores, truth, flagged=round(rate * len(compared)))
