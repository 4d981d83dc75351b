"""The worklist page by page, for cohorts too large to list at once.

Filters, counts and order of a page use, for each case, only what its row may show to the person who looks; see
`core.store.summary_pages`. Unread cases whose result is hidden therefore stand by how long they wait, whatever the
model says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.domain import CaseStatus, FlagKind
from core.errors import InputError
from core.roles import Permission
from core.services.cases.masking import BLINDED_MAY_SEE, SAYS_NOTHING_OF_THE_CALL
from core.services.cases.visibility import ALL, UNREAD, Visibility, awaited_cases, blinds_of
from core.services.cases.worklist import CaseRow, row_for
from core.services.people.authority import ActorKind, kind_of, require
from core.settings import Settings
from core.store.connection import Log, open_log, reading
from core.store.overview import overview
from core.store.summary_lists import sites
from core.store.summary_pages import PageRow, WorklistQuery, summary_names, summary_page
from core.store.summary_parts import Sight, WorklistOrder

__all__ = ["Benefit", "PagedCase", "WorklistOrder", "WorklistPage", "WorklistQuery", "worklist_names", "worklist_page"]

PAGE_LIMIT = 1_000
"""Largest page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benefit:
    """What a second look at a case is worth, and of what parts that is made."""

    value: float
    """severity x probability x quality; 0 for a settled case."""
    severity: float
    """Weight of the difference should there be one: 2 major, 1 minor."""
    probability: float
    """That a second look differs, 0-1: half of the score's distance from the threshold, or the readers who differ."""
    quality: float
    """Share of the decisive tissue that is free of artefact, 0-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedCase:
    """A row of the worklist with its expected benefit."""

    row: CaseRow
    benefit: Benefit | None
    """None while the model's result is hidden from the person who looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistPage:
    """A page of the worklist and the numbers around it."""

    cases: tuple[PagedCase, ...]
    total: int
    """Cases that fit the query."""
    by_status: Mapping[CaseStatus, int]
    """Cases that fit the query but for status and flags."""
    by_kind: Mapping[FlagKind, int]
    """The same by flag."""
    sites: tuple[str, ...]
    """Where cases come from, for a filter."""
    offset: int
    limit: int


def worklist_page(
    settings: Settings,
    *,
    actor: str | None = None,
    query: WorklistQuery | None = None,
    order: WorklistOrder = WorklistOrder.BENEFIT,
    offset: int = 0,
    limit: int = 200,
) -> WorklistPage:
    """Return a page of the worklist as a person may see it.

    Args:
        settings: Names the home folder.
        actor: Who looks; None is the program itself, which sees everything.
        query: Which cases are wanted; None = all.
        order: How they are sorted; cases on which a blinded opinion is awaited from the actor come first by benefit
            and priority.
        offset: How many cases to skip.
        limit: How many to return, at most `PAGE_LIMIT`.

    Raises:
        NotAllowedError: the actor may not see cases.
        InputError: offset or limit cannot be used.
    """
    if offset < 0 or not 1 <= limit <= PAGE_LIMIT:
        raise InputError(f"A page of {limit} cases from {offset} cannot be shown; ask for 1 to {PAGE_LIMIT} from 0 on.")
    with open_log(settings) as database, reading(database):
        blinds: Mapping[str, Visibility] = {} if actor is None else blinds_of(database, actor=actor)
        sight = sight_of(database, actor, blinds=blinds)
        found = summary_page(database, sight, query or WorklistQuery(), order=order, offset=offset, limit=limit)
        places = sites(database)
        known = {case.case_id: case for case in overview(database, case_ids=[row.case_id for row in found.rows])}
    cases: list[PagedCase] = []
    for paged in found.rows:
        seen = blinds.get(paged.case_id) or (UNREAD if paged.hidden else ALL)
        row = row_for(settings, known[paged.case_id], seen, actor=actor or "")
        told = replace(row, waits_for_you=paged.case_id in sight.awaited, priority=paged.priority)
        cases.append(PagedCase(row=told, benefit=_benefit(paged)))
    return WorklistPage(
        cases=tuple(cases),
        total=found.total,
        by_status=found.by_status,
        by_kind=found.by_kind,
        sites=places,
        offset=offset,
        limit=limit,
    )


def worklist_names(
    settings: Settings,
    *,
    actor: str,
    query: WorklistQuery | None = None,
    order: WorklistOrder = WorklistOrder.BENEFIT,
) -> tuple[str, ...]:
    """Return the names of all cases that fit, in the order of the pages: the way that J and K walk.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        sight = sight_of(database, actor, blinds=blinds_of(database, actor=actor))
        return summary_names(database, sight, query or WorklistQuery(), order=order)


def sight_of(database: Log, actor: str | None, *, blinds: Mapping[str, Visibility]) -> Sight:
    """Return what an actor may see of the whole cohort; call inside a transaction.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    if actor is None:
        return Sight(everything=True)
    require(database, actor, Permission.SEE_CASES)
    return Sight(
        actor=actor,
        # Whoever owns the files has them all; such an actor gives no opinion.
        everything=kind_of(actor) is not ActorKind.PERSON,
        blinded=frozenset(blinds),
        without_first_read=frozenset(case_id for case_id, seen in blinds.items() if not seen.first_read),
        awaited=awaited_cases(database, actor=actor),
        open_kinds=SAYS_NOTHING_OF_THE_CALL,
        blinded_kinds=BLINDED_MAY_SEE,
    )


def _benefit(row: PageRow) -> Benefit | None:
    if row.severity is None or row.probability is None or row.quality is None:
        return None
    return Benefit(value=row.benefit, severity=row.severity, probability=row.probability, quality=row.quality)
