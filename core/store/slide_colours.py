"""Colour statistics that the latest analysis of each slide left, for a reference of usual slides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sqlite_utils import Database

from core.store.connection import rows_of
from core.store.values import json_object

ACCEPTING = ("accept", "accept_with_limitation")


@dataclass(frozen=True, slots=True)
class SlideColours:
    """Numbers of one slide."""

    model: str
    colours: tuple[float, ...]


def colours_of_model(
    database: Database, weights_sha256: str, *, key: str, accepted_only: bool
) -> dict[str, SlideColours]:
    """Return slide -> its numbers, of slides whose latest result is of a model.

    Args:
        database: The log.
        weights_sha256: Of the model.
        key: Of the run's settings, where the numbers stand.
        accepted_only: Leave out slides without a verdict of quality control; refused ones are always left out.
    """
    rows = rows_of(
        database,
        """SELECT runs.slide_id, runs.model, runs.settings,
               (SELECT CASE WHEN withdrawn THEN NULL ELSE disposition END FROM qc_verdicts
                WHERE qc_verdicts.slide_id = runs.slide_id ORDER BY verdict_id DESC LIMIT 1) AS disposition
           FROM runs WHERE runs.weights_sha256 = ? AND runs.status = 'ok'
             AND runs.seq = (SELECT max(seq) FROM runs AS newer WHERE newer.slide_id = runs.slide_id)""",
        (weights_sha256,),
    )
    found: dict[str, SlideColours] = {}
    for row in rows:
        told, verdict = json_object(row["settings"]).get(key), row["disposition"]
        judged = verdict in ACCEPTING if verdict is not None or accepted_only else True
        if isinstance(told, list) and judged:
            numbers = tuple(float(str(value)) for value in cast("list[object]", told))
            found[row["slide_id"]] = SlideColours(row["model"], numbers)
    return found
