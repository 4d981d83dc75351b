"""The worklist: one row a case, likely missed disease first, and one case in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from core.domain import CaseStatus, FlagKind, ReadCategory, SlideStatus
from core.roles import Permission
from core.services.authority import require
from core.settings import Settings
from core.store import cases, events, results, reviews
from core.store.connection import open_log, reading
from core.store.overview import CaseOverview, SlideOverview, overview
from core.store.records import DiagnosisRecord, EventRecord, FlagRecord, Json, ReviewRecord, RunRecord, SlideRecord

BANDS: Mapping[FlagKind, int] = {
    FlagKind.MODEL_HIGHER: 10,
    FlagKind.MODEL_LOWER: 9,
    FlagKind.OTHER_CATEGORY: 8,
    FlagKind.ABSTAINED: 7,
    FlagKind.OUT_OF_DISTRIBUTION: 6,
    FlagKind.QC_LIMITED: 5,
    FlagKind.NO_RESULT: 4,
    FlagKind.AUDIT_SAMPLE: 3,
}
"""Where a case stands by its most pressing flag; possible missed disease above everything else."""

UNREAD_AND_CALLED = 2
"""Band of cases nobody has read whose score reaches the model's threshold."""
REST = 1
REVIEWED = 0

_LAST = datetime.max.replace(tzinfo=UTC)

