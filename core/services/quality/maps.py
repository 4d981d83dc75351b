"""Files behind the comparison of artefact maps: ours of a measurement, and masks of references kept below the home."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.domain import Size
from core.errors import NotFoundError, StorageError
from core.services.viewing.layers import QUALITY_MAP
from core.settings import Settings
from core.slides import open_slide
from core.store.quality_records import SlideQuality
from core.store.records import SlideRecord

QUALITY_TISSUE = "qc_tissue.png"
"""What counts as tissue in the artefact map of a measurement, in the same size, over the whole slide."""


@dataclass(frozen=True, slots=True, eq=False)
class OurMap:
    """The artefact map of a measurement."""

    labels: NDArray[np.uint8]
    """(h, w) codes of `ArtefactClass`, `NO_TISSUE` on clean glass."""
    tissue: NDArray[np.bool_]
    px_mm2: float
    """Area of a pixel."""


def our_map(settings: Settings, quality: SlideQuality) -> OurMap:
    """Return the artefact map of a measurement.

    Raises:
        NotFoundError: its files are gone, or it left none.
    """
    missing = f"Slide {quality.slide_id} has no artefact map. Measure its quality again."
    if quality.results_dir is None:
        raise NotFoundError(missing)
    folder = settings.home / quality.results_dir
    labels = _image(folder / QUALITY_MAP, missing=missing)
    tissue = _image(folder / QUALITY_TISSUE, missing=missing) > 0
    counted = int(tissue.sum())
    return OurMap(labels, tissue, (quality.tissue_mm2 or 0.0) / counted if counted else 0.0)


def size_of(slide: SlideRecord) -> Size:
    """Return the size of a slide at level 0: what analysis wrote down, else what the file says.

    Raises:
        UnreadableSlideError: the file cannot be opened.
    """
    if slide.width is not None and slide.height is not None:
        return Size(slide.width, slide.height)
    with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
        return reader.info.size


def mask_path(slide_id: str, labels: NDArray[np.uint8]) -> str:
    """Return where below the home the mask of a reference is kept; equal masks have one file."""
    digest = hashlib.sha256(repr(labels.shape).encode() + labels.tobytes()).hexdigest()
    return str(PurePosixPath("results", slide_id, "references", f"{digest[:20]}.png"))


def keep_mask(settings: Settings, slide_id: str, labels: NDArray[np.uint8]) -> Path | None:
    """Write the mask of a reference, whole or not at all; return the file if it is new.

    Raises:
        StorageError: it cannot be written.
    """
    path = settings.home / mask_path(slide_id, labels)
    if path.is_file():
        return None
    content = io.BytesIO()
    Image.fromarray(labels).save(content, "PNG", optimize=True)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.getvalue())
        os.replace(part, path)
    except OSError as err:
        raise StorageError(
            f"{path.name} cannot be written below {settings.home} ({err.strerror or err}). Free some space, then retry."
        ) from err
    return path


def kept_mask(settings: Settings, relative: str) -> NDArray[np.uint8]:
    """Return the mask of a reference.

    Raises:
        NotFoundError: its file is gone.
    """
    return _image(settings.home / relative, missing=f"{relative} is missing. Import the reference again.")


def _image(path: Path, *, missing: str) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image).astype(np.uint8)
    except OSError as err:
        raise NotFoundError(missing) from err
