"""SHA-256 of a slide: what ties a result to the exact bytes it was made from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from core.errors import UnreadableSlideError


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a slide as 64 hexadecimal digits, read in blocks.

    A slide made of several files (a DICOM folder; a MIRAX file with the data folder of the same name beside it) has the
    hash of its files' sorted hashes, so it depends on their contents and not on their names.

    Raises:
        UnreadableSlideError: a file is missing or cannot be read.
    """
    parts = _parts(path)
    hashes = sorted(_sha256_of_file(part) for part in parts)
    if parts == [path]:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode("ascii")).hexdigest()


def _parts(path: Path) -> list[Path]:
    if path.is_dir():
        return [part for part in path.iterdir() if part.suffix.lower() == ".dcm" and part.is_file()]
    companions = path.with_suffix("")
    if path.suffix.lower() == ".mrxs" and companions.is_dir():
        return [path, *(part for part in companions.rglob("*") if part.is_file())]
    return [path]


def _sha256_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise UnreadableSlideError(f"{path} cannot be read ({err.strerror}). Check the path and its rights.") from err
