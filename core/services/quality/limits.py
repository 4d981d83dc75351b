"""Limits of quality control as versioned data: draft a set, see which slides change side, activate it with a reason.

Limits live in the log, in the events that draft and activate them. A report in the log keeps the suggestion and the
version it was made under; the table of quality follows the limits that count now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from core.errors import ConflictError, NotFoundError
from core.qc.disposition import Suggestion, suggest
from core.qc.limits import DEFAULT_LIMITS, QcLimits
from core.qc.report import QcReport
from core.roles import Permission
from core.services.consultations.answers import plain_text
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import Log, open_log, reading, writing
from core.store.events import Action, append_event, events_of_kind, limits_entity
from core.store.quality_records import SlideQuality
from core.store.quality_results import change_suggestions, drop_suggestions, quality_of_slides, reports_of, stale_slides
from core.vocabulary import QcDisposition

__all__ = [
    "DispositionChange",
    "LimitsPreview",
    "LimitsState",
    "QcLimits",
    "activate_limits",
    "active_limits",
    "draft_limits",
    "limits_of",
    "list_limits",
    "preview_limits",
]

ACCEPTED = frozenset({QcDisposition.ACCEPT, QcDisposition.ACCEPT_WITH_LIMITATION})
_AT_ONCE = 500
"""Reports in memory together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsState:
    """A set of limits and what became of it."""

    limits: QcLimits
    active: bool
    drafted_by: str | None
    """None = built in."""
    drafted_at: datetime | None
    activated_by: str | None = None
    activated_at: datetime | None = None
    """The last time; None = never."""
    reason: str = ""
    """Why it was activated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispositionChange:
    """A slide on which two sets of limits differ."""

    slide_id: str
    before: QcDisposition
    after: QcDisposition

    @property
    def changes_side(self) -> bool:
        """Whether the slide would be accepted under one set and not under the other."""
        return (self.before in ACCEPTED) != (self.after in ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsPreview:
    """What a set of limits would change on the slides as they are measured now."""

    limits: QcLimits
    compared_with: str
    """Version of the set that counts now."""
    slides: int
    """Slides compared."""
    without_report: int
    """Slides whose measurement is from before the artefact classes; they keep what they have."""
    before: Mapping[QcDisposition, int]
    after: Mapping[QcDisposition, int]
    changes: tuple[DispositionChange, ...]

    @property
    def change_side(self) -> tuple[DispositionChange, ...]:
        """Slides that would become accepted, or no longer be."""
        return tuple(one for one in self.changes if one.changes_side)


def list_limits(settings: Settings) -> tuple[LimitsState, ...]:
    """Return every set of limits, the built-in one first, then in the order they were drafted."""
    with open_log(settings) as database, reading(database):
        return tuple(_states(database).values())


def active_limits(settings: Settings) -> QcLimits:
    """Return the limits that count now."""
    with open_log(settings) as database, reading(database):
        return active_limits_in(database)


def active_limits_in(database: Log) -> QcLimits:
    """Return the limits that count now, inside a transaction."""
    return next(state.limits for state in _states(database).values() if state.active)


def limits_of(values: Mapping[str, object]) -> QcLimits:
    """Return a set of limits from the fields of a form; see `QcLimits` for their names.

    Raises:
        InputError: a limit is missing, unknown, no number or out of range.
    """
    return QcLimits.from_dict(values)


def draft_limits(settings: Settings, limits: QcLimits, *, actor: str) -> LimitsState:
    """Keep a set of limits under its version, without using it.

    Raises:
        NotAllowedError: the actor may not change limits.
        ConflictError: another set bears the same version.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.SET_QC_LIMITS)
        version = plain_text(limits.version, what="A version", needed=True)
        known = _states(database).get(version)
        named = replace(limits, version=version)
        if known is not None:
            if known.limits == named:
                return known
            raise ConflictError(f"There are other limits of version {version}. Give these a new version.")
        payload = {"limits": named.to_dict()}
        append_event(database, Action.QC_LIMITS_DRAFTED, entity=limits_entity(version), actor=actor, payload=payload)
        return _states(database)[version]