_SAYS_NOTHING_OF_THE_CALL = frozenset({FlagKind.QC_LIMITED, FlagKind.NO_RESULT, FlagKind.AUDIT_SAMPLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A case as the worklist shows it."""

    case_id: str
    site: str | None
    slides: int
    slides_pending: int
    """Slides without any run yet."""
    slides_failed: tuple[tuple[str, str], ...]
    """(slide id, reason) of the slides whose latest run has no result."""
    diagnosis: ReadCategory | None
    """The diagnosis recorded last."""
    diagnosis_by: str | None
    model_label: str | None
    """Call on the most suspicious slide; None without a result, or while it is hidden from the reader."""
    model_score: float | None
    flags: tuple[FlagRecord, ...]
    qc_score: float | None
    """Of the slide of the least quality, 0-1."""
    status: CaseStatus
    assigned_to: str | None
    waiting_since: datetime | None
    """When the case was added; None once it is reviewed."""
    thumbnail_path: Path | None
    """Picture of the most suspicious slide; it may be gone from the disk."""
    priority: float
    """Order of the worklist, highest first: the band of the most pressing flag plus its score."""
    revealed: bool
    """Whether the reader who asked may see the model's result in this row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDetail:
    """A case in full. The model's result is in it whoever asks: `review.open_case` says whether to show it."""

    case: CaseRow
    slides: tuple[SlideRecord, ...]
    runs: Mapping[str, RunRecord]
    """Latest run by slide id; slides not analysed yet are absent."""
    qc: Mapping[str, Json]
    """Quality report by slide id, where the latest run has one."""
    diagnoses: tuple[DiagnosisRecord, ...]
    """All of them in order, superseded ones too."""
    reviews: tuple[ReviewRecord, ...]
    flags: tuple[FlagRecord, ...]
    reveals: tuple[EventRecord, ...]


def worklist(settings: Settings, *, actor: str | None = None) -> list[CaseRow]:
    """Return every case, the one that most needs a second pair of eyes first.

    With an `actor`, the model's result on a case that nobody has read yet is left out of the row until this reader has
    had it revealed, so that the list does not tell what the case page hides. The order stays.

    Raises:
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        if actor is not None:
            require(database, actor, Permission.SEE_CASES)
        found = overview(database)
        seen = None if actor is None else reviews.revealed_cases(database, actor=actor)
    rows = sorted((_row(settings, case) for case in found), key=_order)
    return rows if seen is None else [_masked(row, seen) for row in rows]


def case_detail(settings: Settings, case_id: str) -> CaseDetail:
    """Return one case with all that is known of it.

    Raises:
        NotFoundError: there is no such case.
    """
    with open_log(settings) as database, reading(database):
        cases.get_case(database, case_id)
        row = _row(settings, overview(database, case_id=case_id)[0])
        runs = results.latest_runs(database, case_id)
        return CaseDetail(
            case=row,
            slides=cases.slides_of_case(database, case_id),
            runs=runs,
            qc={slide_id: run.qc for slide_id, run in runs.items() if run.qc is not None},
            diagnoses=reviews.diagnoses_of_case(database, case_id),
            reviews=reviews.reviews_of_case(database, case_id),
            flags=row.flags,
            reveals=tuple(
                events.events_of(database, [events.case_entity(case_id)], action=events.Action.MODEL_REVEALED)
            ),
        )


def status_of(case: CaseOverview) -> CaseStatus:
    """Return where a case stands, from its rows.

    A review settles the flags that stood when it was given; a flag that came later opens the case again.
    """
    standing = {(flag.kind, flag.slide_id) for flag in case.flags}
    if case.reviewed and standing <= case.reviewed_flags:
        return CaseStatus.REVIEWED
    if case.diagnosis is None:
        return CaseStatus.UNREAD
    if case.flags:
        return CaseStatus.FLAGGED
    complete = bool(case.slides) and all(slide.status is SlideStatus.OK for slide in case.slides)
    return CaseStatus.CONCORDANT if complete else CaseStatus.READ


def priority_of(case: CaseOverview, status: CaseStatus) -> float:
    """Return the band of the case's most pressing flag plus a score in 0-1: the higher, the sooner."""
    top = _most_suspicious(case)
    model_score = 0.0 if top is None or top.score is None else top.score
    if status is CaseStatus.REVIEWED:
        return _in_band(REVIEWED, model_score)
    if case.flags:
        return max(_in_band(BANDS[flag.kind], flag.score or 0.0) for flag in case.flags)
    called = top is not None and top.threshold is not None and model_score >= top.threshold
    return _in_band(UNREAD_AND_CALLED if status is CaseStatus.UNREAD and called else REST, model_score)


def _in_band(band: int, score: float) -> float:
    return band + min(max(score, 0.0), 0.999)


def _order(row: CaseRow) -> tuple[float, datetime, str]:
    """Most pressing first, then whoever waits longest."""
    return -row.priority, row.waiting_since or _LAST, row.case_id


def _row(settings: Settings, case: CaseOverview) -> CaseRow:
    status = status_of(case)
    top = _most_suspicious(case)
    pictured = top or next((slide for slide in case.slides if slide.results_dir), None)
    qualities = [slide.qc_score for slide in case.slides if slide.qc_score is not None]
    failed = [slide for slide in case.slides if slide.status not in (None, SlideStatus.OK)]
    return CaseRow(
        case_id=case.case_id,
        site=case.site,
        slides=len(case.slides),
        slides_pending=sum(slide.status is None for slide in case.slides),
        slides_failed=tuple((slide.slide_id, slide.message) for slide in failed),
        diagnosis=case.diagnosis,
        diagnosis_by=case.diagnosis_by,
        model_label=top.label if top else None,
        model_score=top.score if top else None,
        flags=tuple(sorted(case.flags, key=lambda flag: -BANDS[flag.kind])),
        qc_score=min(qualities, default=None),
        status=status,
        assigned_to=case.assigned_to,
        waiting_since=None if status is CaseStatus.REVIEWED else case.added_at,
        thumbnail_path=_thumbnail(settings, pictured),
        priority=priority_of(case, status),
        revealed=True,
    )


def _most_suspicious(case: CaseOverview) -> SlideOverview | None:
    scored = [slide for slide in case.slides if slide.status is SlideStatus.OK and slide.score is not None]
    return max(scored, key=lambda slide: slide.score or 0.0, default=None)


def _thumbnail(settings: Settings, slide: SlideOverview | None) -> Path | None:
    if slide is None or slide.results_dir is None:
        return None
    return settings.home / slide.results_dir / "thumbnail.jpg"


def _masked(row: CaseRow, seen: frozenset[str]) -> CaseRow:
    if row.diagnosis is not None or row.case_id in seen:
        return row
    return replace(
        row,
        model_label=None,
        model_score=None,
        flags=tuple(flag for flag in row.flags if flag.kind in _SAYS_NOTHING_OF_THE_CALL),
        priority=float(int(row.priority)),
        revealed=False,
    )
