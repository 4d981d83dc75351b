"""Tables of quality for other programs: HistoQC's layout, and every part of the cohort as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from core.domain import NOT_FOR_DIAGNOSIS
from core.interop.histoqc import HistoqcSlide, steps_of, write_table
from core.qc.classes import ARTEFACTS
from core.roles import Permission
from core.services.people.authority import require
from core.services.quality.blinding import hidden_slides
from core.services.quality.limits import bring_up_to_date
from core.services.quality.table import parsed_report
from core.settings import Settings
from core.store.cases import all_slides
from core.store.connection import Log, open_log, reading
from core.store.quality import standing_verdicts
from core.store.quality_pages import QualityEntry, QualityQuery, quality_entries
from core.store.quality_records import QcVerdictRecord, SlideQuality
from core.store.quality_results import reports_of
from core.store.quality_schema import ARTEFACT_NAMES
from core.store.records import Json, SlideRecord

__all__ = ["cohort_csv", "histoqc_steps", "histoqc_table"]

_BEFORE = "Its quality was measured before there were artefact classes; measure it again."


def histoqc_table(settings: Settings, *, query: QualityQuery | None = None, actor: str) -> str:
    """Return the slides that fit a query in the layout of HistoQC's `results.tsv`.

    Only figures that we truly have, in HistoQC's meaning; our own stand in columns that begin with `sr_`.

    Raises:
        NotAllowedError: the actor may not export.
    """
    with open_log(settings) as database:
        require(database, actor, Permission.EXPORT)
        bring_up_to_date(database)
        with reading(database):
            entries, _ = _entries(database, query, actor=actor)
            catalogue = {slide.slide_id: slide for slide in all_slides(database)}
            warnings = _warnings_of(database, entries)
    slides = [
        _histoqc_slide(catalogue[entry.slide_id], entry, entry.quality, warnings.get(entry.slide_id, (_BEFORE,)))
        for entry in entries
        if entry.quality is not None
    ]
    facts = {
        "start_time": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "pipeline": f"second-read {version('second-read')}",
        "outdir": "NA",
        "config_file": "pixels_to_use counts pixels of 8 um; shares are of the tissue that the steps before left",
        "command_line_args": NOT_FOR_DIAGNOSIS,
    }
    return write_table(slides, facts=facts)


def cohort_csv(settings: Settings, *, query: QualityQuery | None = None, actor: str) -> str:
    """Return every part of the slides that fit a query as CSV: what it is for, then one row a slide, unmeasured too.

    Raises:
        NotAllowedError: the actor may not export.
    """
    with open_log(settings) as database:
        require(database, actor, Permission.EXPORT)
        bring_up_to_date(database)
        with reading(database):
            entries, verdicts = _entries(database, query, actor=actor)
            reports = reports_of(database, [entry.quality for entry in entries if entry.quality])
    text = io.StringIO()
    text.write(f"# {NOT_FOR_DIAGNOSIS}\n")
    writer = csv.writer(text, lineterminator="\n")
    rows = [_cohort_row(entry, verdicts.get(entry.slide_id, ()), reports.get(entry.slide_id)) for entry in entries]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["slide"]
    writer.writerow(columns)
    writer.writerows([_plain(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def histoqc_steps(quality: SlideQuality) -> dict[str, float]:
    """Return our areas of a slide as the steps of HistoQC."""
    areas = {name: area for name, area in quality.areas_mm2.items() if area is not None}
    return steps_of(quality.tissue_mm2 or 0.0, areas)


def _entries(
    database: Log, query: QualityQuery | None, *, actor: str
) -> tuple[list[QualityEntry], dict[str, list[QcVerdictRecord]]]:
    """Return the slides that fit, and their verdicts as far as the actor may see them."""
    hidden = hidden_slides(database, actor=actor)
    entries = list(quality_entries(database, query or QualityQuery(), hidden=hidden))
    verdicts: dict[str, list[QcVerdictRecord]] = {}
    for one in standing_verdicts(database, [entry.slide_id for entry in entries]):
        if one.slide_id not in hidden or one.reader == actor:
            verdicts.setdefault(one.slide_id, []).append(one)
    return entries, verdicts


def _warnings_of(database: Log, entries: Sequence[QualityEntry]) -> dict[str, tuple[str, ...]]:
    reports = reports_of(database, [entry.quality for entry in entries if entry.quality])
    parsed = {slide_id: parsed_report(values) for slide_id, values in reports.items()}
    return {slide_id: report.warnings for slide_id, report in parsed.items() if report is not None}


def _histoqc_slide(
    slide: SlideRecord, entry: QualityEntry, quality: SlideQuality, warnings: Sequence[str]
) -> HistoqcSlide:
    return HistoqcSlide(
        filename=Path(slide.path).name,
        comments="",
        type=slide.vendor or "NA",
        levels=slide.levels,
        height=slide.height,
        width=slide.width,
        mpp_x=slide.mpp_x,
        mpp_y=slide.mpp_y,
        steps=histoqc_steps(quality),
        usable_mm2=quality.usable_mm2 or 0.0,
        own={
            "sr_slide": slide.slide_id,
            "sr_score": quality.score,
            "sr_tissue_mm2": quality.tissue_mm2,
            "sr_usable_fraction": quality.usable_fraction,
            **{f"sr_{name}_of_tissue": quality.fractions[name] for name in ARTEFACT_NAMES},
            "sr_suggested": quality.disposition.value if quality.disposition else None,
            "sr_limits": quality.limits_version,
            "sr_verdict": entry.verdict.value if entry.verdict else None,
        },
        warnings=warnings,
    )


def _cohort_row(entry: QualityEntry, verdicts: Sequence[QcVerdictRecord], report: Json | None) -> dict[str, object]:
    row: dict[str, object] = {
        "slide": entry.slide_id,
        "case": entry.case_id,
        "stain": entry.stain.value,
        "site": entry.site,
        "scanner": entry.scanner,
        "added_utc": f"{entry.added_at:%Y-%m-%dT%H:%M:%SZ}",
        "status": entry.status.value if entry.status else None,
    }
    quality = entry.quality
    measured = quality or None
    for name in ("score", "tissue_mm2", "usable_mm2", "usable_fraction", "sections"):
        row[name] = None if measured is None else getattr(measured, name)
    for kind in ARTEFACTS:
        row[f"{kind.value}_mm2"] = None if measured is None else measured.areas_mm2[kind.value]
        row[f"{kind.value}_of_tissue"] = None if measured is None else measured.fractions[kind.value]
    row |= {
        "suggested": quality.disposition.value if quality and quality.disposition else None,
        "suggested_reason": quality.reason.value if quality and quality.reason else None,
        "suggested_origin": quality.origin.value if quality and quality.origin else None,
        "limits": quality.limits_version if quality else None,
        "measured_utc": f"{quality.measured_at:%Y-%m-%dT%H:%M:%SZ}" if quality else None,
        "source": quality.source_id if quality else None,
    }
    row |= _stain_cells(report)
    row["verdict"] = entry.verdict.value if entry.verdict else None
    row["verdicts"] = "; ".join(_verdict_words(one) for one in verdicts)
    return row


def _stain_cells(report: Json | None) -> dict[str, object]:
    parsed = parsed_report(report)
    cells: dict[str, object] = {"stain_seen": parsed.stain.kind if parsed else None}
    for place in range(2):
        dye = "first" if place == 0 else "second"
        known = parsed is not None and place < len(parsed.stain.vectors)
        vector = parsed.stain.vectors[place] if parsed is not None and known else (None, None, None)
        amounts = parsed.stain.concentrations if parsed is not None else ()
        cells |= {f"{dye}_dye_{channel}": value for channel, value in zip("rgb", vector, strict=True)}
        cells[f"{dye}_dye_amount"] = amounts[place] if place < len(amounts) else None
    return cells


def _verdict_words(verdict: QcVerdictRecord) -> str:
    parts = [verdict.role.value, verdict.reader, verdict.disposition.value if verdict.disposition else ""]
    return " ".join([*parts, *([f"({verdict.reason.value})"] if verdict.reason else [])])


def _plain(value: object) -> object:
    """Return a cell; one that a spreadsheet would compute is made text."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return value
