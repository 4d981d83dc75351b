"""Results and log as files that other programs read. Nothing is exported that could carry an identifier of a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core.domain import NOT_FOR_DIAGNOSIS, SlideStatus
from core.errors import NotFoundError, StorageError
from core.interop import wsinfer
from core.roles import Permission
from core.services.analysis.run_files import RunFolder
from core.services.cases.review import case_history
from core.services.cases.worklist import CaseDetail, case_detail
from core.services.cases.worklist_pages import worklist_names
from core.services.people.authority import require_now
from core.settings import Settings
from core.store.records import DiagnosisRecord, EventRecord, FlagRecord, ReviewRecord, RunResult

_SLIDE_COLUMNS = (
    *("slide_id", "case_id", "stain", "tissue", "site", "scanner", "vendor", "width", "height", "levels"),
    *("mpp_x", "mpp_y", "mpp_source", "sha256", "tissue_mm2", "status", "message", "run_id"),
)
"""Of the slide records; not the path, since folders are named after people more often than one thinks."""


_CASE_COLUMNS = [
    *("case_id", "site", "slides", "slides_without_result", "diagnosis", "diagnosis_by", "model_label", "model_score"),
    *("flags", "qc_score", "status", "assigned_to", "waiting_since"),
]


def export(settings: Settings, out: Path, *, case_ids: Sequence[str] = (), actor: str) -> tuple[Path, ...]:
    """Write everything known about the cases, as far as the actor may see it, into a folder.

    Args:
        settings: Names the home folder.
        out: Folder; made if it is missing. Files of an earlier export are replaced.
        case_ids: Only these cases; all if empty.
        actor: Who takes the data out.

    Returns:
        The files written: worklist, slides, scores, flags, diagnoses, reviews (CSV), events (JSON lines), tile
        results in WSInfer's layout, and a NOTICE.

    Raises:
        NotAllowedError: the actor may not export.
        NotFoundError: no such case.
        StorageError: the folder cannot be written.
    """
    require_now(settings, actor, Permission.EXPORT)
    known = worklist_names(settings, actor=actor)
    unknown = sorted(set(case_ids) - set(known))
    if unknown:
        raise NotFoundError(
            f"There is no case {', '.join(unknown)}. `second-read export OUT` without --case takes all."
        )
    details = [case_detail(settings, case_id, actor=actor) for case_id in known if not case_ids or case_id in case_ids]
    try:
        out.mkdir(parents=True, exist_ok=True)
        return (
            *_tables(out, details),
            _events(settings, out, details, actor=actor),
            *_tiles(settings, out, details),
            _notice(out, details),
        )
    except OSError as err:
        raise StorageError(
            f"The export cannot be written to {out} ({err.strerror or err}). Free some space or choose another folder."
        ) from err


def _tables(out: Path, details: Sequence[CaseDetail]) -> Iterable[Path]:
    runs = [run for detail in details for run in detail.runs.values()]
    tables: dict[str, pd.DataFrame] = {
        "worklist": pd.DataFrame([_case_row(detail) for detail in details], columns=_CASE_COLUMNS),
        "slides": pd.DataFrame(
            [{name: getattr(slide, name) for name in _SLIDE_COLUMNS} for detail in details for slide in detail.slides],
            columns=list(_SLIDE_COLUMNS),
        ),
        "scores": pd.DataFrame(
            [row for run in runs for row in _score_rows(run)],
            columns=["slide_id", "run_id", "model", "weights_sha256", "aggregation", "class", "score"],
        ),
        "flags": pd.DataFrame(
            [{"case_id": detail.case.case_id, **asdict(flag)} for detail in details for flag in detail.flags],
            columns=["case_id", *_columns(FlagRecord)],
        ),
        "diagnoses": pd.DataFrame(
            [asdict(read) for detail in details for read in detail.diagnoses], columns=_columns(DiagnosisRecord)
        ),
        "reviews": pd.DataFrame(
            [asdict(review) for detail in details for review in detail.reviews], columns=_columns(ReviewRecord)
        ),
    }
    for name, table in tables.items():
        path = out / f"{name}.csv"
        table.to_csv(path, index=False)
        yield path


def _columns(record: type[DiagnosisRecord | ReviewRecord | FlagRecord]) -> list[str]:
    return [field.name for field in fields(record)]


def _case_row(detail: CaseDetail) -> dict[str, object]:
    row = detail.case
    return {
        "case_id": row.case_id,
        "site": row.site,
        "slides": row.slides,
        "slides_without_result": len(row.slides_failed),
        "diagnosis": row.diagnosis.value if row.diagnosis else None,
        "diagnosis_by": row.diagnosis_by,
        "model_label": row.model_label,
        "model_score": row.model_score,
        "flags": " ".join(flag.kind.value for flag in row.flags),
        "qc_score": row.qc_score,
        "status": row.status.value,
        "assigned_to": row.assigned_to,
        "waiting_since": row.waiting_since,
    }


def _score_rows(run: RunResult) -> Iterable[dict[str, object]]:
    for aggregation, classes in run.scores.items():
        for class_name, score in classes.items():
            yield {
                "slide_id": run.slide_id,
                "run_id": run.run_id,
                "model": run.model,
                "weights_sha256": run.weights_sha256,
                "aggregation": aggregation,
                "class": class_name,
                "score": score,
            }


def _events(settings: Settings, out: Path, details: Sequence[CaseDetail], *, actor: str) -> Path:
    told = [event for detail in details for event in case_history(settings, detail.case.case_id, actor=actor)]
    path = out / "events.jsonl"
    ordered = sorted(told, key=lambda event: event.seq)
    lines = (json.dumps(_told(event), default=str, sort_keys=True) for event in ordered)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _told(event: EventRecord) -> dict[str, object]:
    """Leave the name of a slide file only; the event's hash is of the whole payload, which stays in the log."""
    path = event.payload.get("path")
    payload = {**event.payload, "path": Path(path).name} if isinstance(path, str) else event.payload
    return {**asdict(event), "payload": payload}


