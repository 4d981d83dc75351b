"""Does a calibration keep its promise? Prediction sets against the settled diagnosis of resolved cases.

A set holds classes of a model, a resolution names a read: they meet where a class is the model's positive class
(malignant) or not (benign). Cases that stay unresolved or were settled as indeterminate say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from core.domain import ReadCategory, SlideStatus
from core.roles import Permission
from core.services.calibration.calibrations import CalibrationInUse, Calibrations, calibrations_in, labels_of
from core.services.people.authority import require
from core.services.triage.board import hidden_cases
from core.settings import Settings
from core.store.board import settled_cases
from core.store.connection import Log, open_log, reading
from core.store.evidence import CaseFacts, RunFacts, facts_of_cases
from core.uncertainty.monitoring import CoverageCheck, Group, Resolved, coverage_checks

POSITIVE_CLASSES = "positive_classes"
"""Key of a run's settings: the classes that together are the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One calibration on the cases resolved so far."""

    calibration: CalibrationInUse
    cases: int
    """Resolved cases with a set and a settled category."""
    checks: tuple[CoverageCheck, ...]
    """By group and category, "" = both together; empty without cases."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences where the sets err more than promised."""
        return tuple(check.warning for check in self.checks if check.warning)


def coverage_of(settings: Settings, *, actor: str) -> tuple[Coverage, ...]:
    """Return how each calibration in use fares on resolved cases, with drift warnings.

    The promise is checked on the slide that decides the case, the most suspicious one. Cases on which a blinded opinion
    is awaited from the actor are left out.

    Raises:
        NotAllowedError: the actor may not see reports.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_REPORTS)
        calibrations = calibrations_in(database)
        runs = deciding_runs(database, actor=actor) if calibrations else ()
    return tuple(_coverage(used, calibrations, runs) for used in calibrations.values())


def _coverage(
    used: CalibrationInUse, calibrations: Calibrations, runs: Sequence[tuple[RunFacts, ReadCategory]]
) -> Coverage:
    found: list[Resolved] = []
    for run, category in runs:
        if run.weights_sha256 != used.file.weights_sha256:
            continue
        labels, _ = labels_of(run, calibrations)
        if labels is not None:
            covered = any(_category(name, run) is category for name in labels)
            found.append(Resolved(Group(run.site, run.scanner), category.value, covered))
    return Coverage(calibration=used, cases=len(found), checks=coverage_checks(found, alpha=used.alpha))


def deciding_runs(database: Log, *, actor: str) -> tuple[tuple[RunFacts, ReadCategory], ...]:
    """Return the run that decides each resolved case with what the resolution calls it; inside a transaction.

    Cases on which a blinded opinion is awaited from the actor are left out, and those settled as indeterminate.
    """
    hidden = hidden_cases(database, actor)
    settled = {
        one.case_id: one.category
        for one in settled_cases(database)
        if one.case_id not in hidden and one.category is not None
    }
    found: list[tuple[RunFacts, ReadCategory]] = []
    for case_id, facts in facts_of_cases(database, list(settled)).items():
        run, category = _deciding(facts), settled[case_id]
        if run is not None and category is not ReadCategory.INDETERMINATE:
            found.append((run, category))
    return tuple(found)


def positive_classes(run: RunFacts) -> tuple[str, ...]:
    """Return the classes that together are the target of a run's model."""
    positive = run.settings.get(POSITIVE_CLASSES)
    return tuple(str(one) for one in cast("list[object]", positive)) if isinstance(positive, list) else ()


def _deciding(facts: CaseFacts) -> RunFacts | None:
    """Return the run that carries a case: the one furthest above, or least below, its threshold."""
    scored = [run for run in facts.runs if run.status is SlideStatus.OK and run.score is not None]
    return max(scored, key=lambda run: (run.score or 0.0) - (run.threshold or 1.0), default=None)


def _category(name: str, run: RunFacts) -> ReadCategory:
    return ReadCategory.MALIGNANT if name in positive_classes(run) else ReadCategory.BENIGN
