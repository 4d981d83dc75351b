"""Runs, their scores and quality reports, and the flags of a case. Writers must be called inside `writing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlite_utils import Database

from core.domain import FlagDirection, FlagKind, MppSource, Region, SlideStatus
from core.store.cases import save_facts
from core.store.connection import insert_rows, rows_of, writing
from core.store.events import Action, append_event, case_entity, slide_entity
from core.store.records import OVERRIDE, FlagRecord, RunResult
from core.store.seals import Sealed, seal
from core.store.values import canonical_json, json_object, time_of, time_text, utc_now

_FLAG_COLUMNS = (
    "kind, direction, reason, rule_version, created_at, score, slide_id, x, y, width, height, model, weights_sha256, "
    "severity"
)
_FLAG_NAMES = tuple(_FLAG_COLUMNS.split(", "))


# What an evaluation has seen: the newest run and the newest diagnosis of its case.
_NEWEST = """
    (SELECT coalesce(max(runs.seq), 0) FROM slides JOIN runs ON runs.slide_id = slides.slide_id
     WHERE slides.case_id = ?),
    (SELECT coalesce(max(diagnosis_id), 0) FROM diagnoses WHERE case_id = ?)
"""


def save_run(database: Database, run: RunResult, *, actor: str = "system") -> bool:
    """Write a finished run with its scores and quality report, and bring the slide's scale and facts up to date.

    Saving the same run id again changes nothing, so a job that is begun again after a kill leaves one result.

    Returns:
        True if the run was written, False if it was there already.
    """
    with writing(database):
        if database.conn.execute("SELECT 1 FROM runs WHERE run_id = ?", (run.run_id,)).fetchone():
            return False
        insert_rows(database, "runs", [_run_row(run)])
        scores = [
            {"run_id": run.run_id, "aggregation": aggregation, "class": name, "probability": float(score)}
            for aggregation, classes in run.scores.items()
            for name, score in classes.items()
        ]
        insert_rows(database, "predictions", scores)
        if run.qc is not None:
            report = {"run_id": run.run_id, "score": run.qc.get("score"), "report": canonical_json(run.qc)}
            insert_rows(database, "qc", [report])
        _update_slide(database, run)
        payload = {
            "run_id": run.run_id,
            "job_id": run.job_id,
            "model": run.model,
            "weights_sha256": run.weights_sha256,
            "status": run.status.value,
            "label": run.label,
            "decision_score": run.decision_score,
            "sealed": seal(database, Sealed.RUN, run.run_id),
            **{key: run.settings[key] for key in (OVERRIDE,) if key in run.settings},
        }
        append_event(database, Action.RUN_SAVED, entity=slide_entity(run.slide_id), actor=actor, payload=payload)
    return True


def latest_runs(database: Database, case_id: str) -> dict[str, RunResult]:
    """Return the latest run of each slide of a case that has one."""
    rows = rows_of(
        database,
        """SELECT runs.* FROM slides
           JOIN runs ON runs.seq = (SELECT max(seq) FROM runs WHERE runs.slide_id = slides.slide_id)
           WHERE slides.case_id = ? ORDER BY slides.slide_id""",
        (case_id,),
    )
    return {row["slide_id"]: _run(database, row) for row in rows}


def get_run(database: Database, run_id: str) -> RunResult | None:
    """Return a run, or None if there is none of that id."""
    found = rows_of(database, "SELECT * FROM runs WHERE run_id = ?", (run_id,))
    return _run(database, found[0]) if found else None


def runs_of_slide(database: Database, slide_id: str) -> tuple[RunResult, ...]:
    """Return every run of a slide, latest first."""
    rows = rows_of(database, "SELECT * FROM runs WHERE slide_id = ? ORDER BY seq DESC", (slide_id,))
    return tuple(_run(database, row) for row in rows)


def save_flags(
    database: Database,
    case_id: str,
    flags: Sequence[FlagRecord],
    *,
    rule_version: str | None = None,
    actor: str = "system",
) -> int:
    """Write the flags of a new evaluation of a case, possibly none; they supersede those of the evaluation before.

    Args:
        database: The log.
        case_id: The case, which exists.
        flags: What the rules raised.
        rule_version: The rule set that was applied.
        actor: Who or what had it applied.

    Returns:
        The evaluation's id.
    """
    with writing(database):
        cursor = database.conn.execute(
            f"INSERT INTO evaluations (case_id, run_seq, diagnosis_id, created_at, rule_version) "  # noqa: S608
            f"VALUES (?, {_NEWEST}, ?, ?)",
            (case_id, case_id, case_id, time_text(utc_now()), rule_version),
        )
        evaluation_id = cast("int", cursor.lastrowid)
        insert_rows(database, "flags", [{"evaluation_id": evaluation_id, **_flag_row(flag)} for flag in flags])
        payload = {
            "evaluation_id": evaluation_id,
            "flags": [flag.kind.value for flag in flags],
            "rule_version": rule_version,
            "sealed": seal(
                database, Sealed.EVALUATION if rule_version is None else Sealed.RATED_EVALUATION, evaluation_id
            ),
        }
        append_event(database, Action.FLAGS_EVALUATED, entity=case_entity(case_id), actor=actor, payload=payload)
    return evaluation_id


def current_flags(database: Database, case_id: str) -> tuple[FlagRecord, ...]:
    """Return the flags of a case's latest evaluation."""
    rows = rows_of(
        database,
        f"""SELECT {_FLAG_COLUMNS} FROM flags
            WHERE evaluation_id = (SELECT max(evaluation_id) FROM evaluations WHERE case_id = ?)
            ORDER BY flag_id""",  # noqa: S608 - a constant above
        (case_id,),
    )
    return tuple(flag_of(row) for row in rows)


