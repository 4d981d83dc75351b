"""One training at a time in an output folder."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ConflictError, StorageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Hold the folder's lock, which the operating system releases when its holder dies, however it dies.

    Raises:
        ConflictError: another training holds it.
        StorageError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "training.lock").open("ab")
    except OSError as err:
        raise StorageError(f"The output folder {folder} cannot be written ({err.strerror}).") from err
    with file:
        try:
            if sys.platform == "win32":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise ConflictError(
                f"Another training is running in {folder}. Wait for it to end, or choose another output folder."
            ) from err
        yield
