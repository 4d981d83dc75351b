"""Masks of GrandQC taken in as another system's result, and compared with our maps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError, UnreadableSlideError
from core.interop.grandqc import MASK_SUFFIX, SYSTEM, read_grandqc_mask, slide_of
from core.interop.reads_csv import RowError
from core.interop.reference_masks import ReferenceMask
from core.qc.classes import CLASSES
from core.qc.comparison import reference_tissue
from core.roles import Permission
from core.services.imports.report import ImportReport, import_key
from core.services.people.authority import require
from core.services.quality.comparison import figures_or_none
from core.services.quality.histoqc import no_single_slide, slides_by_file_name
from core.services.quality.maps import keep_mask, mask_path, size_of
from core.services.quality.references import TOLD_APART
from core.settings import Settings
from core.store.cases import all_slides
from core.store.connection import open_log, reading, writing
from core.store.quality_records import NewReference, ReferenceKind, SlideQuality
from core.store.quality_results import insert_reference, known_references, quality_of_slides
from core.store.records import SlideRecord

__all__ = ["import_grandqc", "masks_at"]

FILE_COLUMN = "file"


@dataclass(frozen=True, slots=True, eq=False)
class _Mask:
    """A mask, ready to be kept."""

    mask: ReferenceMask
    new: NewReference


def masks_at(path: Path) -> tuple[Path, ...]:
    """Return a mask file, or those of a folder as GrandQC leaves them, in the order of their names.

    Raises:
        InputError: there is no such path, or no mask in the folder.
    """
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise InputError(f"{path} does not exist. Give a mask of GrandQC, or the folder mask_qc.")
    found = tuple(sorted(path.glob(f"*{MASK_SUFFIX}")))
    if not found:
        raise InputError(f"There is no file that ends in {MASK_SUFFIX} in {path}. Give GrandQC's folder mask_qc.")
    return found


def import_grandqc(
    settings: Settings, paths: Sequence[Path], *, version: str = "", dry_run: bool, actor: str
) -> ImportReport:
    """Take in masks of GrandQC: all of them or, if one cannot be taken, none. The same mask again adds nothing.

    A mask belongs to the slide whose file name, or id, its own begins with: `case.svs_mask.png`. It must have the
    proportions of the slide. In the report, `row` counts the files.

    Args:
        settings: Names the home folder.
        paths: The masks.
        version: Of GrandQC, as far as it is known.
        dry_run: Only report.
        actor: Who imports.

    Raises:
        NotAllowedError: the actor may not import.
        InputError: no mask is given.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.IMPORT_READS)
        slides = {slide.slide_id: slide for slide in all_slides(database)}
        ours = {one.slide_id: one for one in quality_of_slides(database)}
    if not paths:
        raise InputError("Give at least one mask of GrandQC.")
    masks, repeated, errors = _read_all(settings, paths, slides, ours, version=version.strip())
    added = _written(settings, masks, dry_run=dry_run or bool(errors), actor=actor)
    return ImportReport(
        file=paths[0].name if len(paths) == 1 else f"{len(paths)} masks",
        dry_run=dry_run,
        found=len(paths),
        added=0 if errors else added,
        known=len(masks) - added + repeated,
        empty=0,
        cases_added=(),
        errors=tuple(errors),
    )


def _written(settings: Settings, masks: Sequence[_Mask], *, dry_run: bool, actor: str) -> int:
    """Write the masks that are new, files and rows, all or none; return how many are new."""
    files: list[Path] = []
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.IMPORT_READS)
        known = known_references(database, [one.new.import_key for one in masks])
        fresh = [one for one in masks if one.new.import_key not in known]
        try:
            for one in () if dry_run else fresh:
                made = keep_mask(settings, one.new.slide_id, one.mask.labels)
                files += [made] if made else []
                insert_reference(database, one.new, actor=actor)
        except BaseException:
            for path in files:
                path.unlink(missing_ok=True)
            raise
    return len(fresh)


def _read_all(
    settings: Settings,
    paths: Iterable[Path],
    slides: Mapping[str, SlideRecord],
    ours: Mapping[str, SlideQuality],
    *,
    version: str,
) -> tuple[list[_Mask], int, list[RowError]]:
    """Return the masks, how many say the same again, and errors."""
    names = slides_by_file_name(list(slides.values()))
    kept: dict[str, _Mask] = {}
    errors: list[RowError] = []
    repeated = 0
    for row, path in enumerate(paths, start=1):
        try:
            found = names.get(slide_of(path).casefold(), ())
            if len(found) != 1:
                raise InputError(no_single_slide(slide_of(path), found))
            one = _read(settings, path, slides[found[0]], ours.get(found[0]), version=version)
        except (InputError, UnreadableSlideError) as err:
            errors.append(RowError(row, FILE_COLUMN, f"{path.name}: {err}"))
            continue
        earlier = kept.setdefault(found[0], one)
        if earlier is one:
            continue
        if earlier.new.import_key == one.new.import_key:
            repeated += 1
        else:
            errors.append(RowError(row, FILE_COLUMN, f"{path.name}: another mask of {found[0]} comes before it."))
    return list(kept.values()), repeated, errors


def _read(settings: Settings, path: Path, slide: SlideRecord, quality: SlideQuality | None, *, version: str) -> _Mask:
    mask = read_grandqc_mask(path, slide=size_of(slide))
    where = mask_path(slide.slide_id, mask.labels)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    new = NewReference(
        slide_id=slide.slide_id,
        kind=ReferenceKind.GRANDQC,
        name=SYSTEM,
        version=version,
        source=path.name,
        content_sha256=digest,
        mask_path=where,
        metrics={TOLD_APART: [kind.value for kind in mask.told_apart], "shares_of_tissue": _shares(mask)},
        figures=figures_or_none(settings, quality, mask),
        source_id=None if quality is None else quality.source_id,
        import_key=import_key(SYSTEM, slide.slide_id, version, where),
    )
    return _Mask(mask, new)


def _shares(mask: ReferenceMask) -> dict[str, float]:
    """Return the share of its own tissue that GrandQC puts into each class."""
    tissue = reference_tissue(mask.labels)
    total = int(tissue.sum())
    return {kind.value: float((mask.labels[tissue] == kind.code).sum()) / total for kind in CLASSES if total}