def latest_evaluation(database: Database, case_id: str) -> int | None:
    """Return the id of a case's latest evaluation, or None before the first."""
    return database.conn.execute("SELECT max(evaluation_id) FROM evaluations WHERE case_id = ?", (case_id,)).fetchone()[
        0
    ]


def cases_to_evaluate(database: Database, *, rule_version: str | None = None, unnamed: str = "") -> tuple[str, ...]:
    """Return the cases whose latest evaluation is behind, for instance because of a kill.

    Args:
        database: The log.
        rule_version: The rule set that counts now; cases evaluated under another are behind too. None = any is good.
        unnamed: Rule set of evaluations that name none, from before rule sets were kept.
    """
    rows = database.conn.execute(
        """WITH newest AS (
               SELECT slides.case_id, max(runs.seq) AS run_seq FROM runs JOIN slides USING (slide_id)
               GROUP BY slides.case_id),
           seen AS (
               SELECT case_id, max(evaluation_id), run_seq, diagnosis_id, rule_version FROM evaluations
               GROUP BY case_id),
           reads AS (SELECT case_id, max(diagnosis_id) AS diagnosis_id FROM diagnoses GROUP BY case_id)
           SELECT newest.case_id FROM newest LEFT JOIN seen USING (case_id) LEFT JOIN reads USING (case_id)
           WHERE newest.run_seq > coalesce(seen.run_seq, 0)
              OR coalesce(reads.diagnosis_id, 0) > coalesce(seen.diagnosis_id, 0)
              OR (:version IS NOT NULL AND coalesce(seen.rule_version, :unnamed) <> :version)
           ORDER BY newest.case_id""",
        {"version": rule_version, "unnamed": unnamed},
    )
    return tuple(case_id for (case_id,) in rows)


def flag_of(row: Mapping[str, Any]) -> FlagRecord:
    """Return the flag in a row that has at least the columns of `FlagRecord`."""
    values = {name: row[name] for name in _FLAG_NAMES}
    values["kind"] = FlagKind(row["kind"])
    values["direction"] = FlagDirection(row["direction"])
    values["created_at"] = time_of(row["created_at"])
    return FlagRecord(**values)


def _flag_row(flag: FlagRecord) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(flag, name) for name in _FLAG_NAMES}
    return row | {
        "kind": flag.kind.value,
        "direction": flag.direction.value,
        "created_at": time_text(flag.created_at),
        "score": None if flag.score is None else float(flag.score),
    }


_PLAIN_RUN_NAMES = (
    "run_id job_id slide_id model model_version weights_sha256 message mpp_x mpp_y tissue_mm2 tiles_total tiles_kept "
    "label decision_aggregation decision_score threshold seconds tiles_per_second device code_version results_dir"
)
_PLAIN_RUN_COLUMNS = tuple(_PLAIN_RUN_NAMES.split())


def _run_row(run: RunResult) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(run, name) for name in _PLAIN_RUN_COLUMNS}
    peak = run.peak
    return row | {
        "status": run.status.value,
        "mpp_source": run.mpp_source.value if run.mpp_source else None,
        "tiles_dropped": canonical_json(dict(run.tiles_dropped)),
        "peak_x": peak.x if peak else None,
        "peak_y": peak.y if peak else None,
        "peak_width": peak.width if peak else None,
        "peak_height": peak.height if peak else None,
        "settings": canonical_json(dict(run.settings)),
        "created_at": time_text(run.created_at),
    }


def _run(database: Database, row: Mapping[str, Any]) -> RunResult:
    values = {name: row[name] for name in _PLAIN_RUN_COLUMNS}
    scores: dict[str, dict[str, float]] = {}
    for aggregation, name, probability in database.conn.execute(
        "SELECT aggregation, class, probability FROM predictions WHERE run_id = ? ORDER BY rowid", (row["run_id"],)
    ):
        scores.setdefault(aggregation, {})[name] = probability
    report = database.conn.execute("SELECT report FROM qc WHERE run_id = ?", (row["run_id"],)).fetchone()
    peak = None
    if row["peak_x"] is not None:
        peak = Region(row["peak_x"], row["peak_y"], row["peak_width"], row["peak_height"])
    return RunResult(
        **values,
        status=SlideStatus(row["status"]),
        mpp_source=MppSource(row["mpp_source"]) if row["mpp_source"] else None,
        tiles_dropped=cast("Mapping[str, int]", json_object(row["tiles_dropped"])),
        scores=scores,
        peak=peak,
        qc=json_object(report[0]) if report else None,
        settings=json_object(row["settings"]),
        created_at=time_of(row["created_at"]),
    )


def _update_slide(database: Database, run: RunResult) -> None:
    database.conn.execute(
        """UPDATE slides SET mpp_x = coalesce(?, mpp_x), mpp_y = coalesce(?, mpp_y),
           mpp_source = coalesce(?, mpp_source), tissue_mm2 = coalesce(?, tissue_mm2) WHERE slide_id = ?""",
        (run.mpp_x, run.mpp_y, run.mpp_source.value if run.mpp_source else None, run.tissue_mm2, run.slide_id),
    )
    if run.facts is not None:
        save_facts(database, run.slide_id, run.facts)
