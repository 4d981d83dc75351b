"""Adding slides and looking them up. Files stay where they are; nothing is opened here, so a bad file harms nobody."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.domain import Mpp, MppSource, Stain, slide_id_from_path
from core.errors import InputError, StorageError
from core.roles import Permission
from core.services.people.authority import require, require_now
from core.settings import Settings
from core.store import cases, results
from core.store.connection import Log, open_log, reading, writing
from core.store.quality_results import rebuild_quality
from core.store.records import RunRecord, SlideRecord, VerifyResult
from core.store.summary import rebuild
from core.store.values import utc_now
from core.store.verification import verify

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class SlideRequest:
    """A slide to be added, with what the user states about it."""

    path: Path
    case_id: str | None = None
    """A pseudonym; None makes the slide a case of its own."""
    mpp: float | None = None
    """um per level-0 px, overriding the file."""
    stain: Stain = Stain.UNKNOWN
    site: str | None = None
    scanner: str | None = None
    tissue: str | None = None
    """Organ or site of the tissue, e.g. "breast"; None = not stated."""


@dataclass(frozen=True, slots=True)
class AddResult:
    """What became of the requests."""

    slide_ids: tuple[str, ...]
    """One for each distinct file, in the order asked for."""
    added: tuple[str, ...]
    existing: tuple[str, ...]
    warnings: tuple[str, ...]


def add_slides(settings: Settings, requests: Sequence[SlideRequest], *, actor: str) -> AddResult:
    """Add slides to the catalogue, all of them or, if a request is wrong, none.

    A file that cannot be read as a slide is added all the same: its analysis says so, and it stays visible. The same
    path again is the same slide, and what the request states anew about it is taken over. Another file of the same
    name gets an id of its own (`name~2`).

    Raises:
        NotAllowedError: the actor may not do this.
        InputError: a path does not exist.
        InvalidMppError: an mpp that no scanner produces.
        StorageError: the log cannot be written.
    """
    require_now(settings, actor, Permission.OPERATE)
    for request in requests:
        _check(request)
    ids: dict[str, bool] = {}
    warnings: list[str] = []
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.OPERATE)
        for request in requests:
            slide_id, is_new = _add(database, request, warnings, actor=actor)
            ids.setdefault(slide_id, is_new)
    return AddResult(
        slide_ids=tuple(ids),
        added=tuple(slide_id for slide_id, is_new in ids.items() if is_new),
        existing=tuple(slide_id for slide_id, is_new in ids.items() if not is_new),
        warnings=tuple(warnings),
    )


def add_paths(
    settings: Settings,
    paths: Iterable[Path],
    *,
    case_id: str | None = None,
    mpp: float | None = None,
    stain: Stain = Stain.UNKNOWN,
    tissue: str | None = None,
    actor: str,
) -> AddResult:
    """Add slide files, folders of slides and manifests (CSV) in one go.

    What is given here holds for files and folders, and for manifest rows that leave it open.

    Raises:
        NotAllowedError: the actor may not do this.
        InputError: a path does not exist, a folder holds no slide, or a manifest is wrong.
    """
    require_now(settings, actor, Permission.OPERATE)
    requests: list[SlideRequest] = []
    for path in paths:
        if path.suffix.lower() == ".csv":
            requests += _manifest_requests(path, case_id=case_id, mpp=mpp, stain=stain, tissue=tissue)
        else:
            requests += [SlideRequest(slide, case_id, mpp, stain, tissue=tissue) for slide in _slides_at(path)]
    return add_slides(settings, requests, actor=actor)


def add_folder(
    settings: Settings, path: Path, *, mpp: float | None = None, stain: Stain = Stain.UNKNOWN, actor: str
) -> AddResult:
    """Add every slide below a folder, each as a case of its own.

    Raises:
        NotAllowedError: the actor may not do this.
        InputError: the folder does not exist or holds no slide.
    """
    require_now(settings, actor, Permission.OPERATE)
    return add_slides(settings, [SlideRequest(slide, None, mpp, stain) for slide in _slides_at(path)], actor=actor)


def add_manifest(settings: Settings, csv: Path, *, actor: str) -> AddResult:
    """Add the slides of a manifest: path, and where known case, mpp, stain, tissue, site, scanner.

    Raises:
        NotAllowedError: the actor may not do this.
        InputError: the manifest or one of its rows cannot be used; the sentence names row and column.
    """
    require_now(settings, actor, Permission.OPERATE)
    requests = _manifest_requests(csv, case_id=None, mpp=None, stain=Stain.UNKNOWN, tissue=None)
    return add_slides(settings, requests, actor=actor)


def save_upload(
    settings: Settings,
    name: str,
    data: BinaryIO,
    *,
    case_id: str | None = None,
    mpp: float | None = None,
    stain: Stain = Stain.UNKNOWN,
    tissue: str | None = None,
    actor: str,
) -> AddResult:
    """Keep an uploaded file under the home folder and add it. The same file uploaded twice is one slide.

    Raises:
        NotAllowedError: the actor may not do this.
        InputError: the name is no file name, or the file is larger than the upload limit.
        StorageError: the home folder cannot be written.
    """
    require_now(settings, actor, Permission.OPERATE)
    plain = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not plain or plain.startswith("."):
        raise InputError(f"{name!r} is not a file name that can be kept. Rename the file and upload it again.")
    request = SlideRequest(_store_upload(settings, plain, data), case_id, mpp, stain, tissue=tissue)
    return add_slides(settings, [request], actor=actor)


def get_slide(settings: Settings, slide_id: str) -> SlideRecord:
    """Return a slide with the outcome of its latest run.

    Raises:
        NotFoundError: there is none of that id.
    """
    with open_log(settings) as database:
        return cases.get_slide(database, slide_id)


def list_slides(settings: Settings) -> tuple[SlideRecord, ...]:
    """Return all slides, case by case."""
    with open_log(settings) as database:
        return cases.all_slides(database)


def slide_runs(settings: Settings, slide_id: str) -> tuple[RunRecord, ...]:
    """Return every run of a slide, latest first.

    Raises:
        NotFoundError: there is no such slide.
    """
    with open_log(settings) as database, reading(database):
        cases.get_slide(database, slide_id)
        return results.runs_of_slide(database, slide_id)


def verify_log(settings: Settings) -> VerifyResult:
    """Check the whole log; see `core.store.verification.verify`."""
    return verify(settings)


def rebuild_summaries(settings: Settings) -> int:
    """Derive the summaries of all cases anew from the log; return how many there are.

    For whoever has the files: it needs no permission within the program, and changes nothing that the log says.
    """
    with open_log(settings) as database:
        rebuild_quality(database)
        return rebuild(database)


def _check(request: SlideRequest) -> None:
    if not request.path.exists():
        raise InputError(f"{request.path} does not exist. Check the path and try again.")
    if request.mpp is not None:
        Mpp(request.mpp, request.mpp, MppSource.USER)


def _add(database: Log, request: SlideRequest, warnings: list[str], *, actor: str) -> tuple[str, bool]:
    path = request.path.resolve()
    known = cases.slide_at(database, str(path))
    if known is not None:
        _take_over(database, known, request, warnings, actor=actor)
        return known.slide_id, False
    slide_id = _free_id(database, slide_id_from_path(path))
    if slide_id != slide_id_from_path(path):
        warnings.append(f"Another slide is named {slide_id_from_path(path)} already; {path} is kept as {slide_id}.")
    case_id = (request.case_id or "").strip() or slide_id
    cases.ensure_case(database, case_id, site=request.site, actor=actor)
    slide = SlideRecord(
        slide_id=slide_id,
        case_id=case_id,
        path=str(path),
        stain=request.stain,
        added_at=utc_now(),
        site=request.site,
        scanner=request.scanner,
        tissue=_stated(request.tissue),
        mpp_override=request.mpp,
    )
    cases.insert_slide(database, slide, actor=actor)
    return slide_id, True


def _take_over(database: Log, known: SlideRecord, request: SlideRequest, warnings: list[str], *, actor: str) -> None:
    """Take over what a request states anew about a known slide; what it leaves open stays."""
    stated: dict[str, tuple[str | float | None, str | float | None]] = {
        "mpp_override": (known.mpp_override, request.mpp),
        "stain": (known.stain.value, None if request.stain is Stain.UNKNOWN else request.stain.value),
        "site": (known.site, request.site),
        "scanner": (known.scanner, request.scanner),
        "tissue": (known.tissue, _stated(request.tissue)),
    }
    changes = {column: new for column, (old, new) in stated.items() if new is not None and new != old}
    if changes:
        cases.change_slide(database, known.slide_id, changes, actor=actor)
    if request.case_id and request.case_id.strip() != known.case_id:
        warnings.append(
            f"{known.slide_id} is known already and stays in case {known.case_id}, not {request.case_id.strip()}."
        )


def _stated(tissue: str | None) -> str | None:
    """Return a tissue as it is kept: in lower case, None where nothing is stated."""
    words = " ".join((tissue or "").split()).lower()
    return None if words in ("", "unknown") else words


def _free_id(database: Log, stem: str) -> str:
    slide_id, number = stem, 1
    while cases.slide_exists(database, slide_id):
        number += 1
        slide_id = f"{stem}~{number}"
    return slide_id


def _slides_at(path: Path) -> list[Path]:
    from core.slides import find_slides

    if not path.exists():
        raise InputError(f"{path} does not exist. Check the path and try again.")
    found = find_slides(path)
    if not found:
        raise InputError(f"{path} holds no slides. Give a folder with slide files, a slide, or a manifest (CSV).")
    return found


def _manifest_requests(
    csv: Path, *, case_id: str | None, mpp: float | None, stain: Stain, tissue: str | None
) -> list[SlideRequest]:
    from core.slides.manifest import read_manifest

    return [
        SlideRequest(
            path=row.path,
            case_id=row.case or case_id,
            mpp=mpp if row.mpp is None else row.mpp,
            stain=stain if row.stain is Stain.UNKNOWN else row.stain,
            site=row.site,
            scanner=row.scanner,
            tissue=row.tissue or tissue,
        )
        for row in read_manifest(csv)
    ]


def _store_upload(settings: Settings, name: str, data: BinaryIO) -> Path:
    """Write the upload to `uploads/<first of its SHA-256>/<name>`; the name alone may be that of another file."""
    limit = settings.upload_limit_mib * _CHUNK
    part = settings.uploads_dir / f"{os.urandom(8).hex()}.part"
    digest, size = hashlib.sha256(), 0
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            while chunk := data.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise InputError(
                        f"{name} is larger than {settings.upload_limit_mib} MiB. Add it by its path on the server."
                    )
                digest.update(chunk)
                file.write(chunk)
        target = settings.uploads_dir / digest.hexdigest()[:16] / name
        target.parent.mkdir(exist_ok=True)
        os.replace(part, target)
    except OSError as err:
        raise StorageError(
            f"{name} cannot be kept below {settings.uploads_dir} ({err.strerror}). Free some space or make it writable."
        ) from err
    finally:
        part.unlink(missing_ok=True)
    return target
