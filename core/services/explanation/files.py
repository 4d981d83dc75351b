"""Explanations on disk: `results/<slide>/explain/<digest>.npz`, one file each, whole or not at all.

The digest covers everything an explanation depends on, so a file is never out of date: other weights, another place or
another version of the methods make another name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from core.errors import StorageError
from core.settings import Settings
from core.store.records import Json

log = logging.getLogger(__name__)

FOLDER = "explain"
HEADER = "header"
"""Array of the file that holds facts as JSON."""

Arrays = Mapping[str, NDArray[np.generic]]


def digest_of(*parts: object) -> str:
    """Return 32 hexadecimal digits that stand for what an explanation depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def path_of(settings: Settings, slide_id: str, digest: str) -> Path:
    """Return where an explanation of a slide lies."""
    return settings.results_dir / slide_id / FOLDER / f"{digest}.npz"


def write(settings: Settings, slide_id: str, digest: str, *, header: Json, arrays: Arrays) -> None:
    """Write one explanation; of several writers at once the last stays.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    path = path_of(settings, slide_id, digest)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **{HEADER: np.array(json.dumps(header))}, **arrays)
        os.replace(part, path)
    except OSError as err:
        raise StorageError(
            f"The explanation cannot be written below {settings.home} ({err.strerror or err}). "
            "Free some space or make the folder writable, then ask again."
        ) from err
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def read(settings: Settings, slide_id: str, digest: str) -> tuple[Json, dict[str, NDArray[np.generic]]] | None:
    """Return header and arrays of an explanation, or None where there is none that can be read.

    A damaged file is reported in the program's log and counts as missing: asking again writes it anew.
    """
    path = path_of(settings, slide_id, digest)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            arrays: dict[str, NDArray[np.generic]] = {name: data[name] for name in data.files if name != HEADER}
            return cast("Json", json.loads(str(data[HEADER]))), arrays
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as err:
        log.warning("The explanation %s is damaged (%s); it counts as missing.", path.name, err)
        return None


def digests(settings: Settings, slide_id: str) -> tuple[str, ...]:
    """Return what is kept for a slide, latest first."""
    folder = settings.results_dir / slide_id / FOLDER
    try:
        found = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:  # cleared meanwhile
        return ()
    return tuple(path.stem for path in found)