def preview_limits(settings: Settings, limits: QcLimits, *, actor: str) -> LimitsPreview:
    """Say which slides a set of limits would judge otherwise, without keeping anything.

    Raises:
        NotAllowedError: the actor may not change limits.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SET_QC_LIMITS)
        now = active_limits_in(database)
        measured = quality_of_slides(database)
        compared = [
            DispositionChange(
                slide_id=slide_id,
                before=suggestion(report, now).disposition,
                after=suggestion(report, limits).disposition,
            )
            for slide_id, report in _reports(database, measured)
        ]
    return LimitsPreview(
        limits=limits,
        compared_with=now.version,
        slides=len(compared),
        without_report=len(measured) - len(compared),
        before=Counter(one.before for one in compared),
        after=Counter(one.after for one in compared),
        changes=tuple(one for one in compared if one.before is not one.after),
    )


def activate_limits(
    settings: Settings, version: str, *, reason: str, expected: str | None = None, actor: str
) -> LimitsState:
    """Let a set of limits count from now on; suggestions follow it, reports and verdicts keep their version.

    Args:
        settings: Names the home folder.
        version: Of a set that was drafted, or the built-in one.
        reason: Why.
        expected: The version that the page showed as active; None where there is no page.
        actor: Who decides it.

    Raises:
        NotAllowedError: the actor may not change limits.
        NotFoundError: there is no such set.
        InputError: no reason is given.
        ConflictError: another set was activated since the page was shown.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.SET_QC_LIMITS)
        why = plain_text(reason, what="A reason", needed=True)
        known = _states(database)
        if version not in known:
            raise NotFoundError(f"There are no limits {version!r}. There are {', '.join(known)}.")
        now = active_limits_in(database).version
        if expected is not None and expected != now:
            raise ConflictError(f"The limits {now} count by now; the page still showed {expected}. Reload it.")
        payload = {"reason": why, "before": now}
        append_event(database, Action.QC_LIMITS_ACTIVATED, entity=limits_entity(version), actor=actor, payload=payload)
        _refresh(database, active_limits_in(database))
        return _states(database)[version]


def bring_up_to_date(database: Log) -> None:
    """Let the suggestions of slides that were measured under other limits follow those that count now.

    They are derived: the log does not change.
    """
    with reading(database):
        limits = active_limits_in(database)
        behind = stale_slides(database, limits_version=limits.version)
    if behind:
        with writing(database):
            _refresh(database, active_limits_in(database))


def suggestion(report: QcReport, limits: QcLimits) -> Suggestion:
    """Return what limits suggest for a slide as it was measured."""
    shares = {kind: area.fraction_of_tissue for kind, area in report.artefacts()}
    return suggest(shares, usable=report.usable_fraction, tissue_mm2=report.tissue_mm2, limits=limits)


def _refresh(database: Log, limits: QcLimits) -> None:
    behind = stale_slides(database, limits_version=limits.version)
    measured = quality_of_slides(database, behind)
    fresh = {slide_id: suggestion(report, limits) for slide_id, report in _reports(database, measured)}
    change_suggestions(
        database,
        [(slide_id, one.disposition, one.reason, one.origin) for slide_id, one in fresh.items()],
        version=limits.version,
    )
    drop_suggestions(database, [slide_id for slide_id in behind if slide_id not in fresh])


def _reports(database: Log, measured: Sequence[SlideQuality]) -> Iterator[tuple[str, QcReport]]:
    """Yield the reports that limits can be applied to."""
    for start in range(0, len(measured), _AT_ONCE):
        for slide_id, values in reports_of(database, measured[start : start + _AT_ONCE]).items():
            try:
                yield slide_id, QcReport.from_dict(values)
            except ValueError:
                continue  # measured before there were classes: it has no suggestion either


def _states(database: Log) -> dict[str, LimitsState]:
    """Return every set by its version, inside a transaction."""
    found = {DEFAULT_LIMITS.version: LimitsState(limits=DEFAULT_LIMITS, active=True, drafted_by=None, drafted_at=None)}
    active = DEFAULT_LIMITS.version
    for event in events_of_kind(database, "qc_limits"):
        version = event.entity.removeprefix(limits_entity(""))
        if event.action == Action.QC_LIMITS_DRAFTED:
            found[version] = LimitsState(
                limits=QcLimits.from_dict(cast("Mapping[str, object]", event.payload["limits"])),
                active=False,
                drafted_by=event.actor,
                drafted_at=event.at_utc,
            )
        else:
            active = version
            found[version] = replace(
                found[version],
                activated_by=event.actor,
                activated_at=event.at_utc,
                reason=str(event.payload["reason"]),
            )
    return {version: replace(state, active=version == active) for version, state in found.items()}
