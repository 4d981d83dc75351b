"""Calibrations by site and scanner, and whether their promise still holds on cases that were resolved since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from core.errors import InputError
from core.shares import Share, binomial_tail, wilson
from core.uncertainty.conformal import Calibration, needed_cases

FORMAT = "second-read-calibration-1"
DRIFT_PROBABILITY = 0.01
"""A drift warning is given if so many errors would be rarer than this, were the promise kept."""


@dataclass(frozen=True, slots=True)
class Group:
    """Where slides come from; None = any."""

    site: str | None = None
    scanner: str | None = None

    def __str__(self) -> str:
        parts = [f"{name} {value}" for name, value in (("site", self.site), ("scanner", self.scanner)) if value]
        return ", ".join(parts) or "all sites and scanners"


EVERYTHING = Group()


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """Calibrations of one model, each for a group; that of `EVERYTHING` serves where no other can."""

    model: str
    weights_sha256: str
    groups: Mapping[Group, Calibration]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The calibration that is used for a slide, and why this one."""

    group: Group
    calibration: Calibration
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A case whose diagnosis was settled after its prediction set was made."""

    group: Group
    label: str
    """The settled class."""
    covered: bool
    """Whether the set held it."""


@dataclass(frozen=True, slots=True)
class CoverageCheck:
    """The promise of one group and class against what happened."""

    group: Group
    label: str
    """A class, or "" for all classes together."""
    errors: Share
    """Resolved cases whose label was not in their set."""
    probability: float
    """Of so many errors or more, were the error rate alpha."""
    warning: str
    """A sentence where the set errs more than promised; empty otherwise."""


def choose(file: CalibrationFile, group: Group, *, alpha: float) -> Chosen:
    """Return the narrowest calibration of a slide's site and scanner with enough cases for this alpha.

    Tried in order: site and scanner, scanner alone, site alone, everything.

    Raises:
        InputError: the file has none for everything.
    """
    needed = needed_cases(alpha)
    tried = (group, Group(None, group.scanner), Group(group.site, None))
    skipped: list[str] = []
    for candidate in dict.fromkeys(one for one in tried if one != EVERYTHING):
        calibration = file.groups.get(candidate)
        if calibration is not None and min(calibration.counts) >= needed:
            return Chosen(candidate, calibration, f"Calibrated for {candidate}.")
        if calibration is not None:
            skipped.append(f"{candidate} has only {min(calibration.counts)} cases of a class, {needed} are needed")
    if EVERYTHING not in file.groups:
        raise InputError("The calibration file has no calibration for all sites and scanners.")
    reason = "; ".join(skipped) or f"none for {group}"
    return Chosen(EVERYTHING, file.groups[EVERYTHING], f"Calibrated for {EVERYTHING}: {reason}.")


def coverage_checks(resolved: Sequence[Resolved], *, alpha: float) -> tuple[CoverageCheck, ...]:
    """Compare the errors of prediction sets on resolved cases with the promised rate, by group and class.

    The probability is the binomial one of at least as many errors at rate alpha. Resolved cases are not a random
    sample (disagreement is resolved more often), so a warning says "look", not "the model is broken".

    Raises:
        InputError: alpha lies outside 0 to 1.
    """
    if not 0 < alpha < 1:
        raise InputError(f"Alpha is {alpha:g}; it must lie between 0 and 1.")
    cells: dict[tuple[Group, str], list[bool]] = {}
    for case in resolved:
        for label in ("", case.label):
            cells.setdefault((case.group, label), []).append(not case.covered)
    return tuple(
        _check(group, label, sum(errors), len(errors), alpha=alpha)
        for (group, label), errors in sorted(cells.items(), key=_name)
    )


def calibration_text(file: CalibrationFile) -> str:
    """Return the calibration file as JSON."""
    groups = [
        {
            "site": group.site,
            "scanner": group.scanner,
            "classes": list(calibration.classes),
            "true_scores": [list(scores) for scores in calibration.true_scores],
        }
        for group, calibration in file.groups.items()
    ]
    content = {"format": FORMAT, "model": file.model, "weights_sha256": file.weights_sha256, "groups": groups}
    return json.dumps(content, indent=1)


def parse_calibration(text: str) -> CalibrationFile:
    """Return the calibration file in a JSON text.

    Raises:
        InputError: it is no calibration file, or its scores are no probabilities.
    """
    try:
        content = cast("Mapping[str, object]", json.loads(text))
        groups = {
            Group(entry["site"], entry["scanner"]): Calibration(
                tuple(entry["classes"]), tuple(tuple(sorted(scores)) for scores in entry["true_scores"])
            )
            for entry in cast("list[dict[str, Any]]", content["groups"])
        }
        found = CalibrationFile(str(content["model"]), str(content["weights_sha256"]), groups)
        usable = content["format"] == FORMAT and all(_is_usable(one) for one in groups.values())
    except (ValueError, TypeError, KeyError) as err:
        raise InputError(f"This is no calibration file: {err}.") from err
    if not usable:
        raise InputError("This is no calibration file of this version, or its scores are no probabilities.")
    return found


def _is_usable(calibration: Calibration) -> bool:
    scores = calibration.true_scores
    flat = np.concatenate([np.array(own, np.float64) for own in scores]) if scores else np.empty(0)
    return len(scores) == len(calibration.classes) >= 2 and all(scores) and bool(((flat >= 0) & (flat <= 1)).all())


def _name(cell: tuple[tuple[Group, str], list[bool]]) -> tuple[str, str]:
    return str(cell[0][0]), cell[0][1]


def _check(group: Group, label: str, errors: int, cases: int, *, alpha: float) -> CoverageCheck:
    probability = binomial_tail(errors, cases, share=alpha)
    what = f"class {label}" if label else "all classes"
    drifted = probability < DRIFT_PROBABILITY
    warning = (
        f"{errors} of {cases} resolved cases of {group} ({what}) lie outside their set, at a promised rate of "
        f"{alpha:g}. So many would be seen in {probability:.2g} of such samples: calibrate anew."
    )
    return CoverageCheck(group, label, wilson(errors, cases), probability, warning if drifted else "")
