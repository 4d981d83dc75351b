"""Embeddings on disk: `embeddings/<slide sha-256>/<encoder sha-256>-<grid key>.safetensors` in the home folder."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Reason: safetensors is typed in part only.
from __future__ import annotations

import hashlib
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from core.errors import StorageError
from core.settings import Settings

log = logging.getLogger(__name__)

FOLDER = "embeddings"
NAME_DIGITS = 16
"""Hexadecimal digits of a hash in a file's name; the whole hashes stand inside the file and are compared."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What the vectors of a slide depend on. Two equal keys mean equal vectors."""

    slide_sha256: str
    encoder_sha256: str
    grid: str
    """Digest of the tiles' positions, sizes and order, and of the number format (`grid_digest`)."""

    def file(self, settings: Settings) -> Path:
        """Return where the vectors are kept."""
        name = f"{self.encoder_sha256[:NAME_DIGITS]}-{self.grid[:NAME_DIGITS]}.safetensors"
        return settings.home / FOLDER / self.slide_sha256 / name

    @property
    def metadata(self) -> dict[str, str]:
        """The key as it stands in the file."""
        return {"slide": self.slide_sha256, "encoder": self.encoder_sha256, "grid": self.grid}


@dataclass(frozen=True, slots=True)
class CacheSize:
    """What the cache takes."""

    files: int
    bytes: int


def read_vectors(settings: Settings, key: CacheKey, *, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Return the vectors kept under a key, or None where there are none that can be trusted.

    A damaged file is reported in the program's log and counts as missing: it is computed and written again.

    Args:
        settings: Whose home.
        key: What is wanted.
        shape: (N, D) that the vectors must have.
    """
    path = key.file(settings)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            found: dict[str, str] = file.metadata() or {}
            vectors: NDArray[np.float32] = file.get_tensor("vectors")
    except (SafetensorError, OSError, ValueError) as err:
        log.warning("The cached embeddings %s are damaged (%s); they are computed again.", path.name, err)
        return None
    expected = key.metadata | {"vectors": _digest(vectors)}
    if vectors.shape != shape or vectors.dtype != np.float32 or found != expected:
        log.warning("The cached embeddings %s are not what was written; they are computed again.", path.name)
        return None
    return vectors


def write_vectors(settings: Settings, key: CacheKey, vectors: NDArray[np.float32]) -> None:
    """Keep (N, D) vectors under a key. Several processes may do so at once: each file appears whole, the last stays.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    path = key.file(settings)
    # One name for each writer: with a shared one, the slower of two would move the other's half-written file.
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {"vectors": np.ascontiguousarray(vectors)}, part, metadata=key.metadata | {"vectors": _digest(vectors)}
        )
        os.replace(part, path)
    except (OSError, SafetensorError) as err:
        raise StorageError(
            f"The embeddings of the slide cannot be kept in {path.parent} ({err}). Free some space, for example with "
            "`second-read encoder clear`, or make the folder writable, then retry."
        ) from err
    finally:
        # Where even the clean-up is refused, the first reason is the one to tell.
        with suppress(OSError):
            part.unlink(missing_ok=True)


def cache_size(settings: Settings) -> CacheSize:
    """Return how much the cache holds, with what killed writers left."""
    sizes: list[int] = []
    for path in (settings.home / FOLDER).rglob("*"):
        with suppress(FileNotFoundError):  # another process may be clearing it
            if path.is_file():
                sizes.append(path.stat().st_size)
    return CacheSize(len(sizes), sum(sizes))


def clear_cache(settings: Settings) -> CacheSize:
    """Remove all cached embeddings, which can be computed again, and return what they took.

    Raises:
        StorageError: the folder cannot be changed.
    """
    size = cache_size(settings)
    try:
        shutil.rmtree(settings.home / FOLDER)
    except FileNotFoundError:
        return CacheSize(0, 0)
    except OSError as err:
        raise StorageError(f"The cached embeddings cannot be removed ({err.strerror or err}).") from err
    return size


def _digest(vectors: NDArray[np.float32]) -> str:
    return hashlib.sha256(vectors.tobytes()).hexdigest()
