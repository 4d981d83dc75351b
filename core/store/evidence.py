"""What the rules need of many cases, in a few queries however many there are."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlite_utils import Database

from core.domain import Region, SlideStatus
from core.store.connection import rows_of
from core.store.imports import ImportedPrediction, prediction_of
from core.store.records import CARRYING_ARTEFACT, DiagnosisRecord, Json, Scores
from core.store.reviews import diagnosis_of, standing
from core.store.values import json_object


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run says, without the rest of it."""

    slide_id: str
    model: str
    weights_sha256: str
    status: SlideStatus
    message: str
    label: str | None
    score: float | None
    threshold: float | None
    decision: str | None
    """Aggregation that decided."""
    peak: Region | None
    carrying_artefact: float | None
    settings: Json
    scores: Scores
    site: str | None
    scanner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """What the log holds of a case for the rules."""

    case_id: str
    runs: tuple[RunFacts, ...]
    """The latest run of each slide that has one."""
    others: Mapping[str, tuple[RunFacts, ...]]
    """Slide -> the latest run of each other model that has a result."""
    recorded: tuple[DiagnosisRecord, ...]
    """All reads, superseded ones too, in order."""
    predictions: tuple[ImportedPrediction, ...]
    """The latest of each other system."""

    @property
    def reads(self) -> tuple[DiagnosisRecord, ...]:
        """Reads that no other supersedes."""
        return standing(self.recorded)


_RUNS = """
    SELECT slides.case_id, slides.site, slides.scanner, runs.run_id, runs.slide_id, runs.model, runs.weights_sha256,
        runs.status, runs.message, runs.label, runs.decision_score, runs.threshold, runs.decision_aggregation,
        runs.peak_x, runs.peak_y, runs.peak_width, runs.peak_height, runs.settings,
        json_extract(qc.report, '$.' || ?) AS artefact,
        runs.seq = (SELECT max(seq) FROM runs AS newer WHERE newer.slide_id = runs.slide_id) AS is_latest
    FROM slides JOIN runs ON runs.slide_id = slides.slide_id LEFT JOIN qc ON qc.run_id = runs.run_id
    WHERE slides.case_id IN (SELECT value FROM json_each(?)) AND runs.seq =
        (SELECT max(seq) FROM runs AS newer WHERE newer.slide_id = runs.slide_id AND newer.model = runs.model)
    ORDER BY slides.slide_id, runs.seq
"""

_SCORES = """
    SELECT run_id, aggregation, class, probability FROM predictions
    WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY rowid
"""

_PREDICTIONS = """
    SELECT * FROM imported_predictions AS own WHERE case_id IN (SELECT value FROM json_each(?)) AND prediction_id =
        (SELECT max(prediction_id) FROM imported_predictions AS newer
         WHERE newer.case_id = own.case_id AND newer.system = own.system)
    ORDER BY prediction_id
"""


def facts_of_cases(database: Database, case_ids: Sequence[str]) -> dict[str, CaseFacts]:
    """Return what the rules need of the cases that are named. Call inside a transaction."""
    wanted = json.dumps(list(case_ids))
    rows = rows_of(database, _RUNS, (CARRYING_ARTEFACT, wanted))
    scores = _scores(database, [row["run_id"] for row in rows])
    latest: defaultdict[str, list[RunFacts]] = defaultdict(list)
    others: defaultdict[str, defaultdict[str, list[RunFacts]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        run = _run(row, scores.get(row["run_id"], {}))
        if row["is_latest"]:
            latest[row["case_id"]].append(run)
        elif run.status is SlideStatus.OK:
            others[row["case_id"]][run.slide_id].append(run)
    reads: defaultdict[str, list[DiagnosisRecord]] = defaultdict(list)
    query = "SELECT * FROM diagnoses WHERE case_id IN (SELECT value FROM json_each(?)) ORDER BY diagnosis_id"
    for row in rows_of(database, query, (wanted,)):
        reads[row["case_id"]].append(diagnosis_of(row))
    predictions: defaultdict[str, list[ImportedPrediction]] = defaultdict(list)
    for row in rows_of(database, _PREDICTIONS, (wanted,)):
        predictions[row["case_id"]].append(prediction_of(row))
    return {
        case_id: CaseFacts(
            case_id=case_id,
            runs=tuple(latest[case_id]),
            others={slide_id: tuple(runs) for slide_id, runs in others[case_id].items()},
            recorded=tuple(reads[case_id]),
            predictions=tuple(predictions[case_id]),
        )
        for case_id in case_ids
    }


def _scores(database: Database, run_ids: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for run_id, aggregation, name, probability in database.conn.execute(_SCORES, (json.dumps(list(run_ids)),)):
        found.setdefault(run_id, {}).setdefault(aggregation, {})[name] = probability
    return found


def _run(row: Mapping[str, Any], scores: Scores) -> RunFacts:
    peak = None
    if row["peak_x"] is not None:
        peak = Region(row["peak_x"], row["peak_y"], row["peak_width"], row["peak_height"])
    artefact = cast("object", row["artefact"])
    return RunFacts(
        slide_id=row["slide_id"],
        model=row["model"],
        weights_sha256=row["weights_sha256"],
        status=SlideStatus(row["status"]),
        message=row["message"],
        label=row["label"],
        score=row["decision_score"],
        threshold=row["threshold"],
        decision=row["decision_aggregation"],
        peak=peak,
        carrying_artefact=float(artefact) if isinstance(artefact, int | float) else None,
        settings=json_object(row["settings"]),
        scores=scores,
        site=row["site"],
        scanner=row["scanner"],
    )
