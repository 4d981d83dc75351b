"""Choose the reader of a path, or say in one sentence why there is none."""

from __future__ import annotations

from pathlib import Path

from core.domain import Mpp
from core.errors import InputError, UnreadableSlideError
from core.slides.discovery import IMAGE_SUFFIXES, dicom_instances
from core.slides.image_reader import ImageReader
from core.slides.openslide_reader import OpenSlideReader, is_openslide
from core.slides.protocol import SlideReader


def open_slide(path: Path, *, mpp: Mpp | float | None = None) -> SlideReader:
    """Open a slide for reading.

    Args:
        path: A whole-slide file, a folder with one DICOM series, or a plain PNG, JPEG or TIFF image.
        mpp: The user's um/px at level 0, which takes the place of the file's.

    Raises:
        UnreadableSlideError: missing, empty, not permitted, damaged, or no slide at all.
        InvalidMppError: `mpp` cannot be a scale.
    """
    if path.is_dir():
        return _open_dicom_folder(path, mpp=mpp)
    _check_file(path)
    is_image = path.suffix.lower() in IMAGE_SUFFIXES
    if is_openslide(path):
        try:
            return OpenSlideReader(path, mpp=mpp)
        except UnreadableSlideError:
            if not is_image:
                raise
    if is_image:
        return ImageReader(path, mpp=mpp)
    raise UnreadableSlideError(
        f"{path.name} is not in a slide format that can be read, or it is damaged. "
        "Open it in the scanner's viewer, and export it again or convert it to a pyramidal TIFF."
    )


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError as err:
        raise UnreadableSlideError(f"{path} does not exist. Check the path.") from err
    except OSError as err:
        raise UnreadableSlideError(f"{path} cannot be read ({err.strerror}). Check its rights.") from err
    if not first:
        raise UnreadableSlideError(f"{path.name} is empty (0 bytes). Copy it again from the scanner.")


def _open_dicom_folder(folder: Path, *, mpp: Mpp | float | None) -> SlideReader:
    try:
        instances = dicom_instances(folder)
    except InputError as err:
        raise UnreadableSlideError(str(err)) from err
    if not instances:
        raise UnreadableSlideError(f"{folder} is a folder without a DICOM slide. Give a slide file or a DICOM folder.")
    first = next((instance for instance in instances if is_openslide(instance)), None)
    if first is None:
        raise UnreadableSlideError(f"{folder} holds DICOM files, but none of them is a slide that can be read.")
    _check_file(first)
    # OpenSlide collects the other instances of the series itself.
    return OpenSlideReader(first, mpp=mpp, shown_path=folder)
