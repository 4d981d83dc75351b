"""Which paths below a folder are slides. A DICOM series is one slide however many files it has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from core.errors import InputError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
"""Endings that may also be plain images."""
SLIDE_SUFFIXES = IMAGE_SUFFIXES | {
    ".svs", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".czi", ".qptiff", ".dcm"
}  # fmt: skip
"""Endings that whole-slide files have. A file with one of them is listed even if it turns out unreadable."""

_SERIES_UID = re.compile(rb"\x20\x00\x0e\x00UI..([0-9.]{1,64})", re.DOTALL)
"""Element (0020,000E) Series Instance UID in explicit little-endian encoding, which DICOM slides use (PS3.5)."""
_HEADER_BYTES = 65_536


def find_slides(path: Path) -> list[Path]:
    """List the slides at a path, sorted.

    Args:
        path: A slide file (returned as it is), a folder holding one DICOM series (one slide: the folder), or a folder
            searched with all folders below it.

    Returns:
        Slide files and DICOM folders. Hidden names and other endings are left out; the list may be empty.

    Raises:
        InputError: the path does not exist or a folder may not be read.
    """
    if path.is_file():
        return [path]
    if not path.exists():
        raise InputError(f"{path} does not exist. Check the path.")
    return sorted(_below(path))


def dicom_instances(folder: Path) -> list[Path]:
    """Return the DICOM files that lie directly in a folder, sorted by name."""
    return sorted(file for file in _visible_files(folder) if file.suffix.lower() == ".dcm")


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, _ in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from _directly_in(Path(place))


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed ({error.strerror}). Check its rights.") from error


def _directly_in(folder: Path) -> Iterator[Path]:
    files = [file for file in _visible_files(folder) if file.suffix.lower() in SLIDE_SUFFIXES]
    dicom = sorted(file for file in files if file.suffix.lower() == ".dcm")
    others = [file for file in files if file.suffix.lower() != ".dcm"]
    if any(file.suffix.lower() in (".vms", ".vmu") for file in others):
        # The JPEGs beside a Hamamatsu index file are its parts, not slides.
        others = [file for file in others if file.suffix.lower() not in (".jpg", ".jpeg")]
    yield from others
    series: dict[bytes | Path, Path] = {}
    for file in dicom:
        series.setdefault(_series_of(file), file)
    if len(series) == 1 and not others and len(dicom) > 1:
        yield folder
    else:
        yield from series.values()


def _visible_files(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    except OSError as err:
        raise InputError(f"{folder} cannot be listed ({err.strerror}). Check its rights.") from err


def _series_of(file: Path) -> bytes | Path:
    """Return the series UID, or the file itself where none can be read, so that it stays visible as its own slide."""
    try:
        with file.open("rb") as opened:
            match = _SERIES_UID.search(opened.read(_HEADER_BYTES))
    except OSError:
        return file
    return match.group(1) if match else file
