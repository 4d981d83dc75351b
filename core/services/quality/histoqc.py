"""Results of HistoQC taken in as another system's, beside our own figures in the same meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.interop.histoqc import HistoqcRow, read_table
from core.interop.reads_csv import RowError
from core.roles import Permission
from core.services.imports.report import ImportReport, import_key
from core.services.people.authority import require
from core.services.quality.export import histoqc_steps
from core.settings import Settings
from core.store.cases import all_slides
from core.store.connection import open_log, writing
from core.store.quality_records import NewReference, ReferenceKind, SlideQuality
from core.store.quality_results import insert_reference, known_references, quality_of_slides
from core.store.records import SlideRecord

__all__ = ["import_histoqc", "no_single_slide", "slides_by_file_name"]

SYSTEM = "HistoQC"


def import_histoqc(settings: Settings, path: Path, *, dry_run: bool, actor: str) -> ImportReport:
    """Take in a results table of HistoQC beside our own figures: all of its slides or, if one cannot be taken, none.

    A row that is in the log already is left alone. Image descriptions and folders are not taken in: they may name
    patients.

    Args:
        settings: Names the home folder.
        path: HistoQC's `results.tsv`.
        dry_run: Only report.
        actor: Who imports.

    Raises:
        NotAllowedError: the actor may not import.
        InputError: it is no table of HistoQC; bad rows are in the report instead.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.IMPORT_READS)
        table = read_table(path)
        names = slides_by_file_name(all_slides(database))
        ours = {one.slide_id: one for one in quality_of_slides(database)}
        new, repeated, errors = _references(table.rows, names, ours, path=path, configuration=table.version)
        errors += table.errors
        known = known_references(database, [one.import_key for one in new])
        fresh = [one for one in new if one.import_key not in known]
        if not (dry_run or errors):
            for reference in fresh:
                insert_reference(database, reference, actor=actor)
    return ImportReport(
        file=path.name,
        dry_run=dry_run,
        found=len(table.rows),
        added=0 if errors else len(fresh),
        known=len(new) - len(fresh) + repeated,
        empty=0,
        cases_added=(),
        errors=tuple(sorted(errors, key=lambda error: error.row)),
    )


def slides_by_file_name(slides: Sequence[SlideRecord]) -> dict[str, list[str]]:
    """Return the slides by the name of their file, in small letters, and by their id."""
    found: dict[str, list[str]] = {}
    for slide in slides:
        for name in dict.fromkeys((Path(slide.path).name.casefold(), slide.slide_id.casefold())):
            found.setdefault(name, []).append(slide.slide_id)
    return found


def no_single_slide(name: str, found: Sequence[str]) -> str:
    """Return why a file name does not say which slide is meant."""
    if found:
        return f"{name} may be any of the slides {', '.join(found)}. Give their ids as file names."
    return f"There is no slide of the file {name}. Add it first, or take the row out."


def _references(
    rows: Sequence[HistoqcRow],
    names: Mapping[str, Sequence[str]],
    ours: Mapping[str, SlideQuality],
    *,
    path: Path,
    configuration: str,
) -> tuple[list[NewReference], int, list[RowError]]:
    """Return what the rows say, how many say the same again, and errors."""
    kept: dict[str, tuple[int, NewReference]] = {}
    errors: list[RowError] = []
    repeated = 0
    for row in rows:
        found = names.get(row.filename.casefold(), ())
        if len(found) != 1:
            errors.append(RowError(row.row, "filename", no_single_slide(row.filename, found)))
            continue
        reference = _reference(row, found[0], ours.get(found[0]), source=path.name, configuration=configuration)
        earlier_row, earlier = kept.setdefault(found[0], (row.row, reference))
        if earlier is reference:
            continue
        if earlier.import_key == reference.import_key:
            repeated += 1
        else:
            words = f"{row.filename} stands in row {earlier_row} already, with other figures."
            errors.append(RowError(row.row, "filename", words))
    return [reference for _, reference in kept.values()], repeated, errors


def _reference(
    row: HistoqcRow, slide_id: str, quality: SlideQuality | None, *, source: str, configuration: str
) -> NewReference:
    metrics = dict(row.metrics)
    text = f"{sorted(metrics.items(), key=lambda item: item[0])}|{row.warnings}"
    return NewReference(
        slide_id=slide_id,
        kind=ReferenceKind.HISTOQC,
        name=SYSTEM,
        version=configuration,
        source=source,
        content_sha256=hashlib.sha256(text.encode()).hexdigest(),
        metrics={"figures": metrics, "warnings": row.warnings},
        figures=None if quality is None else _beside(metrics, quality),
        source_id=None if quality is None else quality.source_id,
        import_key=import_key(SYSTEM, slide_id, configuration, metrics, row.warnings),
    )


def _beside(metrics: Mapping[str, float | None], quality: SlideQuality) -> dict[str, object]:
    """Return HistoQC's shares with ours in the same meaning."""
    own = histoqc_steps(quality)
    return {
        name: {"histoqc": metrics[name], "ours": None if own[name] < 0 else own[name]}
        for name in own
        if name in metrics
    }
