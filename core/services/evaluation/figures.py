"""A model against a reference: from the log to one value with every figure, for the page and for the report.

First everything that goes in is gathered and hashed (`prepare`), then measured (`measure`): pages keep what was
measured under that hash, so that looking again costs nothing and a new read or run shows at once.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from core.evaluation.binary import average_precision
from core.evaluation.calibration import reliability
from core.evaluation.delong import auc_estimate
from core.evaluation.intervals import with_intervals
from core.evaluation.operating import operating_points
from core.services.evaluation.baselines import baselines_of
from core.services.evaluation.gather import Prepared, left_out_of, prepare, slides_behind, units_of
from core.services.evaluation.scores import ModelScores
from core.services.evaluation.tile_result import TileFactsOf, tile_result
from core.services.evaluation.tiles import TileFacts, tile_facts
from core.services.evaluation.values import (
    EvaluationRequest,
    EvaluationResult,
    ReaderPoint,
    RuleRow,
    Unit,
    Units,
)
from core.services.evaluation.view import view_of
from core.settings import Settings
from core.shares import wilson
from core.store.records import SlideRecord

__all__ = ["EvaluationRequest", "Prepared", "evaluate", "facts_of", "measure", "prepare"]

DRAWS = 1000
NOT_CALIBRATED = (
    "A slide's score is a mean of its most suspicious tiles, not a probability that the slide shows the target: the "
    "calibration plot says how far it can be read as one."
)
SMALL = "With {n} of the rarer kind the intervals are wide; no figure here decides anything by itself."
FEW = 30


def evaluate(settings: Settings, request: EvaluationRequest, *, actor: str) -> EvaluationResult:
    """Return every figure of a model against a reference, as far as the actor may see the cases.

    Raises:
        NotAllowedError: the actor may not see reports.
        NotFoundError: there is no such model, reader, system or table.
        InputError: the request makes no sense, or no unit has both a score and a label.
    """
    return measure(settings, prepare(settings, request, actor=actor))


def measure(settings: Settings, prepared: Prepared) -> EvaluationResult:
    """Measure what was gathered.

    Raises:
        InputError: no unit has both a score and a label.
    """
    scores = prepared.scores
    units = units_of(prepared)
    facts = facts_of(settings, prepared, units)
    truth, score, groups = units.truth, units.score, units.groups
    positives = int(truth.sum())
    both = 0 < positives < len(units)
    wanted = {"ap": average_precision}
    precision = with_intervals(truth, score, groups, metrics=wanted, draws=DRAWS if both else 1)["ap"]
    return EvaluationResult(
        request=prepared.request,
        unit=prepared.unit,
        model_title=scores.title,
        positive=scores.positive,
        weights_sha256=tuple(sorted({run.weights_sha256 for run in scores.runs.values() if run.weights_sha256})),
        reference=prepared.reference,
        caution=_caution(prepared, units),
        threshold=scores.threshold,
        threshold_note=scores.threshold_note,
        units=units,
        n_slides=len(slides_behind(prepared, units)),
        n_cases=len(set(groups.tolist())),
        n_positive=positives,
        n_tiles=sum(scores.runs[one.slide_id].tiles_kept for one in slides_behind(prepared, units)),
        left_out=left_out_of(prepared),
        auc=auc_estimate(truth, score, groups),
        average_precision=precision,
        operating=operating_points(truth, score),
        calibration=reliability(truth, score),
        rules=_rules(scores, units),
        readers=_points(prepared, units),
        baselines=baselines_of(units, facts, positive=scores.positive, by_case=prepared.unit is Unit.CASE),
        at=view_of(units, scores.threshold, positive=scores.positive),
        tiles=None if scores.card is None else tile_result(scores.card, facts),
        data_sha256=prepared.key,
        code_version=version("second-read"),
    )


def _rules(scores: ModelScores, units: Units) -> tuple[RuleRow, ...]:
    rows = {name: np.array([of[one] for one in units.ids], np.float64) for name, of in scores.rules.items()}
    return tuple(RuleRow(name, auc_estimate(units.truth, of, units.groups), of) for name, of in rows.items())


def facts_of(settings: Settings, prepared: Prepared, units: Units) -> TileFactsOf:
    """Return the tiles of every slide behind the units, as far as their files are there."""
    scores = prepared.scores
    if scores.card is None:
        return {}
    found: dict[str, tuple[SlideRecord, TileFacts]] = {}
    for slide in slides_behind(prepared, units):
        run = scores.runs[slide.slide_id]
        facts = tile_facts(settings, scores.card, slide_id=slide.slide_id, run_id=run.run_id, path=Path(slide.path))
        if facts is not None:
            found[slide.slide_id] = (slide, facts)
    return found


def _points(prepared: Prepared, units: Units) -> tuple[ReaderPoint, ...]:
    truth = dict(zip(units.ids, units.truth.tolist(), strict=True))
    found: list[ReaderPoint] = []
    for reader, (calls, _) in prepared.readers.items():
        common = [name for name in calls if name in truth]
        ill = [calls[name] for name in common if truth[name]]
        well = [not calls[name] for name in common if not truth[name]]
        if common:
            found.append(ReaderPoint(reader, wilson(sum(ill), len(ill)), wilson(sum(well), len(well))))
    return tuple(found)


def _caution(prepared: Prepared, units: Units) -> tuple[str, ...]:
    positives = int(units.truth.sum())
    rare = min(positives, len(units) - positives)
    parts = [*prepared.labels.caution, *prepared.scores.caution]
    if rare == 0:
        kind = "with" if positives == 0 else "without"
        parts.append(f"No {prepared.unit.value} {kind} the target: figures that need both kinds are not defined.")
    elif rare < FEW:
        parts.append(SMALL.format(n=rare))
    if prepared.scores.card is not None:
        parts.append(NOT_CALIBRATED)
    return tuple(parts)
