"""Which tiles and slides a model called wrongly, the worst first."""

from __future__ import annotations

import numpy as np

from core.domain import Region
from core.errors import InputError
from core.services.error_review.values import Direction, ErrorItem, Level
from core.services.evaluation.figures import facts_of
from core.services.evaluation.gather import Prepared, units_of
from core.settings import Settings


def errors_of(
    settings: Settings, prepared: Prepared, *, direction: Direction, level: Level
) -> tuple[list[ErrorItem], int]:
    """Return all errors of a kind, the worst first, and how many units were compared."""
    found, compared = (_tiles if level is Level.TILE else _slides)(settings, prepared, direction)
    return sorted(found, key=lambda one: (-one.wrongness, one.key[0], one.key[3] or 0, one.key[4] or 0)), compared


def _tiles(settings: Settings, prepared: Prepared, direction: Direction) -> tuple[list[ErrorItem], int]:
    card = prepared.scores.card
    if card is None:
        raise InputError("Imported predictions have no tiles. Choose slides, or a model of this program.")
    found: list[ErrorItem] = []
    compared = 0
    for slide, facts in facts_of(settings, prepared, units_of(prepared)).values():
        truth = facts.truth
        if truth is None:
            continue
        compared += len(truth)
        called = facts.score >= card.threshold
        wrong = truth & ~called if direction is Direction.FALSE_NEGATIVE else called & ~truth
        run = prepared.scores.runs[slide.slide_id]
        for row in np.flatnonzero(wrong).tolist():
            found.append(
                ErrorItem(
                    slide_id=slide.slide_id,
                    case_id=slide.case_id,
                    run_id=run.run_id,
                    level=Level.TILE,
                    direction=direction,
                    region=Region(*map(int, facts.boxes[row])),
                    score=float(facts.score[row]),
                    threshold=card.threshold,
                    reference="outlines beside the slide",
                )
            )
    return found, compared


def _slides(_settings: Settings, prepared: Prepared, direction: Direction) -> tuple[list[ErrorItem], int]:
    units, scores = units_of(prepared), prepared.scores
    if scores.card is None:
        raise InputError("Imported predictions speak of cases, not of slides. Choose a model of this program.")
    called = units.score >= scores.threshold
    wrong = units.truth & ~called if direction is Direction.FALSE_NEGATIVE else called & ~units.truth
    found = [
        ErrorItem(
            slide_id=units.slide_ids[row],
            case_id=units.case_ids[row],
            run_id=scores.runs[units.slide_ids[row]].run_id,
            level=Level.SLIDE,
            direction=direction,
            region=None,
            score=float(units.score[row]),
            threshold=scores.threshold,
            reference=prepared.reference,
        )
        for row in np.flatnonzero(wrong).tolist()
    ]
    return found, len(units)
