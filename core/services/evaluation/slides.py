"""How well the analysed slides of a catalogue are told apart: what the command line prints of an evaluation.

The figures are agreement with the reference: a pathologist's reads, a table, or the outlines beside slides. What has
no result or no label is counted and named, never left out silently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from core.aggregation import DEFAULT_AGGREGATION
from core.evaluation.calls import call_estimates
from core.evaluation.delong import AucEstimate
from core.evaluation.intervals import Estimate
from core.services.evaluation.figures import evaluate
from core.services.evaluation.text import UNITS
from core.services.evaluation.values import EvaluationRequest, EvaluationResult, TileResult, Unit
from core.settings import Settings

DIGITS = 4


def evaluate_slides(
    settings: Settings, *, reference: str, model_name: str | None = None, unit: Unit = Unit.SLIDE, actor: str
) -> EvaluationResult:
    """Compare the latest run of the model on each slide with a reference.

    Args:
        settings: Names the home folder, and the model if none is named here.
        reference: "truth" (outlines beside the slides), "reads" or "consensus" (the log), "reader:NAME",
            "system:NAME", "labels:NAME", or the path of a CSV with the columns slide_id and label.
        model_name: Name of the card.
        unit: What is counted once.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not see reports.
        InputError: the reference cannot be read, or no slide has both a result and a label.
        NotFoundError: no such model or reference.
    """
    return evaluate(settings, EvaluationRequest(model_name or settings.model, reference, unit), actor=actor)


def sentence_of(result: EvaluationResult) -> str:
    """Say what was measured and what was not."""
    words = UNITS[result.unit]
    left = result.left_out
    parts = [f"{len(result.units)} {words} of {result.n_cases} cases against {result.reference}, "]
    parts[0] += f"{result.n_positive} with the target."
    if left.without_result:
        parts.append(f"No result: {', '.join(left.without_result)}; these are counted neither right nor wrong.")
    if left.without_label:
        parts.append(f"No label: {', '.join(left.without_label)}.")
    if not result.both_classes:
        parts.append(f"Figures that need {words} of both kinds are left out.")
    return " ".join(parts)


def rule_figures(result: EvaluationResult) -> dict[str, dict[str, Estimate]]:
    """Return every rule's area, and its sensitivity and specificity at the threshold of the default rule."""
    units = result.units
    found: dict[str, dict[str, Estimate]] = {}
    for row in result.rules:
        calls = call_estimates(units.truth, row.scores >= result.threshold, units.groups)
        found[row.name] = {
            "auc": row.auc.estimate,
            "sensitivity": calls["sensitivity"],
            "specificity": calls["specificity"],
        }
    return found


def to_json(result: EvaluationResult) -> dict[str, object]:
    """Return what `--json` prints; what the data do not define is null."""
    (passed, alarms), (missed, hits) = result.at.table.matrix
    return {
        "model": result.request.model,
        "weights_sha256": list(result.weights_sha256),
        "reference": result.reference,
        "unit": result.unit.value,
        "threshold": result.threshold,
        "threshold_is_for": DEFAULT_AGGREGATION.value,
        "n_slides": result.n_slides,
        "n_cases": result.n_cases,
        "n_positive": result.n_positive,
        "n_units": len(result.units),
        "auc": _area(result.auc),
        "average_precision": _plain(result.average_precision),
        "ece": _number(result.calibration.ece),
        "confusion": {
            "true_positive": hits,
            "false_positive": alarms,
            "true_negative": passed,
            "false_negative": missed,
        },
        "at_threshold": {name: _plain(of) for name, of in result.at.estimates.items()},
        "aggregations": {
            name: {figure: _plain(of) for figure, of in figures.items()}
            for name, figures in rule_figures(result).items()
        },
        "baselines": {
            one.name.replace(" ", "_"): {
                "auc": _plain(one.auc),
                "accuracy": _number(one.table.accuracy),
                "balanced_accuracy": _number(one.table.balanced_accuracy),
            }
            for one in result.baselines
        },
        "tiles": _tiles(result.tiles),
        "left_out": {"blinded": result.left_out.blinded, "unread": result.left_out.unread},
        "without_result": dict(result.left_out.without_result),
        "without_label": dict(result.left_out.without_label),
        "caution": list(result.caution),
        "data_sha256": result.data_sha256,
        "sentence": sentence_of(result),
    }


def _tiles(tiles: TileResult | None) -> Mapping[str, object]:
    if tiles is None:
        return {"auc": None, "n_tiles": 0, "n_positive": 0, "n_slides": 0}
    return {
        "auc": _area(tiles.auc),
        "average_precision": _number(tiles.average_precision),
        "auc_of_darkness": _number(tiles.darkness_auc),
        "threshold": tiles.threshold,
        "n_tiles": tiles.n_tiles,
        "n_positive": tiles.n_positive,
        "n_slides": tiles.n_slides,
        "n_cases": tiles.n_cases,
    }


def _area(found: AucEstimate) -> dict[str, object] | None:
    plain = _plain(found.estimate)
    return None if plain is None else {**plain, "method": found.method}


def _plain(estimate: Estimate) -> dict[str, float | None] | None:
    if math.isnan(estimate.value):
        return None
    return {"value": _number(estimate.value), "low": _number(estimate.low), "high": _number(estimate.high)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DIGITS)