def _tiles(settings: Settings, out: Path, details: Sequence[CaseDetail]) -> Iterable[Path]:
    records: list[dict[str, object]] = []
    shown = (detail for detail in details if detail.visibility.model)
    for run in (run for detail in shown for run in detail.runs.values() if run.status is SlideStatus.OK):
        tiles = RunFolder.of(settings, run.slide_id, run.run_id).read_tiles()
        yield from wsinfer.write_slide(out, tiles, slide_id=run.slide_id, run_id=run.run_id)
        records.append(
            {
                "slide_id": run.slide_id,
                "run_id": run.run_id,
                "model": run.model,
                "weights_sha256": run.weights_sha256,
                "mpp_x": run.mpp_x,
                "mpp_y": run.mpp_y,
                "settings": dict(run.settings),
                "code_version": run.code_version,
                "device": run.device,
                "created_at_utc": run.created_at.isoformat(),
            }
        )
    yield wsinfer.write_metadata(out, records, now=datetime.now(UTC))


def _notice(out: Path, details: Sequence[CaseDetail]) -> Path:
    hidden = [detail.case.case_id for detail in details if not detail.visibility.model]
    left_out = f"\n\nWithout the model's result, which you may not see yet: {', '.join(hidden)}." if hidden else ""
    path = out / "NOTICE.txt"
    path.write_text(
        f"{NOT_FOR_DIAGNOSIS}\n\nScores are agreement of a model with patterns it was trained on, not diagnoses. "
        "The file events.jsonl is an excerpt of the hash-chained log without the folders of slides; the whole chain "
        f"is checked with `second-read log verify` in the home folder.{left_out}\n",
        encoding="utf-8",
    )
    return path
