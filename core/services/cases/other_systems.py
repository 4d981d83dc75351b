"""What other systems say about a case, for those who may see a model's result on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.services.cases.visibility import visibility_in
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.imports import predictions_of_case


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCall:
    """The prediction of another system, as it was imported."""

    system: str
    version: str
    label: str | None
    """The class it calls, where the file said so."""
    probabilities: Mapping[str, float]
    source: str
    """The file."""
    imported_at: datetime


def other_systems(settings: Settings, case_id: str, *, actor: str | None) -> tuple[OtherCall, ...]:
    """Return what other systems say about a case, the latest first; nothing while a model's result is hidden.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        if not visibility_in(database, case_id, actor=actor).model:
            return ()
        return tuple(
            OtherCall(
                system=one.system,
                version=one.system_version,
                label=one.label,
                probabilities=one.probabilities,
                source=one.source,
                imported_at=one.created_at,
            )
            for one in reversed(predictions_of_case(database, case_id))
        )
