"""A case as a row of the worklist, and one case in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from core.aggregation import CaseScore, SlideScore, roll_up
from core.domain import BANDS, CaseStatus, ReadCategory, SlideStatus
from core.services.cases.masking import shown_flags, shown_run
from core.services.cases.progress import status_of
from core.services.cases.visibility import Visibility, awaited_from, visibility_in
from core.settings import Settings
from core.store import cases, events, results, reviews
from core.store.connection import open_log, reading
from core.store.overview import CaseOverview, SlideOverview, overview
from core.store.records import DiagnosisRecord, EventRecord, FlagRecord, Json, ReviewRecord, RunRecord, SlideRecord
from core.store.summary_parts import BLINDED_BAND

UNREAD_AND_CALLED = 2
"""Band of cases nobody has read whose score reaches the model's threshold."""
REST = 1
REVIEWED = 0
BLINDED = BLINDED_BAND
"""Of every case on which a blinded opinion is awaited from whoever looks, whatever the flags."""
_SETTLED = (CaseStatus.REVIEWED, CaseStatus.RESOLVED, CaseStatus.SIGNED)


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
    carried_by: str
    """Which slide carries the case and why, and which have no result; empty while the result is hidden."""
    without_result: str
    """Sentence that names the slides without a result; empty if all have one. It tells nothing of the others."""
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
    waits_for_you: bool = False
    """Whether an opinion on the case is awaited from the person who looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDetail:
    """A case as far as whoever asked may see it."""

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
    has_result: bool
    """Whether the model has a result on a slide of the case, shown or not."""
    visibility: Visibility
    """What is hidden from whoever asked, and why."""


def case_detail(settings: Settings, case_id: str, *, actor: str | None = None) -> CaseDetail:
    """Return one case with all that is known of it, or all that an actor may see.

    Args:
        settings: Names the home folder.
        case_id: The case.
        actor: Who looks; None is the program itself, which sees everything.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        seen = visibility_in(database, case_id, actor=actor)
        case = overview(database, case_id=case_id)[0]
        found = results.latest_runs(database, case_id)
        slides = cases.slides_of_case(database, case_id)
        reads = reviews.diagnoses_of_case(database, case_id)
        answers = reviews.reviews_of_case(database, case_id)
        reveals = events.events_of(database, [events.case_entity(case_id)], action=events.Action.MODEL_REVEALED)
        waits = actor is not None and awaited_from(database, case_id, actor=actor) is not None
    row = replace(_row(settings, case), waits_for_you=waits)
    row = row if actor is None else _masked(settings, row, case, seen, actor=actor)
    runs = {slide_id: shown_run(run, seen) for slide_id, run in found.items()}
    return CaseDetail(
        case=row,
        slides=slides,
        runs=runs,
        qc={slide_id: run.qc for slide_id, run in runs.items() if run.qc is not None},
        diagnoses=tuple(
            read
            for read in reads
            if actor is None or seen.may_see_read(reader=read.reader, role=read.role.value, actor=actor)
        ),
        reviews=answers if seen.answers else (),
        flags=row.flags,
        reveals=() if seen.is_blinded else tuple(reveals),
        has_result=any(run.scores for run in found.values()),
        visibility=seen,
    )


def row_for(settings: Settings, case: CaseOverview, seen: Visibility, *, actor: str) -> CaseRow:
    """Return the row of a case without what an actor may not see."""
    return _masked(settings, _row(settings, case), case, seen, actor=actor)


def priority_of(case: CaseOverview, status: CaseStatus) -> float:
    """Return the band of the case's most pressing flag plus a score in 0-1: the higher, the sooner."""
    top = _most_suspicious(case)
    model_score = 0.0 if top is None or top.score is None else top.score
    if status in _SETTLED:
        return _in_band(REVIEWED, model_score)
    if case.flags:
        return max(_in_band(BANDS[flag.kind], flag.score or 0.0) for flag in case.flags)
    called = top is not None and top.threshold is not None and model_score >= top.threshold
    return _in_band(UNREAD_AND_CALLED if status is CaseStatus.UNREAD and called else REST, model_score)


def _in_band(band: int, score: float) -> float:
    return band + min(max(score, 0.0), 0.999)


def _row(settings: Settings, case: CaseOverview) -> CaseRow:
    status = status_of(case)
    rolled = rolled_up(case)
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
        carried_by=rolled.reason,
        without_result=rolled.missing,
        flags=tuple(sorted(case.flags, key=lambda flag: -BANDS[flag.kind])),
        qc_score=min(qualities, default=None),
        status=status,
        assigned_to=case.assigned_to,
        waiting_since=None if status in _SETTLED else case.added_at,
        thumbnail_path=_thumbnail(settings, pictured),
        priority=priority_of(case, status),
        revealed=True,
    )


def rolled_up(case: CaseOverview) -> CaseScore:
    """Return what the slides of a case say together."""
    return roll_up([_slide_score(slide) for slide in case.slides])


def _slide_score(slide: SlideOverview) -> SlideScore:
    if slide.status is SlideStatus.OK and slide.score is not None:
        return SlideScore(slide.slide_id, slide.score, slide.threshold)
    why = "not analysed yet" if slide.status is None else slide.status.value.replace("_", " ")
    return SlideScore(slide.slide_id, None, why_none=why)


def _most_suspicious(case: CaseOverview) -> SlideOverview | None:
    """Return the slide that carries the case."""
    carrier = rolled_up(case).slide_id
    return next((slide for slide in case.slides if slide.slide_id == carrier), None)


def _thumbnail(settings: Settings, slide: SlideOverview | None) -> Path | None:
    if slide is None or slide.results_dir is None:
        return None
    return settings.home / slide.results_dir / "thumbnail.jpg"


def _masked(settings: Settings, row: CaseRow, case: CaseOverview, seen: Visibility, *, actor: str) -> CaseRow:
    """Return a row without what the actor may not see."""
    if seen.model:
        return row
    pictured = next((slide for slide in case.slides if slide.results_dir), None)
    told = shown_flags(row.flags, seen)
    band = REVIEWED if row.status in _SETTLED else max((BANDS[flag.kind] for flag in told), default=REST)
    found = replace(
        row,
        model_label=None,
        model_score=None,
        carried_by="",
        flags=told,
        thumbnail_path=_thumbnail(settings, pictured),
        priority=float(band),
        revealed=False,
    )
    if not seen.is_blinded:
        return found
    return replace(
        found,
        diagnosis=row.diagnosis if seen.first_read else None,
        diagnosis_by=row.diagnosis_by if seen.first_read else None,
        status=CaseStatus.SECOND_OPINION_REQUESTED,
        assigned_to=row.assigned_to if seen.authors or row.assigned_to == actor else None,
        waiting_since=case.added_at,
        priority=float(BLINDED),
    )
