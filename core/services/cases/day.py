"""What one person has to do today: own cases, cases that nobody has, and opinions and decisions that wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.services.cases.visibility import blinds_of
from core.services.cases.worklist_pages import sight_of
from core.services.consultations.lists import WaitingCase, Waits, inbox, overdue, waiting
from core.services.consultations.request_rows import RequestRow
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.summary_lists import assignments


@dataclass(frozen=True, slots=True, kw_only=True)
class DayView:
    """What one person has to do today."""

    yours: int
    """Cases assigned to the person and not settled."""
    unassigned: int
    """Cases assigned to nobody and not settled."""
    opinions: tuple[RequestRow, ...]
    """Opinions awaited from the person or from a group of the person's, the urgent ones first."""
    decisions: tuple[WaitingCase, ...]
    """Cases of the person's own requests that wait for a comparison, a third reader, a resolution or a signature."""
    overdue: tuple[RequestRow, ...]

    @property
    def waiting(self) -> tuple[str, ...]:
        """Cases that wait for the person, each once: opinions first."""
        asked = [one.case_id for one in self.opinions if one.consultant is not None]
        return tuple(dict.fromkeys([*asked, *(one.case_id for one in self.decisions)]))


def day_view(settings: Settings, *, actor: str, now: datetime | None = None) -> DayView:
    """Return what waits for a person today.

    Args:
        settings: Names the home folder.
        actor: The person.
        now: The present time; None = as it is.

    Raises:
        NotAllowedError: the person may not see cases.
    """
    with open_log(settings) as database, reading(database):
        sight = sight_of(database, actor, blinds=blinds_of(database, actor=actor))
        mine, nobodys = assignments(database, sight)
    return DayView(
        yours=mine,
        unassigned=nobodys,
        opinions=inbox(settings, actor=actor, now=now),
        decisions=tuple(one for one in waiting(settings, actor=actor) if one.is_mine and _is_due(one)),
        overdue=overdue(settings, actor=actor, now=now),
    )


def _is_due(case: WaitingCase) -> bool:
    """Say whether a case waits for the person who asked rather than for a consultant."""
    return case.waits is not Waits.OPINION
