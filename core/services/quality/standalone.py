"""Quality control of files outside the catalogue: nothing is kept but what the caller asks for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from core.domain import Stain
from core.errors import InputError, StorageError
from core.services.analysis.run_files import save_codes
from core.services.quality.files import palette
from core.services.quality.measure import QcResult, measure_slide
from core.services.quality.network import artefact_network
from core.settings import Settings
from core.slides import open_slide
from core.slides.discovery import find_slides


def slide_files(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the slides at paths, each once.

    Raises:
        InputError: a path does not exist, or none of them is or holds a slide.
    """
    found = tuple(dict.fromkeys(slide for path in paths for slide in find_slides(path)))
    if not found:
        raise InputError(f"There is no slide in {', '.join(map(str, paths))}.")
    return found


def slide_name(path: Path) -> str:
    """Return a slide's name as the catalogue would: without the last ending; a folder's name as it is."""
    return path.name if path.is_dir() else path.stem


def measure_file(settings: Settings, path: Path, *, mpp: float | None, stain: Stain) -> QcResult:
    """Measure the quality of one file.

    Args:
        settings: Device and threads; the home folder is not touched.
        path: The slide.
        mpp: The user's um/px; None = what the file says.
        stain: What it is stained with.

    Raises:
        UnreadableSlideError, MissingMppError, InvalidMppError: as opening and measuring raise them.
    """
    with open_slide(path, mpp=mpp) as reader:
        return measure_slide(settings, reader, stain=stain, network=artefact_network(settings.device))


def save_map(result: QcResult, path: Path) -> None:
    """Write the class map as a palette PNG; it appears whole or not at all.

    Raises:
        StorageError: it cannot be written there.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            save_codes(file, result.map.labels, palette=palette())
        os.replace(part, path)
    except OSError as err:
        with suppress(OSError):  # the place may be none at all: a file where a folder should be
            part.unlink(missing_ok=True)
        raise StorageError(
            f"The map cannot be written to {path} ({err.strerror or err}). Choose another place."
        ) from err
