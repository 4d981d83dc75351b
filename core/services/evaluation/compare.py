"""One model against another on the very same units, against the same reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import InputError
from core.evaluation.operating import Operating, operating_points
from core.evaluation.paired import PairedComparison, compare
from core.services.evaluation.gather import Prepared, prepare, units_of
from core.services.evaluation.values import EvaluationRequest, Unit
from core.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class ModelComparison:
    """Two models on the units that both have scored."""

    first: str
    second: str
    """Titles."""
    unit: Unit
    reference: str
    thresholds: tuple[float, float]
    left_out: int
    """Units of either model that the other has no score for."""
    paired: PairedComparison
    curves: tuple[Operating, Operating]
    data_sha256: tuple[str, str]


def compare_models(settings: Settings, request: EvaluationRequest, other: str, *, actor: str) -> ModelComparison:
    """Compare the model of a request with another one.

    Args:
        settings: Names the home folder.
        request: Of the first model.
        other: Name of the second model, or `system:NAME`.
        actor: Who asks.

    Raises:
        NotAllowedError: the actor may not see reports.
        NotFoundError: there is no such model.
        InputError: the two are the same, or have no unit in common.
    """
    if other == request.model:
        raise InputError("Choose another model than the one it is compared with.")
    first = prepare(settings, request, actor=actor)
    second = prepare(settings, replace(request, model=other, unit=first.unit, aggregation=None), actor=actor)
    return compare_prepared(first, second)


def compare_prepared(first: Prepared, second: Prepared) -> ModelComparison:
    """Compare two evaluations of the same units; see `compare_models`.

    Raises:
        InputError: they have no unit in common.
    """
    one, two = units_of(first), units_of(second)
    common = [name for name in one.ids if name in set(two.ids)]
    if not common:
        raise InputError(f"No {first.unit.value} has a result of both models and a label.")
    rows, others = _rows(one.ids, common), _rows(two.ids, common)
    truth, groups = one.truth[rows], one.groups[rows]
    scores = one.score[rows], two.score[others]
    thresholds = first.scores.threshold, second.scores.threshold
    return ModelComparison(
        first=first.scores.title,
        second=second.scores.title,
        unit=first.unit,
        reference=first.reference,
        thresholds=thresholds,
        left_out=len(one) + len(two) - 2 * len(common),
        paired=compare(truth, *scores, groups, thresholds=thresholds),
        curves=(operating_points(truth, scores[0]), operating_points(truth, scores[1])),
        data_sha256=(first.key, second.key),
    )


def _rows(ids: Sequence[str], wanted: Sequence[str]) -> list[int]:
    places = {name: place for place, name in enumerate(ids)}
    return [places[name] for name in wanted]
