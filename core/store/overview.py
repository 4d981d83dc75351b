"""Everything the worklist shows, in five queries however many cases there are."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from core.domain import CaseStatus, FlagKind, ReadCategory, SlideStatus
from core.store.connection import rows_of
from core.store.records import FlagRecord
from core.store.results import flag_of
from core.store.values import time_of

FlagKey = tuple[FlagKind, str | None]
"""What a flag is about: its kind and slide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideOverview:
    """A slide with the outcome of its latest run."""

    slide_id: str
    status: SlideStatus | None
    """None before the first run."""
    message: str
    label: str | None
    score: float | None
    threshold: float | None
    qc_score: float | None
    results_dir: str | None


@dataclass(slots=True, kw_only=True)
class CaseOverview:
    """A case with its slides, the diagnosis that stands, its current flags and what was reviewed."""

    case_id: str
    site: str | None
    added_at: datetime
    assigned_to: str | None
    slides: list[SlideOverview] = field(default_factory=list[SlideOverview])
    diagnosis: ReadCategory | None = None
    """The diagnosis recorded last, by whomever; second opinions are none."""
    diagnosis_by: str | None = None
    flags: list[FlagRecord] = field(default_factory=list[FlagRecord])
    recorded_state: CaseStatus = CaseStatus.UNREAD
    """The state the case moved to last."""
    reviewed: bool = False
    reviewed_flags: set[FlagKey] = field(default_factory=set[FlagKey])
    """Flags that stood when the last review was given."""


def overview(
    database: Database, *, case_id: str | None = None, case_ids: Sequence[str] | None = None
) -> list[CaseOverview]:
    """Return all cases, or the one or those named, in the order they were added. Call inside `reading`."""
    wanted = case_ids if case_id is None else (case_id,)
    cases = {
        row["case_id"]: CaseOverview(
            case_id=row["case_id"],
            site=row["site"],
            added_at=time_of(row["added_at"]),
            assigned_to=row["assigned_to"],
            recorded_state=CaseStatus(row["recorded_state"] or CaseStatus.UNREAD),
        )
        for row in _rows(database, _CASES, "cases.case_id", wanted)
    }
    for row in _rows(database, _SLIDES, "slides.case_id", wanted):
        cases[row["case_id"]].slides.append(_slide(row))
    for row in _rows(database, _DIAGNOSES, "diagnoses.case_id", wanted):
        case = cases[row["case_id"]]
        case.diagnosis, case.diagnosis_by = ReadCategory(row["category"]), row["reader"]
    for row in _rows(database, _FLAGS, "evaluations.case_id", wanted):
        cases[row["case_id"]].flags.append(flag_of(row))
    for reviewed, keys in _reviewed(database, wanted).items():
        cases[reviewed].reviewed = True
        cases[reviewed].reviewed_flags |= keys
    return list(cases.values())


# {where} is replaced by a condition on one column, or by "true".
_CASES = """
    SELECT case_id, site, added_at, assigned_to,
           (SELECT to_state FROM case_states WHERE case_states.case_id = cases.case_id
            ORDER BY change_id DESC LIMIT 1) AS recorded_state
    FROM cases WHERE {where} ORDER BY added_at, case_id
"""

_SLIDES = """
    SELECT slides.case_id, slides.slide_id, runs.status, runs.message, runs.label, runs.decision_score AS score,
           runs.threshold, qc.score AS qc_score, runs.results_dir
    FROM slides
    LEFT JOIN runs ON runs.seq = (SELECT max(seq) FROM runs WHERE runs.slide_id = slides.slide_id)
    LEFT JOIN qc ON qc.run_id = runs.run_id
    WHERE {where} ORDER BY slides.slide_id
"""

_DIAGNOSES = """
    SELECT case_id, category, reader, max(diagnosis_id) FROM diagnoses
    WHERE {where} AND coalesce(role, 'primary') NOT IN ('second', 'adjudicator') GROUP BY case_id
"""

_FLAGS = """
    SELECT evaluations.case_id, flags.* FROM evaluations JOIN flags USING (evaluation_id)
    WHERE {where} AND evaluations.evaluation_id =
        (SELECT max(newer.evaluation_id) FROM evaluations AS newer WHERE newer.case_id = evaluations.case_id)
    ORDER BY flags.flag_id
"""

_REVIEWS = """
    SELECT reviews.case_id, flags.kind, flags.slide_id
    FROM reviews LEFT JOIN flags ON flags.evaluation_id = reviews.evaluation_id
    WHERE {where} AND reviews.review_id =
        (SELECT max(newer.review_id) FROM reviews AS newer WHERE newer.case_id = reviews.case_id)
"""


def _rows(database: Database, query: str, column: str, wanted: Sequence[str] | None) -> list[dict[str, Any]]:
    where = "true" if wanted is None else f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own names
    return rows_of(database, query.replace("{where}", where), () if wanted is None else (json.dumps(list(wanted)),))


def _slide(row: Mapping[str, Any]) -> SlideOverview:
    return SlideOverview(
        slide_id=row["slide_id"],
        status=SlideStatus(row["status"]) if row["status"] else None,
        message=row["message"] or "",
        label=row["label"],
        score=row["score"],
        threshold=row["threshold"],
        qc_score=row["qc_score"],
        results_dir=row["results_dir"],
    )


def _reviewed(database: Database, wanted: Sequence[str] | None) -> Mapping[str, set[FlagKey]]:
    found: defaultdict[str, set[FlagKey]] = defaultdict(set)
    for row in _rows(database, _REVIEWS, "reviews.case_id", wanted):
        keys = found[row["case_id"]]
        if row["kind"]:
            keys.add((FlagKind(row["kind"]), row["slide_id"]))
    return found
