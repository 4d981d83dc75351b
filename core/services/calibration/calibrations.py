"""Calibrations of models by site and scanner: kept in the log, applied to every evaluation, watched on resolved cases.

A calibration lives in the log as a reading scheme does: the event that adds it carries its text, so that every one ever
used stays. The latest of a model's weights counts. It only ever adds flags: a slide whose set holds several labels is
undecided, one whose set is empty is unlike the calibration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from core.errors import InputError
from core.roles import Permission
from core.services.people.authority import require
from core.settings import Settings
from core.store.connection import Log, open_log, reading, writing
from core.store.events import Action, append_event, calibration_entity, events_of_kind
from core.store.evidence import RunFacts
from core.uncertainty import Method, needed_cases, prediction_sets
from core.uncertainty.monitoring import EVERYTHING, CalibrationFile, Group, choose, parse_calibration

__all__ = [
    "SIZE_LIMIT",
    "CalibrationInUse",
    "Calibrations",
    "Method",
    "add_calibration",
    "calibrations_in",
    "labels_of",
    "list_calibrations",
    "needed_cases",
]

SIZE_LIMIT = 5_000_000
"""Characters of a calibration file: about 250,000 calibration cases."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationInUse:
    """A calibration with the error rate it is used at."""

    file: CalibrationFile
    alpha: float
    method: Method
    sha256: str
    added_by: str
    added_at: datetime


Calibrations = Mapping[str, CalibrationInUse]
"""By the SHA-256 of the model's weights."""


def add_calibration(
    settings: Settings, text: str, *, alpha: float, method: Method = Method.VALID, reason: str, actor: str
) -> CalibrationInUse:
    """Take a calibration file into use for its model, from the next evaluation of each case on.

    Args:
        settings: Names the home folder.
        text: The file, see `core.uncertainty.monitoring.calibration_text`.
        alpha: Error rate that is accepted in each class, 0 to 1.
        method: How strangeness is counted.
        reason: Why it is taken into use.
        actor: Who does it.

    Raises:
        NotAllowedError: the actor may not change rules.
        InputError: file, error rate or reason cannot be used.
    """
    if not 0 < alpha < 1:
        raise InputError(f"Alpha is {alpha:g}; it must lie between 0 and 1, for example 0.01.")
    if not reason.strip():
        raise InputError("A reason is needed. Write a few words.")
    if len(text) > SIZE_LIMIT:
        raise InputError(f"The calibration file has more than {SIZE_LIMIT:,} characters.")
    found = parse_calibration(text)
    if EVERYTHING not in found.groups:
        raise InputError("The calibration file has no calibration for all sites and scanners. Add one.")
    payload = {
        "model": found.model,
        "weights_sha256": found.weights_sha256,
        "alpha": alpha,
        "method": method.value,
        "reason": reason.strip(),
        "text": text,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.MANAGE_RULES)
        entity = calibration_entity(found.weights_sha256)
        append_event(database, Action.CALIBRATION_ADDED, entity=entity, actor=actor, payload=payload)
        return calibrations_in(database)[found.weights_sha256]


def list_calibrations(settings: Settings) -> tuple[CalibrationInUse, ...]:
    """Return the calibrations that count, one a model's weights."""
    with open_log(settings) as database, reading(database):
        return tuple(calibrations_in(database).values())


def calibrations_in(database: Log) -> Calibrations:
    """Return the calibrations that count, inside a transaction."""
    found: dict[str, CalibrationInUse] = {}
    for event in events_of_kind(database, "calibration"):
        told = event.payload
        found[str(told["weights_sha256"])] = CalibrationInUse(
            file=_parsed(str(told["text"])),
            alpha=float(str(told["alpha"])),
            method=Method(str(told["method"])),
            sha256=str(told["sha256"]),
            added_by=event.actor,
            added_at=event.at_utc,
        )
    return found


@lru_cache(maxsize=4)
def _parsed(text: str) -> CalibrationFile:
    """Parse a file once per process: every evaluation of a case asks for it."""
    return parse_calibration(text)


def labels_of(run: RunFacts, calibrations: Calibrations) -> tuple[tuple[str, ...] | None, str]:
    """Return the conformal set of labels of a run and which calibration it is from; None where none fits the run."""
    used = calibrations.get(run.weights_sha256)
    scores = run.scores.get(run.decision or "")
    if used is None or scores is None:
        return None, ""
    chosen = choose(used.file, Group(run.site, run.scanner), alpha=used.alpha)
    classes = chosen.calibration.classes
    if not set(classes) <= set(scores):
        return None, ""
    probabilities = np.array([[scores[name] for name in classes]])
    kept = prediction_sets(chosen.calibration, probabilities, alpha=used.alpha, method=used.method)[0]
    words = f"{chosen.group}, error rate {used.alpha:g}, calibration {used.sha256[:12]}"
    return tuple(name for name, stays in zip(classes, kept, strict=True) if stays), words
