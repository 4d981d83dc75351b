"""What asks for no understanding: never calling anything, and calling what is dark."""

from __future__ import annotations

import math

import numpy as np

from core.aggregation import DEFAULT_AGGREGATION
from core.evaluation.binary import FloatArray, best_threshold, confusion
from core.evaluation.classes import binary_table
from core.evaluation.delong import auc_estimate
from core.evaluation.intervals import Estimate
from core.services.analysis.deciding import rule_score
from core.services.evaluation.tile_result import TileFactsOf
from core.services.evaluation.values import Baseline, Units

_NEVER = "Calls nothing. Its accuracy shows how little accuracy says where the target is rare."
_DARK = (
    "The darkness of the tissue, tile by tile, rolled up by the default rule. A model that does not beat it has learnt "
    "nothing that a light meter does not know."
)


def baselines_of(units: Units, facts: TileFactsOf, *, positive: str, by_case: bool) -> tuple[Baseline, ...]:
    """Measure both; darkness only where the tiles of every unit are there.

    Args:
        units: With truth.
        facts: Tiles by slide.
        positive: The target in words.
        by_case: Whether the units are cases; a case is as dark as its darkest slide.
    """
    never = confusion(units.truth, np.zeros(len(units), np.bool_))
    unknown = Estimate(math.nan, math.nan, math.nan)
    found = [
        Baseline(
            "always negative",
            _NEVER,
            unknown,
            binary_table(never, negative="without", positive=positive),
        )
    ]
    dark = _darkness(units, facts, by_case=by_case)
    if dark is None:
        return tuple(found)
    both = bool(units.truth.any() and not units.truth.all())
    called = dark >= best_threshold(units.truth, dark) if both else np.zeros(len(units), np.bool_)
    table = binary_table(confusion(units.truth, called), negative="without", positive=positive)
    found.append(Baseline("darkness", _DARK, auc_estimate(units.truth, dark, units.groups).estimate, table))
    return tuple(found)


def _darkness(units: Units, facts: TileFactsOf, *, by_case: bool) -> FloatArray | None:
    by_unit: dict[str, float] = {}
    for slide_id, (slide, of) in facts.items():
        known = of.darkness[np.isfinite(of.darkness)]
        if len(known) == 0:
            continue
        name = slide.case_id if by_case else slide_id
        score = rule_score(DEFAULT_AGGREGATION, np.clip(known, 0, 1), saliency=None)
        by_unit[name] = max(score, by_unit.get(name, 0.0))
    if any(name not in by_unit for name in units.ids):
        return None
    return np.array([by_unit[name] for name in units.ids], np.float64)
